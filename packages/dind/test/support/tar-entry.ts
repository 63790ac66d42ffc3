export interface TarEntry {
  readonly content?: string;
  /** Of the content, where that follows elsewhere. */
  readonly size?: number;
  readonly type?: string;
  readonly link?: string;
  readonly device?: readonly [major: number, minor: number];
}

/** One member of a tar, whatever is in its head. */
export function tarEntry(name: string, entry: TarEntry = {}): Buffer {
  const { content = "", size = content.length, type = "0", link = "", device = [0, 0] } = entry;
  const block = Buffer.alloc(512 + Math.ceil(content.length / 512) * 512);
  block.write(name, "latin1");
  block.write(octal(0o644, 7) + octal(0, 7) + octal(0, 7) + octal(size, 11) + octal(0, 11), 100);
  block.write(" ".repeat(8) + type + link, 148);
  block.write("ustar", 257);
  block.write("00", 263);
  block.write(octal(device[0], 7) + octal(device[1], 7), 329);
  block.write(content, 512);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)} `, 148);
  return block;
}

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length, "0")}\u0000`;

/** What ends a tar. */
export const tarEnd = Buffer.alloc(1024);
