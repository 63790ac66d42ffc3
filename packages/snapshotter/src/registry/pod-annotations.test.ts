import { expect, test } from "vitest";
import { podAnnotations } from "./pod-annotations.ts";

const extensions = (value: unknown) => ({
  "io.cri-containerd.sandbox.metadata": { value: Buffer.from(JSON.stringify(value)) },
});

test("gives those that are meant for aeon", () => {
  const annotations = { "backup.container.io/schedule": "0 3 * * *", "example.com/large": "x" };
  expect(podAnnotations(extensions({ Version: "v1", Metadata: { Config: { annotations } } }))).toEqual({
    "backup.container.io/schedule": "0 3 * * *",
  });
});

test.each([
  {},
  extensions({}),
  extensions({ Metadata: { Config: {} } }),
  extensions({ Metadata: { Config: { annotations: { a: 1 } } } }),
  { "io.cri-containerd.sandbox.metadata": { value: Buffer.from("{") } },
])("gives none where there are none (%#)", (record) => {
  expect(podAnnotations(record)).toEqual({});
});
