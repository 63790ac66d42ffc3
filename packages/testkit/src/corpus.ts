import { writeSync } from "node:fs";

/** Longer than the window of zstd at its usual levels, so that a second round is no repetition to it. */
const corpusSize = 64 << 20;
const segmentSize = 128 << 10;
const noiseShare = 0.22;
const wordCount = 6000;

/** Text and data of which zstd leaves about two fifths, in an endless round. */
export class Corpus {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(random: () => number) {
    this.#bytes = Buffer.allocUnsafe(corpusSize);
    const words = Array.from({ length: wordCount }, () =>
      Buffer.from(Array.from({ length: 2 + Math.floor(random() * 9) }, () => 97 + Math.floor(random() * 26))),
    );
    for (let at = 0; at < corpusSize; at += segmentSize) {
      const segment = this.#bytes.subarray(at, at + segmentSize);
      if (random() < noiseShare) fillWithNoise(segment, random);
      else fillWithWords(segment, words, random);
    }
  }

  /** Writes the next bytes of it to an open file. */
  write(fd: number, size: number): void {
    for (let left = size; left > 0;) {
      const written = writeSync(
        fd,
        this.#bytes,
        this.#at,
        Math.min(left, segmentSize, corpusSize - this.#at),
      );
      left -= written;
      this.#at = (this.#at + written) % corpusSize;
    }
  }
}

function fillWithNoise(segment: Buffer, random: () => number): void {
  for (let at = 0; at < segment.length; at += 4) segment.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
}

/** The first words come more often than the last. */
function fillWithWords(segment: Buffer, words: readonly Buffer[], random: () => number): void {
  for (let at = 0; at < segment.length;) {
    at += words[Math.floor(random() ** 2 * words.length)]?.copy(segment, at) ?? 0;
    if (at < segment.length) segment[at++] = random() < 0.1 ? 0x0a : 0x20;
  }
}
