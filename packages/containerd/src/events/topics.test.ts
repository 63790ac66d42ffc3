import { create, toBinary } from "@bufbuild/protobuf";
import { eventPayloads, types } from "@aeon/proto";
import { expect, test } from "vitest";
import { eventOf } from "./topics.ts";

const exit = create(eventPayloads.TaskExitSchema, { containerId: "c1", exitStatus: 137, pid: 42 });
const value = toBinary(eventPayloads.TaskExitSchema, exit);
const envelope = (topic: string, typeUrl: string, bytes = value) =>
  create(types.EnvelopeSchema, {
    namespace: "k8s.io",
    topic,
    timestamp: { seconds: 5n, nanos: 7 },
    event: { typeUrl, value: bytes },
  });

test("a payload is decoded by topic, with containerd's bare type name or a URL", () => {
  for (const typeUrl of ["containerd.events.TaskExit", "type.googleapis.com/containerd.events.TaskExit"])
    expect(eventOf(envelope("/tasks/exit", typeUrl))).toMatchObject({
      kind: "event",
      topic: "/tasks/exit",
      namespace: "k8s.io",
      timestamp: 5_000_000_007n,
      payload: { containerId: "c1", exitStatus: 137, pid: 42 },
    });
});

test.each([
  ["an unknown topic", envelope("/volumes/create", "containerd.events.TaskExit")],
  ["another type than the topic's", envelope("/tasks/exit", "containerd.events.TaskStart")],
  [
    "bytes that are no message",
    envelope("/tasks/exit", "containerd.events.TaskExit", Uint8Array.of(0xff, 0xff)),
  ],
  ["no payload", create(types.EnvelopeSchema, { topic: "/tasks/exit" })],
])("%s stays undecoded", (_name, message) => {
  expect(eventOf(message)).toMatchObject({ kind: "other", topic: message.topic });
});
