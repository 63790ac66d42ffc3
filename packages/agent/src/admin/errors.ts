import { defineErrors } from "@aeon/core";

/** Errors of the admin API itself; those of the parts behind it pass through unchanged. */
export const errors = defineErrors({
  ADMIN_PART_NOT_RUNNING: {
    code: "unavailable",
    when: "The admin API is asked about a part of the agent that has not started, has failed or is switched off.",
    remedy: "See `aeonctl status` for the plugin and why it is not ready.",
  },
  ADMIN_FIELD_INVALID: {
    code: "invalid-argument",
    when: "A field of a request to the admin API is empty, too long or not one of the values it may have.",
    remedy: "Correct the field that the message names.",
  },
  ADMIN_SOCKET_IN_USE: {
    code: "failed-precondition",
    when: "Another process answers on the admin socket.",
    remedy: "Stop the other agent, or give this one another `state` folder.",
  },
});
