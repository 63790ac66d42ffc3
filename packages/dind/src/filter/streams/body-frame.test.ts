import fc from "fast-check";
import { expect, test } from "vitest";
import { ChunkFrame, LengthFrame, type BodyFrame } from "./body-frame.ts";

/** What a frame makes of bytes that come in these pieces. */
function read(frame: BodyFrame, pieces: readonly Buffer[]) {
  const framed: Buffer[] = [];
  const data: Buffer[] = [];
  for (const piece of pieces) {
    if (frame.ended) break;
    const taken = frame.take(piece);
    framed.push(...taken.framed);
    data.push(...taken.data);
  }
  const text = Buffer.concat(framed).toString("latin1");
  return { text: frame.ended ? text + frame.closing : text, data: Buffer.concat(data), ended: frame.ended };
}

const split = (bytes: Buffer, at: readonly number[]): readonly Buffer[] => {
  const ends = [...new Set(at.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
};
const chunk = (data: Buffer, size = data.length.toString(16)) =>
  Buffer.concat([Buffer.from(`${size}\r\n`, "latin1"), data, Buffer.from("\r\n")]);

test("a length ends the body, whatever comes behind it", () => {
  const frame = new LengthFrame(5);
  expect(read(frame, [Buffer.from("abc"), Buffer.from("deGET /")])).toEqual({
    text: "abcde",
    data: Buffer.from("abcde"),
    ended: true,
  });
});

test("chunks in any pieces come out plain, without extensions, trailers and what is behind them", () => {
  const part = fc.record({
    data: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    extension: fc.constantFrom("", "", ";a=b", " ", ';q="x\t"', "\t;"),
    zeros: fc.constantFrom("", "", "00"),
  });
  const cuts = fc.array(fc.nat(), { maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }),
      cuts,
      fc.constantFrom("", "X: y\r\n"),
      (parts, at, trailer) => {
        const sizes = parts.map(({ data, zeros }) => zeros + data.length.toString(16));
        const bytes = Buffer.concat([
          ...parts.map(({ data, extension }, index) => chunk(Buffer.from(data), sizes[index] + extension)),
          Buffer.from(`0;last\r\n${trailer}\r\nGET /containers/json HTTP/1.1\r\n`),
        ]);
        const plain = parts.map(({ data }, index) => chunk(Buffer.from(data), sizes[index]));
        const text = `${Buffer.concat(plain).toString("latin1")}0\r\n\r\n`;
        const data = Buffer.concat(parts.map((each) => each.data));
        expect(read(new ChunkFrame(), split(bytes, at))).toEqual({ text, data, ended: true });
      },
    ),
  );
});

test("a plain chunk goes on in the buffer that it came in", () => {
  const bytes = Buffer.concat([chunk(Buffer.alloc(1000)), chunk(Buffer.alloc(10))]);
  const { framed } = new ChunkFrame().take(bytes);
  expect(framed.map(({ buffer, byteOffset, length }) => [buffer, byteOffset, length])).toEqual([
    [bytes.buffer, bytes.byteOffset, bytes.length],
  ]);
});

test.each([
  ["a bare line feed", "3\nabc\r\n"],
  ["no digits", "\r\nabc"],
  ["a sign", "+3\r\nabc\r\n"],
  ["a prefix", "0x3\r\nabc\r\n"],
  ["other letters", "g\r\n"],
  ["a space before", " 3\r\nabc\r\n"],
  ["too many digits", "0000000000003\r\nabc\r\n"],
  ["a carriage return in an extension", "3;a\rb\r\nabc\r\n"],
  ["a chunk that is longer than its size", "3\r\nabcd\r\n"],
  ["a chunk without its line end", "3\r\nabc3\r\n"],
  ["a line without end", `3;${"x".repeat(5000)}`],
  ["trailers without end", `0\r\n${"x: y\r\n".repeat(10_000)}`],
])("%s is refused, in one piece and byte by byte", (_what, text) => {
  const bytes = Buffer.from(text, "latin1");
  expect(() => read(new ChunkFrame(), [bytes])).toThrow("malformed");
  expect(() =>
    read(
      new ChunkFrame(),
      split(
        bytes,
        Array.from({ length: bytes.length }, (_, index) => index),
      ),
    ),
  ).toThrow("malformed");
});
