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
});
