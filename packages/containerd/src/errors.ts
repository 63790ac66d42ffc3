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
  CONNECTION_CLOSED: {
    code: "unavailable",
    when: "A call is made on a client that was disposed.",
    remedy: "Keep the client until the last call has ended.",
  },
  REPLY_INCOMPLETE: {
    code: "internal",
    when: "containerd answered a call without the message that the answer has to carry.",
    remedy: "Check that the socket belongs to a containerd of version 1.7 or later.",
  },
  CONTENT_DAMAGED: {
    code: "data-loss",
    when: "A blob read from containerd's content store does not have the size or digest it is stored under.",
    remedy: "Delete the image and import or pull it again; check the disk.",
  },
  DOCUMENT_TOO_LARGE: {
    code: "resource-exhausted",
    when: "An image document (index, manifest, config) is larger than 8 MiB.",
    remedy: "Check where the image comes from: no real image has documents of that size.",
  },
  IMAGE_PLATFORM_MISSING: {
    code: "not-found",
    when: "An image has no manifest for the platform it is to run on, or that manifest was not imported.",
    remedy: "Import or pull the image for this machine's architecture.",
  },
  IMAGE_ARCHIVE_INVALID: {
    code: "invalid-argument",
    when: "A tar to import is neither an OCI image layout nor a Docker archive, or lacks a blob that it names.",
    remedy: "Pack it again, for example with `ctr images export`, `skopeo copy` or `docker save`.",
  },
  IMAGE_NAME_MISSING: {
    code: "invalid-argument",
    when: "An archive to import names no image and no name was given.",
    remedy: "Give the name in the import's options.",
  },
  LAYER_DIFF_ID_MISMATCH: {
    code: "data-loss",
    when: "A layer unpacked to something else than the image's config says.",
    remedy: "The image is damaged or forged: import or pull it again from its source.",
  },
  EVENT_FILTER_INVALID: {
    code: "invalid-argument",
    when: "containerd cannot parse a filter of an event subscription.",
    remedy: 'Write filters like `topic=="/tasks/exit"` or `topic~="/tasks/",namespace==default`.',
  },
  CONTAINER_HAS_TASK: {
    code: "failed-precondition",
    when: "A container is to be deleted while it has a task, running or not.",
    remedy: "Kill the task if it runs, wait for its exit and delete it first.",
  },
  NAMESPACE_NOT_FOUND: {
    code: "not-found",
    when: "A containerd namespace that does not exist is looked up.",
    remedy:
      "Check the name with `ctr namespaces list`; containerd makes a namespace when something is created in it.",
  },
  STDIO_INVALID: {
    code: "invalid-argument",
    when: "A process with a terminal is given a standard error of its own.",
    remedy: "Drop `stderr`: a terminal carries both outputs on standard output.",
  },
  REQUEST_MALFORMED: {
    code: "invalid-argument",
    when: "A gRPC request is not valid protobuf, or a text in it is not valid UTF-8.",
    remedy: "Correct the client; the message says what the decoder met.",
  },
  TTRPC_MESSAGE_TOO_LARGE: {
    code: "resource-exhausted",
    when: "A message over ttrpc is larger than 4 MiB, which no end of it accepts.",
    remedy: "Send less at once; for hooks, use fewer or smaller rules.",
  },
  TTRPC_METHOD_UNKNOWN: {
    code: "unimplemented",
    when: "A ttrpc peer calls a method that is not served.",
    remedy: "Nothing has to be done: a runtime then uses an older form of the call.",
  },
});
