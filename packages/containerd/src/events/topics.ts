import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { eventPayloads as payloads, images, type types } from "@aeon/proto";
import { nanosOf } from "../values.ts";

interface EventFacts {
  readonly namespace: string;
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
}

interface EventOf<Topic extends string, Schema extends DescMessage> extends EventFacts {
  readonly kind: "event";
  readonly topic: Topic;
  readonly payload: MessageShape<Schema>;
}

interface Decoder<Topic extends string, Schema extends DescMessage> {
  readonly topic: Topic;
  readonly decode: (facts: EventFacts, any: Any) => EventOf<Topic, Schema> | undefined;
}

function decoder<const Topic extends string, Schema extends DescMessage>(
  topic: Topic,
  schema: Schema,
): Decoder<Topic, Schema> {
  return {
    topic,
    decode(facts, any) {
      const payload = unpack(schema, any);
      return payload && { ...facts, kind: "event", topic, payload };
    },
  };
}

function unpack<Schema extends DescMessage>(schema: Schema, any: Any): MessageShape<Schema> | undefined {
  if (any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1) !== schema.typeName) return undefined;
  try {
    return fromBinary(schema, any.value);
  } catch {
    return undefined;
  }
}

/** The payload that containerd sends under each topic. */
const decoders = [
  decoder("/containers/create", payloads.ContainerCreateSchema),
  decoder("/containers/update", payloads.ContainerUpdateSchema),
  decoder("/containers/delete", payloads.ContainerDeleteSchema),
  decoder("/content/create", payloads.ContentCreateSchema),
  decoder("/content/delete", payloads.ContentDeleteSchema),
  decoder("/images/create", images.ImageCreateSchema),
  decoder("/images/update", images.ImageUpdateSchema),
  decoder("/images/delete", images.ImageDeleteSchema),
  decoder("/namespaces/create", payloads.NamespaceCreateSchema),
  decoder("/namespaces/update", payloads.NamespaceUpdateSchema),
  decoder("/namespaces/delete", payloads.NamespaceDeleteSchema),
  decoder("/sandboxes/create", payloads.SandboxCreateSchema),
  decoder("/sandboxes/start", payloads.SandboxStartSchema),
  decoder("/sandboxes/exit", payloads.SandboxExitSchema),
  decoder("/snapshot/prepare", payloads.SnapshotPrepareSchema),
  decoder("/snapshot/commit", payloads.SnapshotCommitSchema),
  decoder("/snapshot/remove", payloads.SnapshotRemoveSchema),
  decoder("/tasks/create", payloads.TaskCreateSchema),
  decoder("/tasks/start", payloads.TaskStartSchema),
  decoder("/tasks/oom", payloads.TaskOOMSchema),
  decoder("/tasks/exit", payloads.TaskExitSchema),
  decoder("/tasks/delete", payloads.TaskDeleteSchema),
  decoder("/tasks/exec-added", payloads.TaskExecAddedSchema),
  decoder("/tasks/exec-started", payloads.TaskExecStartedSchema),
  decoder("/tasks/paused", payloads.TaskPausedSchema),
  decoder("/tasks/resumed", payloads.TaskResumedSchema),
  decoder("/tasks/checkpointed", payloads.TaskCheckpointedSchema),
] as const;

type AnyKnownEvent = NonNullable<ReturnType<(typeof decoders)[number]["decode"]>>;

/** A topic whose payload is known. */
export type EventTopic = AnyKnownEvent["topic"];

/** An event with its decoded payload. */
export type KnownEvent<Topic extends EventTopic = EventTopic> = Extract<AnyKnownEvent, { topic: Topic }>;

/** An event of a topic or payload type that is not known here. */
export interface OtherEvent extends EventFacts {
  readonly kind: "other";
  readonly topic: string;
  readonly payload: Any | undefined;
}

const byTopic = new Map<string, (typeof decoders)[number]>(decoders.map((entry) => [entry.topic, entry]));

/** Decodes what the event service delivered; a payload that does not fit its topic stays undecoded. */
export function eventOf(envelope: types.Envelope): KnownEvent | OtherEvent {
  const { namespace, topic, event, timestamp } = envelope;
  const facts = { namespace, timestamp: nanosOf(timestamp) };
  const known = event && byTopic.get(topic)?.decode(facts, event);
  return known ?? { ...facts, kind: "other", topic, payload: event };
}
