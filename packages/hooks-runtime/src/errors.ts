import { defineErrors } from "@aeon/core";

/** Everything this package can fail with, by reason. */
export const errors = defineErrors({
  RULES_INVALID: {
    code: "invalid-argument",
    when: "A file of hook rules is no JSON, has unknown keys, or values that no runtime could use.",
    remedy: "Correct each fault at the line and column the message names; the last good rules stay in force.",
  },
  RULES_UNREADABLE: {
    code: "failed-precondition",
    when: "A file of hook rules cannot be read, or is larger than 1 MiB.",
    remedy: "Check the path, its permissions and its size.",
  },
  RULES_UNSAFE: {
    code: "permission-denied",
    when: "A file of hook rules could be changed by others than its owner and root.",
    remedy: "Give the file to root and take write permission from group and others (chmod go-w).",
  },
  SPEC_UNUSABLE: {
    code: "failed-precondition",
    when: "Hooks cannot be put into a container's config.json: a part is no list or object, or stands twice.",
    remedy: "Correct the part that the message names, or what wrote the bundle.",
  },
  SPEC_WRITE_FAILED: {
    code: "resource-exhausted",
    when: "The changed config.json could not be written; the original is intact.",
    remedy: "Free space, or make the file system of the bundle writable.",
  },
  TOOLKIT_CONFIG_INVALID: {
    code: "invalid-argument",
    when: "The toolkit's config.toml is no TOML or has a value of the wrong type.",
    remedy: "Correct the line or key that the message names.",
  },
  LOW_LEVEL_RUNTIME_MISSING: {
    code: "not-found",
    when: "None of the configured low-level runtimes is an executable program.",
    remedy:
      "Install runc or crun, or name it with `container-hooks-ctk config --set container-hooks-runtime.runtimes=PATH`.",
  },
  LOW_LEVEL_RUNTIME_RECURSION: {
    code: "invalid-argument",
    when: "A configured low-level runtime is a launcher of container-hooks itself, which would call itself for ever.",
    remedy: "Name the real runtime, such as runc, in container-hooks-runtime.runtimes.",
  },
  PROGRAM_NOT_FOUND: {
    code: "not-found",
    when: "A program of the system that the launcher needs (env, sed) is not there.",
    remedy: "Install coreutils and sed.",
  },
  ENGINE_CONFIG_INVALID: {
    code: "invalid-argument",
    when: "The configuration of an engine is no JSON or TOML, or the part to change has another shape.",
    remedy: "Correct the place that the message names; the file was not touched.",
  },
  ENGINE_CONFIG_UNSUPPORTED: {
    code: "unimplemented",
    when: "The configuration of containerd has a version that is not known.",
    remedy: "Add the handler by hand, or install a later version of aeon.",
  },
  ENGINE_CONFIG_REJECTED: {
    code: "failed-precondition",
    when: "The engine would read more or other changes from its configuration than were meant; they were taken back.",
    remedy: "Add the handler by hand, as shown by --dry-run, or report the configuration.",
  },
  ENGINE_CONFIG_UNWRITABLE: {
    code: "failed-precondition",
    when: "The configuration of an engine cannot be read or written; it is as it was.",
    remedy: "Check path, permissions and free space.",
  },
  CONFIG_BUSY: {
    code: "unavailable",
    when: "Another container-hooks-ctk has been changing the same file for more than 30 seconds.",
    remedy: "Wait for it to end and try again.",
  },
  TOOLKIT_OPTION_INVALID: {
    code: "invalid-argument",
    when: "container-hooks-ctk config was given a key that does not exist or a value of the wrong kind.",
    remedy: "Use table.key=value with a key of config.toml; lists are separated by commas.",
  },
  TOOLKIT_INCOMPLETE: {
    code: "not-found",
    when: "The folder to install from lacks programs of the toolkit.",
    remedy: "Name the folder that `npm run bundle` made (packages/hooks-runtime/dist/bin).",
  },
  TOOLKIT_IN_USE: {
    code: "failed-precondition",
    when: "The toolkit is to be uninstalled while engines are configured to use it.",
    remedy: "Run `container-hooks-ctk runtime unconfigure` for the engines that the message names first.",
  },
  NRI_UNAVAILABLE: {
    code: "unavailable",
    when: "No container runtime answers on the NRI socket; containers start without injected hooks meanwhile.",
    remedy: "Turn NRI on in the runtime (off by default in containerd 1.7), or set hooks.nri to false.",
  },
});
