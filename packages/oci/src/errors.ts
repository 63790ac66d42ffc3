import { defineErrors } from "@aeon/core";

/** What can be wrong with OCI content. */
export const errors = defineErrors({
  DIGEST_MALFORMED: {
    code: "invalid-argument",
    when: "A text is not a digest of the form sha256:<64 hex digits> or sha512:<128 hex digits>.",
    remedy: "Give the digest as the registry or `aeonctl` prints it.",
  },
  BLOB_MISSING: {
    code: "not-found",
    when: "An image layout names content that it does not hold.",
    remedy: "Copy the whole layout again; the named blob is missing.",
  },
  BLOB_CORRUPT: {
    code: "data-loss",
    when: "Content read from an image layout does not match its digest or size.",
    remedy: "Copy the layout again from its source; the named blob is damaged.",
  },
  DOCUMENT_MALFORMED: {
    code: "invalid-argument",
    when: "An index, manifest, config or layout file is not what the OCI image specification asks for.",
    remedy: "Rebuild the image with a tool that writes OCI images.",
  },
  IMAGE_WITHOUT_COMMAND: {
    code: "invalid-argument",
    when: "Neither the image nor the caller says what to run.",
    remedy: "Name a command.",
  },
  USER_UNRESOLVED: {
    code: "failed-precondition",
    when: "An image names its user by name, which only its own /etc/passwd can turn into a number.",
    remedy: "Give the user as numbers, uid:gid.",
  },
  LAYER_ENTRY_INVALID: {
    code: "invalid-argument",
    when: "An entry of a layer that is being written has an impossible path or size.",
    remedy: "Give paths relative to the image's root, without `..`.",
  },
});
