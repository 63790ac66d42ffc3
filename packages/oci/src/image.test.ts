import fc from "fast-check";
import { expect, test } from "vitest";
import { digestOf } from "./digest.ts";
import { parseConfig, parseDescriptor, parseIndex, parseManifest } from "./image.ts";

const descriptor = { mediaType: "application/x", digest: digestOf("x"), size: 1 };

test("unknown members are kept", () => {
  const text = JSON.stringify({ ...descriptor, "x-new": { deep: [1] } });
  expect(JSON.stringify(parseDescriptor(text))).toBe(text);
});

test("Docker's nulls are accepted where it writes them", () => {
  const config = {
    architecture: "amd64",
    os: "linux",
    rootfs: { type: "layers", diff_ids: [] },
    config: { Entrypoint: null },
  };
  expect(parseConfig(JSON.stringify(config)).config?.Entrypoint).toBeNull();
});

test.each([
  ["size", { ...descriptor, size: -1 }],
  ["size", { ...descriptor, size: 1.5 }],
  ["digest", { ...descriptor, digest: "sha256:../../x" }],
])("a wrong %s is named", (member, value) => {
  expect(() => parseDescriptor(JSON.stringify(value))).toThrow(
    expect.objectContaining({ reason: "DOCUMENT_MALFORMED", message: expect.stringContaining(member) }),
  );
});

test("whatever JSON comes, parsers give a document or DOCUMENT_MALFORMED", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      for (const read of [parseIndex, parseManifest, parseConfig, parseDescriptor])
        expect(() => read(text)).toThrow(expect.objectContaining({ reason: "DOCUMENT_MALFORMED" }));
    }),
  );
});
