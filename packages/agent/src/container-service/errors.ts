import { defineErrors } from "@aeon/core";

/** Errors of the container service itself; those of the services behind it pass through unchanged. */
export const errors = defineErrors({
  SERVICE_UNKNOWN: {
    code: "not-found",
    when: "A container asks for a service or an action that no plugin of the agent offers.",
    remedy: "See what there is with `aeonctl info`; the plugin that offers it may be switched off.",
  },
  SERVICE_FORBIDDEN: {
    code: "permission-denied",
    when: "The agent's configuration or an annotation of the pod does not allow the service to the container.",
    remedy:
      "Allow it with `container-service.services`, or the annotation aeon.io/container-services of the pod.",
  },
  SERVICE_PARAMS_INVALID: {
    code: "invalid-argument",
    when: "Parameters of a call to the container service are missing, unknown or of the wrong kind.",
    remedy: "Correct the parameter that the message names.",
  },
  SERVICE_BUSY: {
    code: "resource-exhausted",
    when: "A pod calls the container service more often, or has more calls running, than a pod may.",
    remedy: "Call less often; the message says when the next call is possible.",
  },
  SERVICE_RESULT_WRONG: {
    code: "internal",
    when: "A plugin's container service gave something else than it declared.",
    remedy: "Report it to the plugin's makers.",
  },
  TOKEN_MISSING: {
    code: "unauthenticated",
    when: "A call from a pod has no ServiceAccount token, and the agent asks for one.",
    remedy: "Send `authorization: Bearer TOKEN` with the pod's own projected token.",
  },
  TOKEN_REFUSED: {
    code: "unauthenticated",
    when: "The API server does not accept a pod's token: it is expired, forged or for another audience.",
    remedy: "Read the token anew for each call, and project it with the audience that the message names.",
  },
  TOKEN_OF_ANOTHER_POD: {
    code: "permission-denied",
    when: "A token is good, but it belongs to another pod than the socket, or to no pod at all.",
    remedy: "Use the token that is projected into the pod itself.",
  },
  TOKEN_UNCHECKED: {
    code: "unavailable",
    when: "The API server cannot be asked about a token.",
    remedy: "Try again; `aeonctl status` on the node says why there is no API server.",
  },
  POD_TOOLS_UNAVAILABLE: {
    code: "failed-precondition",
    when: "The folder with aeonctl and dockerctl for containers cannot be made.",
    remedy: "See the message; containers get their socket without the programs meanwhile.",
  },
  POD_FOLDER_UNUSABLE: {
    code: "failed-precondition",
    when: "The folder of a pod's socket is not a folder of root's own, or cannot be made.",
    remedy: "Remove what is at the path that the message names.",
  },
});
