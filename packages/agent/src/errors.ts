import { defineErrors } from "@aeon/core";

export const errors = defineErrors({
  AGENT_ALREADY_RUNNING: {
    code: "failed-precondition",
    when: "A second agent is started on a root folder that an agent uses.",
    remedy: "Stop the agent whose process id the message names, or give this one another root and state.",
  },
  ROOT_UNUSABLE: {
    code: "failed-precondition",
    when: "The root or state folder cannot be made, locked or written.",
    remedy: "Check that the path is a folder on a writable file system and that the agent runs as root.",
  },
  PLUGIN_UNKNOWN: {
    code: "invalid-argument",
    when: "A package in `plugins` cannot be loaded or does not export a plugin.",
    remedy:
      "Install the package where the agent can import it; it has to export a plugin made with definePlugin.",
  },
  PLUGIN_NAME_TAKEN: {
    code: "invalid-argument",
    when: "Two plugins have the same name, or one is named like a built-in table of the configuration.",
    remedy: "Remove one of them from `plugins`.",
  },
  PLUGIN_START_TIMEOUT: {
    code: "deadline-exceeded",
    when: "A plugin did not become ready in time.",
    remedy: "See the plugin's log lines; the agent tries again with growing pauses.",
  },
  CAPABILITY_MISSING: {
    code: "failed-precondition",
    when: "A plugin requires something that no running plugin provides.",
    remedy: "Start or repair the providing plugin; the requiring one is started again by itself.",
  },
  CAPABILITY_TAKEN: {
    code: "already-exists",
    when: "Two plugins provide the same thing.",
    remedy: "Remove one of the two plugins.",
  },
  DEPENDENCY_STOPPED: {
    code: "unavailable",
    when: "A plugin is started again because one that it uses stopped.",
    remedy: "Look at the failure of the plugin that the message names.",
  },
  HOOK_NAME_TAKEN: {
    code: "already-exists",
    when: "Two snapshot hooks are registered under one name.",
    remedy: "Give the hooks different names.",
  },
  SERVICE_NAME_TAKEN: {
    code: "already-exists",
    when: "Two container services are registered under one name.",
    remedy: "Give the services different names.",
  },
  SERVICE_NAME_INVALID: {
    code: "invalid-argument",
    when: "A plugin registers a container service or an action under a name that clients could not ask for.",
    remedy: "Use lower-case letters, digits and dashes.",
  },
  HOST_CONTAINERD_UNREADABLE: {
    code: "failed-precondition",
    when: "`aeon host` cannot see how containerd reads its configuration, and so not whether a change is safe.",
    remedy:
      "Name containerd's program with --containerd, and mend its configuration when it is broken already.",
  },
  HOST_LAUNCHER_MISSING: {
    code: "invalid-argument",
    when: "`aeon host configure --launcher` names no program.",
    remedy: "Give the absolute path of the runtime that `container-hooks-ctk install` made.",
  },
  HOST_RESTART_FAILED: {
    code: "unavailable",
    when: "containerd did not come up with the changed configuration, which was put back.",
    remedy: "See containerd's log.",
  },
  SNAPSHOTTER_IN_USE: {
    code: "failed-precondition",
    when: "`aeon host unconfigure` finds containers on aeon's snapshotter, which would lose their files.",
    remedy: "Drain the node, or remove the containers, and try again.",
  },
  REMOVAL_DEFERRED: {
    code: "failed-precondition",
    when: "A writable snapshot is to be removed while the plugin that keeps its content is not running.",
    remedy: "Nothing: containerd tries again later. See /readyz for why the plugin does not run.",
  },
});
