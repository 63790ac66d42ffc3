import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { AeonError } from "@aeon/core";
import { describeTree, difference } from "@aeon/testkit";
import { describe, expect, test } from "vitest";
import { layerFiles } from "../src/archive/blob-descriptor.ts";
import { parseKeyFile } from "../src/archive/encryption-key.ts";
import { layerFormats } from "../src/archive/frame-format.ts";
import { FrameIndex } from "../src/archive/frame-index.ts";
import { packFile, unpackFile, type LayerBlob } from "../src/archive/layer-file.ts";
import { readContent } from "../src/archive/read-content.ts";
import { readToc } from "../src/archive/toc-reader.ts";
import { ArchiveWorker } from "../src/worker/archive-worker.ts";
import { scratch, type Scratch } from "./scratch.ts";

const newKey = () => parseKeyFile(randomBytes(32), "test")[0];
const key = newKey();

/** A layer of several frames with words that must not be found in what is stored. */
async function packed(dir: Scratch, wrapping = key) {
  mkdirSync(dir.at("upper/secret-folder"), { recursive: true });
  writeFileSync(dir.at("upper/secret-folder/secret-name"), "secret-content ".repeat(1000));
  for (const name of ["large", "larger"]) writeFileSync(dir.at("upper", name), randomBytes(6_000_000));
  const source = dir.at("upper");
  return packFile({ source, target: dir.at("blob"), overlay: "trusted", level: 1, key: wrapping });
}

const unpack = (dir: Scratch, layer: LayerBlob, source = dir.at("blob"), keys = [key]) =>
  unpackFile({
    source,
    layer,
    target: dir.at(`out-${randomBytes(4).toString("hex")}`),
    overlay: "trusted",
    keys,
  });

/** The stored frames of an encrypted blob. */
function framesOf(blob: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < blob.length; at += frames.at(-1)?.length ?? blob.length)
    frames.push(blob.subarray(at, at + 8 + blob.readUInt32LE(at)));
  return frames;
}

test("an encrypted layer holds nothing in clear and gives all back with the key", async () => {
  using dir = scratch();
  const { layer } = await packed(dir);
  const files = layerFiles(dir.at("blob"));
  for (const file of Object.values(files)) {
    const bytes = readFileSync(file);
    expect(["secret", "ustar", "AEONIDX", "path"].filter((word) => bytes.includes(word))).toEqual([]);
    expect(bytes.includes(Buffer.from("28b52ffd", "hex"))).toBe(false);
  }
  expect([layer.index.mediaType, layer.toc.mediaType]).toEqual([
    "application/vnd.aeon.layer.index.v1+encrypted",
    "application/vnd.aeon.layer.toc.v1+zstd+encrypted",
  ]);
  expect(layer.cipher).toMatchObject({ algorithm: "AES-256-GCM", keyId: key.id });
  await unpackFile({
    source: files.layer,
    layer,
    target: dir.at("out"),
    overlay: "trusted",
    keys: [newKey(), key],
  });
  expect(difference(await describeTree(dir.at("upper")), await describeTree(dir.at("out")))).toEqual([]);
  const formats = layerFormats(layer.cipher, [key]);
  const index = FrameIndex.parse(readFileSync(files.index), formats);
  const blob = readFileSync(files.layer);
  const source = async (offset: number, length: number) => blob.subarray(offset, offset + length);
  const contents = new Map<string, Buffer>();
  for await (const entry of readToc(files.toc, layer.toc, formats.toc))
    contents.set(
      entry.path.toString(),
      Buffer.concat(await Array.fromAsync(readContent(source, index, entry))),
    );
  expect([...contents.keys()]).toEqual([
    ".",
    "large",
    "larger",
    "secret-folder",
    "secret-folder/secret-name",
  ]);
  expect(contents.get("larger")?.equals(readFileSync(dir.at("upper/larger")))).toBe(true);
});

test("no two layers share a key, so equal trees differ", async () => {
  using dir = scratch();
  using other = scratch();
  const [first, second] = [(await packed(dir)).layer, (await packed(other)).layer];
  expect(first.cipher?.wrappedKey).not.toBe(second.cipher?.wrappedKey);
  expect(readFileSync(dir.at("blob")).equals(readFileSync(other.at("blob")))).toBe(false);
});

