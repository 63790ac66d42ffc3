/** The stages of the OCI runtime specification in the order a container goes through them. */
export const stages = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

export type Stage = (typeof stages)[number];
