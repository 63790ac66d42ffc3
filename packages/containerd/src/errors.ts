import { defineErrors } from "@aeon/core";

export const errors = defineErrors({
  SOCKET_IN_USE: {
    code: "already-exists",
    when: "A Unix socket is to be served at a path where another process already listens.",
    remedy: "Stop the other process or configure a different socket path.",
  },
  SOCKET_PATH_INVALID: {
    code: "invalid-argument",
    when: "A socket path is relative, longer than 107 bytes, or names something that is not a socket.",
    remedy: "Use a short absolute path that is free or a left-over socket.",
  },
});
