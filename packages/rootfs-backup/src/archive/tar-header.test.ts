import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader } from "./byte-reader.ts";
import type { TarEntry } from "./tar-entry.ts";
import { encodeHeader } from "./tar-header.ts";
import { TarReader } from "./tar-reader.ts";

const byte = fc.integer({ min: 1, max: 255 });
const bytes = (most: number) =>
  fc.array(byte, { minLength: 1, maxLength: most }).map((values) => Buffer.from(values));
const path = bytes(300).filter((value) => value.at(-1) !== 0x2f);
const id = fc.oneof(fc.nat({ max: 0o7777777 }), fc.integer({ min: 0o10000000, max: 2 ** 32 - 2 }));
const xattrs = fc.uniqueArray(
  fc.record({ name: bytes(40), value: fc.uint8Array({ maxLength: 100 }).map((value) => Buffer.from(value)) }),
  { maxLength: 3, selector: ({ name }) => name.toString("latin1") },
);

const entry: fc.Arbitrary<TarEntry> = fc
  .record({
    path,
    mode: fc.nat({ max: 0o7777 }),
    uid: id,
    gid: id,
    mtime: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
    xattrs,
  })
  .chain((common) =>
    fc.oneof(
      fc
        .constantFrom("file" as const, "directory" as const, "fifo" as const)
        .map((type) => Object.assign({ type, size: 0 }, common)),
      fc
        .record({ type: fc.constantFrom("link" as const, "symlink" as const), target: bytes(300) })
        .map((rest) => Object.assign({ size: 0 }, common, rest)),
      fc
        .record({
          type: fc.constantFrom("character" as const, "block" as const),
          device: fc.record({ major: fc.nat({ max: 4095 }), minor: fc.nat({ max: 1_048_575 }) }),
        })
        .map((rest) => Object.assign({ size: 0 }, common, rest)),
    ),
  );

async function* chunks(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < data.length; start += size) yield data.subarray(start, start + size);
}

async function read(data: Buffer, chunk: number): Promise<TarEntry[]> {
  const tar = new TarReader(new ByteReader(chunks(data, chunk)));
  const entries: TarEntry[] = [];
  for (let next = await tar.next(); next !== undefined; next = await tar.next()) entries.push(next);
  return entries;
}

test("headers survive, however the archive is cut into chunks", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 4 }),
      fc.constantFrom(1, 100, 512, 5000),
      async (entries, chunk) => {
        const data = Buffer.concat([...entries.map(encodeHeader), Buffer.alloc(1024)]);
        expect(await read(data, chunk)).toEqual(entries);
      },
    ),
  );
});

test("a plain file takes one block, and no time of day slips in", () => {
  const plain: TarEntry = {
    path: Buffer.from("a"),
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 5_000_000_000n,
    size: 3,
    xattrs: [],
  };
  expect(encodeHeader(plain)).toHaveLength(512);
  expect(encodeHeader(plain)).toEqual(encodeHeader({ ...plain }));
});

test("sizes beyond eight gibibytes survive", async () => {
  const size = 2 ** 40 + 1;
  const large: TarEntry = {
    path: Buffer.from("a"),
    type: "file",
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0n,
    size,
    xattrs: [],
  };
  const tar = new TarReader(new ByteReader(chunks(encodeHeader(large), 512)));
  expect(await tar.next()).toEqual(large);
});
