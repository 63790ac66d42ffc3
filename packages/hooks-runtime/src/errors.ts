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
    when: "A program of the system that the launcher needs (env, sed, grep) is not there.",
    remedy: "Install coreutils, sed and grep.",
  },
});
