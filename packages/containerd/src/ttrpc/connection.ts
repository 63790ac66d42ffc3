import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { AeonError, codeOfGrpcStatus, grpcStatusOf, toAeonError, type ErrorCode } from "@aeon/core";
import { RequestSchema, ResponseSchema, type Request } from "@aeon/proto/ttrpc";
import { errors } from "../errors.ts";
import { encodeFrame, FrameReader, frameType, type Frame } from "./frame.ts";

/** A stream of bytes in both directions that keeps messages apart for sending. */
export interface MessageStream {
  /** Sends one whole message; a closed stream drops it. */
  send(message: Buffer): void;
  onBytes(listener: (bytes: Buffer) => void): void;
  onClose(listener: (cause: Error) => void): void;
}

/** What a handler learns about a call. */
export interface TtrpcCall {
  /** Aborted when the caller's time is over or the connection ends. */
  readonly signal: AbortSignal;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Answers a call of a service with the bytes of its reply. */
export type TtrpcHandler = (payload: Uint8Array, call: TtrpcCall) => Promise<Uint8Array>;

/** The handler of a method, or undefined when there is none. */
export type TtrpcRouter = (service: string, method: string) => TtrpcHandler | undefined;

export interface TtrpcCallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds; the server is told too. */
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

interface Pending {
  readonly method: string;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

const noHandlers: TtrpcRouter = () => undefined;

/** Serves calls on a stream until it ends. */
export function serveTtrpc(stream: MessageStream, router: TtrpcRouter): TtrpcConnection {
  return new TtrpcConnection(stream, router);
}

/** ttrpc's unary calls on one stream, as client and, with a router, as server. */
export class TtrpcConnection {
  readonly #stream: MessageStream;
  readonly #router: TtrpcRouter;
  readonly #reader = new FrameReader();
  readonly #pending = new Map<number, Pending>();
  readonly #ended = new AbortController();
  #nextId = 1;

  constructor(stream: MessageStream, router: TtrpcRouter = noHandlers) {
    this.#stream = stream;
    this.#router = router;
    stream.onBytes((bytes) => {
      for (const frame of this.#reader.push(bytes)) this.#receive(frame);
    });
    stream.onClose((cause) => this.#close(cause));
  }

  /** Calls a method of the peer. Rejects with the peer's status, or when signal, time or connection end. */
  async call(
    service: string,
    method: string,
    payload: Uint8Array,
    options: TtrpcCallOptions = {},
  ): Promise<Uint8Array> {
    const { signal, timeoutMs, metadata = {} } = options;
    const limits = [
      this.#ended.signal,
      ...(signal ? [signal] : []),
      ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)]),
    ];
    const limit = AbortSignal.any(limits);
    const name = `${service}/${method}`;
    const streamId = this.#nextId;
    this.#nextId += 2;
    const request = create(RequestSchema, {
      service,
      method,
      payload,
      timeoutNano: BigInt(timeoutMs ?? 0) * 1_000_000n,
      metadata: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    });
    const frame = encodeFrame(streamId, frameType.request, toBinary(RequestSchema, request));
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const abort = (): void => reject(toAeonError(limit.reason, name));
    this.#pending.set(streamId, { method: name, resolve, reject });
    limit.addEventListener("abort", abort, { once: true });
    if (limit.aborted) abort();
    else this.#stream.send(frame);
    try {
      return await promise;
    } finally {
      this.#pending.delete(streamId);
      limit.removeEventListener("abort", abort);
    }
  }

  #receive(frame: Frame): void {
    if (frame.type === frameType.response) this.#settle(frame);
    else if (frame.type === frameType.request) void this.#serve(frame);
    // Data frames belong to streams, which nobody here opens.
  }

  #settle({ streamId, data }: Frame): void {
    const pending = this.#pending.get(streamId);
    if (pending === undefined) return;
    try {
      if (data === undefined)
        throw errors.TTRPC_MESSAGE_TOO_LARGE(`the reply to ${pending.method} is more than 4 MiB`);
      const { status, payload } = fromBinary(ResponseSchema, data);
      if (status === undefined || status.code === 0) return pending.resolve(payload);
      const code = codeOfGrpcStatus(status.code);
      throw new AeonError(code, reasonOf(code), `${pending.method}: ${status.message || code}`);
    } catch (error) {
      pending.reject(toAeonError(error, pending.method));
    }
  }

  async #serve({ streamId, data }: Frame): Promise<void> {
    const reply = await this.#answer(data).then(
      (payload) => create(ResponseSchema, { payload }),
      (error: unknown) => create(ResponseSchema, { status: statusOf(error) }),
    );
    this.#reply(streamId, toBinary(ResponseSchema, reply));
  }

  #reply(streamId: number, bytes: Uint8Array): void {
    let frame: Buffer;
    try {
      frame = encodeFrame(streamId, frameType.response, bytes);
    } catch (error) {
      const refusal = create(ResponseSchema, { status: statusOf(error) });
      frame = encodeFrame(streamId, frameType.response, toBinary(ResponseSchema, refusal));
    }
    this.#stream.send(frame);
  }

  async #answer(data: Buffer | undefined): Promise<Uint8Array> {
    if (data === undefined) throw errors.TTRPC_MESSAGE_TOO_LARGE("the request is more than 4 MiB");
    const request = fromBinary(RequestSchema, data);
    const handler = this.#router(request.service, request.method);
    if (handler === undefined)
      throw errors.TTRPC_METHOD_UNKNOWN(`there is no ${request.service}/${request.method}`);
    return handler(request.payload, this.#callOf(request));
  }

  #callOf({ timeoutNano, metadata }: Request): TtrpcCall {
    const limit = timeoutNano > 0n ? [AbortSignal.timeout(Number(timeoutNano / 1_000_000n) + 1)] : [];
    return {
      signal: AbortSignal.any([this.#ended.signal, ...limit]),
      metadata: new Map(metadata.map(({ key, value }) => [key, value])),
    };
  }

  #close(cause: Error): void {
    const error = errors.CONNECTION_CLOSED(`the ttrpc connection has ended: ${cause.message}`, { cause });
    this.#ended.abort(error);
    for (const { reject } of this.#pending.values()) reject(error);
  }
}

const reasonOf = (code: ErrorCode): string => `GRPC_${code.toUpperCase().replaceAll("-", "_")}`;

function statusOf(error: unknown): { code: number; message: string } {
  const { code, message } = toAeonError(error, "ttrpc");
  return { code: grpcStatusOf(code), message };
}