describe("an encrypted layer is refused", () => {
  test("without its key, with another, and with a changed wrapped key", async () => {
    using dir = scratch();
    const { layer } = await packed(dir);
    for (const keys of [[], [newKey()]])
      await expect(unpack(dir, layer, dir.at("blob"), keys)).rejects.toMatchObject({
        reason: "ENCRYPTION_KEY_MISSING",
      });
    const { cipher } = layer;
    if (cipher === undefined) throw new Error("not encrypted");
    const wrapped = Buffer.from(cipher.wrappedKey, "base64");
    wrapped[20] = (wrapped[20] ?? 0) ^ 1;
    for (const wrappedKey of [wrapped.toString("base64"), ""])
      await expect(unpack(dir, { ...layer, cipher: { ...cipher, wrappedKey } })).rejects.toMatchObject({
        reason: "ARCHIVE_CORRUPT",
      });
  });

  test("with frames changed, exchanged, repeated, left out or cut off, whatever its digest says", async () => {
    using dir = scratch();
    using foreign = scratch();
    const { layer } = await packed(dir);
    await packed(foreign);
    const frames = framesOf(readFileSync(dir.at("blob")));
    const [a, b, c, ...rest] = frames;
    const [other] = framesOf(readFileSync(foreign.at("blob")));
    if (a === undefined || b === undefined || c === undefined || other === undefined)
      throw new Error("too few");
    const flipped = Buffer.from(b);
    flipped[b.length >> 1] = (flipped[b.length >> 1] ?? 0) ^ 4;
    const lying = Buffer.from(b);
    lying.writeUInt32LE(lying.readUInt32LE(4) + 1, 4);
    const changes = {
      changed: [a, flipped, c, ...rest],
      exchanged: [b, a, c, ...rest],
      repeated: [a, a, b, c, ...rest],
      "left out": [a, c, ...rest],
      "cut off": [a, b],
      "of another layer": [other, b, c, ...rest],
      "of another size": [a, lying, c, ...rest],
    };
    const outcomes: string[] = [];
    for (const [name, parts] of Object.entries(changes)) {
      const bytes = Buffer.concat(parts);
      writeFileSync(dir.at("changed"), bytes);
      const { createHash } = await import("node:crypto");
      const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      const forged = { ...layer, digest, size: bytes.length };
      const refusal: unknown = await unpack(dir, forged, dir.at("changed")).catch((error: unknown) => error);
      outcomes.push(`${name}: ${refusal instanceof Error ? refusal.message : "accepted"}`);
    }
    expect(outcomes.filter((outcome) => !outcome.includes("was changed or does not belong there"))).toEqual(
      [],
    );
  });
});

test("key files hold raw bytes or lines of base64, and errors do not show them", () => {
  const [a, b] = [randomBytes(32), randomBytes(32)];
  const lines = `# current\n${a.toString("base64")}\n\n${b.toString("base64")}\n`;
  const keys = parseKeyFile(Buffer.from(lines), "keys");
  expect(keys.map(({ secret }) => secret)).toEqual([a, b].map((each) => each.toString("base64")));
  expect(keys[0].id).toBe(parseKeyFile(a, "raw")[0].id);
  const bad = ["", "# only\n", "short", `${randomBytes(31).toString("base64")}\n`, `${a.toString("hex")}\n`];
  const messages = bad.map((text) => refusalOf(() => parseKeyFile(Buffer.from(text), "the file")));
  expect(messages.map((message) => message.startsWith("the file holds"))).toEqual(bad.map(() => true));
  expect(messages.filter((message, at) => message.includes((bad[at] ?? "").slice(0, 12) || "\0"))).toEqual(
    [],
  );
});

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof AeonError && error.reason === "ENCRYPTION_KEY_INVALID") return error.message;
  }
  return "accepted";
}

test("a worker process gets the keys over its input", async () => {
  using dir = scratch();
  mkdirSync(dir.at("upper"));
  writeFileSync(dir.at("upper/file"), "content");
  await using worker = new ArchiveWorker(undefined, [key]);
  const { signal } = new AbortController();
  const request = { source: dir.at("upper"), target: dir.at("blob"), overlay: "trusted", level: 1 } as const;
  const { layer } = await worker.pack(request, signal);
  expect(layer.cipher?.keyId).toBe(key.id);
  await worker.unpack({ source: dir.at("blob"), layer, target: dir.at("out"), overlay: "trusted" }, signal);
  expect(readFileSync(dir.at("out/file"), "utf8")).toBe("content");
  await using keyless = new ArchiveWorker();
  await expect(
    keyless.unpack({ source: dir.at("blob"), layer, target: dir.at("no"), overlay: "trusted" }, signal),
  ).rejects.toMatchObject({ reason: "ENCRYPTION_KEY_MISSING" });
});
