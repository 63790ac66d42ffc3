import { errors } from "../errors.ts";

/** An object of etcd's largest, as JSON inside an event, stays far below. */
const lineLimit = 16 * 1024 * 1024;

/** Splits a stream at line ends. Rejects with `KUBE_ANSWER_INVALID` on a line that is too long; drops a last torn one. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(10, start);
      if (end === -1) break;
      rest.push(chunk.subarray(start, end));
      const line = Buffer.concat(rest).toString("utf8");
      rest = [];
      size = 0;
      start = end + 1;
      if (line !== "") yield line;
    }
    const tail = chunk.subarray(start);
    size += tail.length;
    if (size > lineLimit)
      throw errors.KUBE_ANSWER_INVALID(`a line of a watch is longer than ${lineLimit} bytes`);
    if (tail.length > 0) rest.push(tail);
  }
}
