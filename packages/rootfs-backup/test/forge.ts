import { closeSync, openSync } from "node:fs";
import { FrameWriter } from "../src/archive/frame-writer.ts";
import { unpackFile, type VerifiableLayer } from "../src/archive/layer-file.ts";
import { padding, type TarEntry } from "../src/archive/tar-entry.ts";
import { encodeHeader } from "../src/archive/tar-header.ts";
import type { Scratch } from "./scratch.ts";

/** An entry as a hostile writer makes it: anything goes. */
export type Forged = Partial<Omit<TarEntry, "path" | "target">> & {
  readonly path: string | Buffer;
  readonly target?: string;
  readonly data?: string | Buffer;
};

const plain = { type: "file", mode: 0o755, uid: 0, gid: 0, mtime: 0n, xattrs: [] } as const;

/** The raw archive of the entries, with its end mark. */
export function forgeTar(entries: readonly Forged[]): Buffer {
  const blocks = entries.flatMap(({ path, target, data, ...rest }) => {
    const bytes = Buffer.from(data ?? "");
    const entry: TarEntry = {
      ...plain,
      size: bytes.length,
      ...rest,
      path: Buffer.from(path),
      ...(target !== undefined && { target: Buffer.from(target) }),
    };
    return [encodeHeader(entry), bytes, Buffer.alloc(padding(bytes.length))];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** Compresses bytes into a blob whose digests are right, whatever they hold. */
export async function forgeBlob(raw: Buffer, target: string, entries: number): Promise<VerifiableLayer> {
  const fd = openSync(target, "w");
  try {
    await using writer = new FrameWriter(fd, { level: 1, parallel: 1 });
    writer.write(raw);
    return { ...(await writer.finish()), entries };
  } finally {
    closeSync(fd);
  }
}

/** Unpacks the bytes below `dir` as a layer. */
export async function unpackForged(raw: Buffer, dir: Scratch, entries = 1000): Promise<void> {
  const layer = await forgeBlob(raw, dir.at("blob"), entries);
  await unpackFile({ source: dir.at("blob"), layer, target: dir.at("out"), overlay: "trusted" });
}
