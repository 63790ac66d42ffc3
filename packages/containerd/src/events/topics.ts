import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { eventPayloads as payloads, images, type types } from "@aeon/proto";
import { nanosOf } from "../values.ts";

/** The payload that containerd sends under each topic. */
const schemas = {
  "/containers/create": payloads.ContainerCreateSchema,
  "/containers/update": payloads.ContainerUpdateSchema,
  "/containers/delete": payloads.ContainerDeleteSchema,
  "/content/create": payloads.ContentCreateSchema,
  "/content/delete": payloads.ContentDeleteSchema,
  "/images/create": images.ImageCreateSchema,
  "/images/update": images.ImageUpdateSchema,
  "/images/delete": images.ImageDeleteSchema,
  "/namespaces/create": payloads.NamespaceCreateSchema,
  "/namespaces/update": payloads.NamespaceUpdateSchema,
  "/namespaces/delete": payloads.NamespaceDeleteSchema,
  "/sandboxes/create": payloads.SandboxCreateSchema,
  "/sandboxes/start": payloads.SandboxStartSchema,
  "/sandboxes/exit": payloads.SandboxExitSchema,
  "/snapshot/prepare": payloads.SnapshotPrepareSchema,
  "/snapshot/commit": payloads.SnapshotCommitSchema,
  "/snapshot/remove": payloads.SnapshotRemoveSchema,
  "/tasks/create": payloads.TaskCreateSchema,
  "/tasks/start": payloads.TaskStartSchema,
  "/tasks/oom": payloads.TaskOOMSchema,
  "/tasks/exit": payloads.TaskExitSchema,
  "/tasks/delete": payloads.TaskDeleteSchema,
  "/tasks/exec-added": payloads.TaskExecAddedSchema,
  "/tasks/exec-started": payloads.TaskExecStartedSchema,
  "/tasks/paused": payloads.TaskPausedSchema,
  "/tasks/resumed": payloads.TaskResumedSchema,
  "/tasks/checkpointed": payloads.TaskCheckpointedSchema,
} as const satisfies Readonly<Record<string, DescMessage>>;

/** A topic whose payload is known. */
export type EventTopic = keyof typeof schemas;

interface EventFacts {
  readonly namespace: string;
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
}

/** An event with its decoded payload. */
export type KnownEvent<Topic extends EventTopic = EventTopic> = {
  readonly [T in Topic]: EventFacts & {
    readonly kind: "event";
    readonly topic: T;
    readonly payload: MessageShape<(typeof schemas)[T]>;
  };
}[Topic];

/** An event of a topic or payload type that is not known here. */
export interface OtherEvent extends EventFacts {
  readonly kind: "other";
  readonly topic: string;
  readonly payload: Any | undefined;
}

const isTopic = (topic: string): topic is EventTopic => Object.hasOwn(schemas, topic);

/** Decodes what the event service delivered; a payload that does not fit its topic stays undecoded. */
export function eventOf(envelope: types.Envelope): KnownEvent | OtherEvent {
  const { namespace, topic, event, timestamp } = envelope;
  const facts = { namespace, timestamp: nanosOf(timestamp) };
  if (isTopic(topic) && event !== undefined) {
    const schema = schemas[topic];
    const payload = decode(schema, event);
    if (payload !== undefined) return { ...facts, kind: "event", topic, payload } as KnownEvent;
  }
  return { ...facts, kind: "other", topic, payload: event };
}

function decode<Schema extends DescMessage>(schema: Schema, any: Any): MessageShape<Schema> | undefined {
  if (any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) !== schema.typeName) return undefined;
  try {
    return fromBinary(schema, any.value);
  } catch {
    return undefined;
  }
}
