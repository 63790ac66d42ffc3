import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ContainerStatusSchema, PodSandboxConfigSchema } from "./cri.ts";
import { eventPayloads, images, snapshots, tasks, types } from "./index.ts";

/** Field numbers of a message by name, as they go over the wire. */
const numbers = (schema: {
  readonly fields: readonly { readonly name: string; readonly number: number }[];
}) => Object.fromEntries(schema.fields.map(({ name, number }) => [name, number]));

test("services have containerd's full names", () => {
  expect(snapshots.Snapshots.typeName).toBe("containerd.services.snapshots.v1.Snapshots");
  expect(tasks.Tasks.typeName).toBe("containerd.services.tasks.v1.Tasks");
  expect(eventPayloads.TaskExitSchema.typeName).toBe("containerd.events.TaskExit");
  // Image events live in the package of the image service.
  expect(images.ImageCreateSchema.typeName).toBe("containerd.services.images.v1.ImageCreate");
});

test("numbers with gaps are kept", () => {
  expect(numbers(tasks.CreateTaskRequestSchema)).toMatchObject({ container_id: 1, rootfs: 3, options: 9 });
  expect(numbers(images.ImageSchema)).toEqual({
    name: 1,
    labels: 2,
    target: 3,
    created_at: 7,
    updated_at: 8,
  });
  expect(numbers(types.DescriptorSchema)).toEqual({ media_type: 1, digest: 2, size: 3, annotations: 5 });
  expect(numbers(eventPayloads.SnapshotRemoveSchema)).toEqual({ key: 1, snapshotter: 5 });
  expect(numbers(ContainerStatusSchema)).toMatchObject({ image_id: 17, user: 18 });
});

test("a mount has the bytes that protobuf prescribes", () => {
  const mount = create(types.MountSchema, { type: "bind", source: "/a", options: ["ro"] });
  const expected = Buffer.from("0a0462696e6412022f612202726f", "hex");
  expect(Buffer.from(toBinary(types.MountSchema, mount))).toEqual(expected);
});

test("fields that are not declared here survive a round trip", () => {
  const windows = Buffer.from("0a034a02080112021234", "hex").subarray(5);
  const config = Buffer.concat([Buffer.from([0x4a, windows.length]), windows]);
  expect(Buffer.from(toBinary(PodSandboxConfigSchema, fromBinary(PodSandboxConfigSchema, config)))).toEqual(
    config,
  );
});
