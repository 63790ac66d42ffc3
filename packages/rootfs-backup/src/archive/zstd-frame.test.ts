import { zstdCompressSync, constants } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { zstdFrame } from "./zstd-frame.ts";

const checksummed = (bytes: Uint8Array): Buffer => {
  const options = { params: { [constants.ZSTD_c_checksumFlag]: 1 }, pledgedSrcSize: bytes.length };
  return zstdCompressSync(bytes, options);
};

test("measures frames of any content, and asks for more while one is not whole", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat({ max: 3 }), (bytes, repeat) => {
      const raw = Buffer.concat(Array.from({ length: repeat * 100 + 1 }, () => bytes));
      const frame = checksummed(raw);
      expect(zstdFrame(Buffer.concat([frame, Buffer.from("next")]))).toEqual({
        length: frame.length,
        rawLength: raw.length,
      });
      for (const length of [0, 4, 5, frame.length - 1])
        expect(zstdFrame(frame.subarray(0, length))).toBeUndefined();
    }),
  );
});

test("measures frames of several blocks", () => {
  const raw = Buffer.alloc(3_000_000, "abcdefg");
  expect(zstdFrame(checksummed(raw))?.rawLength).toBe(raw.length);
});

test.each([
  ["without a checksum", zstdCompressSync("x", { params: { [constants.ZSTD_c_checksumFlag]: 0 } })],
  ["of another format", Buffer.from("\u001f\u008b gzip, not zstd")],
  ["that may be skipped", Buffer.from("502a4d1804000000deadbeef00", "hex")],
])("refuses a frame %s", (_what, bytes) => {
  expect(() => zstdFrame(bytes)).toThrow(/checksummed zstd frame/);
});

test("refuses a frame that claims to be huge", () => {
  const frame = Buffer.from("28b52ffde4ffffffffff0f0000000000", "hex");
  expect(() => zstdFrame(frame)).toThrow(/frame of \d+ bytes/);
});
