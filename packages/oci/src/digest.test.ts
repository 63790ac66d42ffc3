import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { chainId, chainIds } from "./chain-id.ts";
import { digestOf, digestParts, DigestStream, parseDigest } from "./digest.ts";

test("the digest of nothing is the well-known one", () => {
  expect(digestOf("")).toBe("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

test("a stream in any chunks has the digest and size of its bytes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), async (chunks) => {
      const stream = new DigestStream();
      await pipeline(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), stream.resume());
      const whole = Buffer.concat(chunks);
      expect([stream.digest, stream.size]).toEqual([digestOf(whole), whole.length]);
    }),
  );
});

test.each([
  "",
  "sha256:",
  `sha256:${"A".repeat(64)}`,
  `sha256:${"a".repeat(63)}`,
  `md5:${"a".repeat(32)}`,
  `sha256:${"a".repeat(64)}\n`,
  "../etc",
])("%j is refused as a digest", (text) =>
  expect(() => parseDigest(text)).toThrow(expect.objectContaining({ reason: "DIGEST_MALFORMED" })),
);

test("parts of a digest make it again", () => {
  const digest = digestOf("x");
  const { algorithm, hex } = digestParts(digest);
  expect(`${algorithm}:${hex}`).toBe(digest);
  expect(digestParts(parseDigest(`sha512:${"0".repeat(128)}`)).algorithm).toBe("sha512");
});

test("chain ids follow the specification's recursion", () => {
  const [a, b, c] = ["a", "b", "c"].map(digestOf);
  if (!a || !b || !c) throw new Error("three digests");
  const two = digestOf(`${a} ${b}`);
  expect(chainIds([a, b, c])).toEqual([a, two, digestOf(`${two} ${c}`)]);
  expect(chainId([])).toBeUndefined();
});
