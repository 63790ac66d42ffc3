import { Header } from "tar";

/** A regular file of an archive whose size is known before its content. */
export interface TarMember {
  readonly path: string;
  /** Bytes that {@link TarMember.content} gives, exactly. */
  readonly size: number;
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const blockSize = 512;

/** Streams members as one tar, holding no more than a chunk in memory; the same members give the same bytes. */
export async function* tarOf(members: Iterable<TarMember>): AsyncGenerator<Uint8Array, void> {
  for (const { path, size, content } of members) {
    const header = Buffer.alloc(blockSize);
    new Header({ path, size, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0), type: "File" }).encode(header);
    yield header;
    yield* content;
    yield Buffer.alloc((blockSize - (size % blockSize)) % blockSize);
  }
  yield Buffer.alloc(2 * blockSize);
}
