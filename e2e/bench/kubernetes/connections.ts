import { once } from "node:events";
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";

/** The API server allows 250 streams on a connection. */
const streamsEach = 200;

/** HTTP/2 connections to an API server that many simulated clients share. */
export class Connections implements Disposable {
  readonly #access: { readonly url: string; readonly ca: string; readonly token: string };
  readonly #sessions: ClientHttp2Session[] = [];
  #opened = 0;

  constructor(access: { readonly url: string; readonly ca: string; readonly token: string }) {
    this.#access = access;
  }

  /** Makes a call and answers its status and the size of its body in bytes. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    contentType = "application/json",
  ): Promise<{ readonly status: number; readonly bytes: number }> {
    const stream = this.#request(this.#shared(), method, path, contentType, body);
    let status = 0;
    let bytes = 0;
    stream.on("response", (headers) => (status = Number(headers[":status"])));
    stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
    // A server that answers before it has read all of a request resets the stream after its answer.
    await once(stream, "close");
    if (status === 0) throw new Error(`${method} ${path}: the server closed the stream without an answer`);
    return { status, bytes };
  }

  /** Opens a watch and resolves when the server has answered. */
  async watch(path: string, onBytes: (bytes: number) => void): Promise<void> {
    const index = Math.floor(this.#opened / streamsEach) + callSessions;
    this.#opened += 1;
    const stream = this.#request(this.#session(index), "GET", path, "application/json");
    stream.on("data", (chunk: Buffer) => onBytes(chunk.length));
    stream.on("error", () => {});
    const [headers] = await once(stream, "response");
    if (headers[":status"] !== 200) throw new Error(`a watch was refused with ${headers[":status"]}`);
  }

  #next = 0;
  #shared(): ClientHttp2Session {
    this.#next = (this.#next + 1) % callSessions;
    return this.#session(this.#next);
  }

  #session(index: number): ClientHttp2Session {
    const known = this.#sessions[index];
    if (known !== undefined && !known.destroyed) return known;
    const session = connect(this.#access.url, { ca: this.#access.ca });
    session.on("error", () => {});
    this.#sessions[index] = session;
    return session;
  }

  #request(
    session: ClientHttp2Session,
    method: string,
    path: string,
    contentType: string,
    body?: unknown,
  ): ClientHttp2Stream {
    const stream = session.request(
      {
        ":method": method,
        ":path": path,
        authorization: `Bearer ${this.#access.token}`,
        accept: "application/json",
        ...(body !== undefined && { "content-type": contentType }),
      },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(JSON.stringify(body));
    return stream;
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session?.destroy();
  }
}

/** Connections for calls; watches have others. */
const callSessions = 4;

/** Runs `work` for 0 … count-1, `width` at a time, until the deadline; answers how many were done. */
export async function inParallel(
  count: number,
  width: number,
  work: (index: number) => Promise<void>,
  deadline = Infinity,
): Promise<number> {
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < count && performance.now() < deadline) {
      const index = next;
      next += 1;
      await work(index);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return done;
}
