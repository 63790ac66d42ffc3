import { createHash, randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { expect, test } from "vitest";
import { BackgroundSha256 } from "./sha256.ts";
import { ZstdContext } from "./zstd.ts";

test("digests in the background are those of node:crypto, in the order of the calls", async () => {
  const pieces = [randomBytes(3_000_000), Buffer.alloc(0), randomBytes(5), randomBytes(1_000_000)];
  const hash = new BackgroundSha256();
  for (const piece of pieces) void hash.update(piece);
  expect(await hash.digest()).toBe(createHash("sha256").update(Buffer.concat(pieces)).digest("hex"));
});

test("frames of a kept context carry size and checksum, and are the same each time", async () => {
  using context = ZstdContext.create(3);
  if (context === undefined) throw new Error("this Node does not export zstd");
  for (const size of [0, 1, 1000, 3_000_000]) {
    const bytes = Buffer.from(
      randomBytes(Math.ceil(size / 2))
        .toString("hex")
        .slice(0, size),
    );
    const [first, second] = [0, 0].map(() => Buffer.alloc(ZstdContext.bound(size)));
    if (first === undefined || second === undefined) throw new Error("no memory");
    const length = await context.compress(bytes, first);
    expect(await context.compress(bytes, second)).toBe(length);
    expect(second.equals(first)).toBe(true);
    expect(zstdDecompressSync(first.subarray(0, length)).equals(bytes)).toBe(true);
    // RFC 8878, 3.1.1.1.1: the checksum flag.
    expect((first[4] ?? 0) & 4).toBe(4);
    const damaged = Buffer.from(first.subarray(0, length));
    damaged[length - 1] = (damaged[length - 1] ?? 0) ^ 1;
    expect(() => zstdDecompressSync(damaged)).toThrow("checksum");
  }
  await expect(context.compress(randomBytes(1000), Buffer.alloc(10))).rejects.toThrow(RangeError);
});
