import {
  create,
  type DescMethod,
  type Message,
  type MessageInitShape,
  type DescMessage,
} from "@bufbuild/protobuf";
import type { CallOptions as GrpcCallOptions, ServiceError } from "@grpc/grpc-js";
import type { Caller } from "@aeon/core";
import { errors } from "../errors.ts";
import { GrpcChannel, type ChannelAddress } from "./channel.ts";
import { metadataOf } from "./metadata.ts";
import { pump } from "./pump.ts";
import { methodDefinition } from "./service-definition.ts";
import { methodsOf, type AnyService, type CallOptions, type GrpcClient } from "./service-types.ts";
import { errorOfAbort, errorOfStatus, type CallLimits } from "./status.ts";

type Init = MessageInitShape<DescMessage>;

interface Method {
  readonly channel: GrpcChannel;
  readonly desc: DescMethod;
  readonly definition: ReturnType<typeof methodDefinition>;
  readonly defaults: Caller;
}

/** Anything with grpc-js's `cancel`. */
interface Cancelable {
  cancel(): void;
}

const describe = (method: Method): string => `${method.desc.parent.typeName}/${method.desc.name}`;

/** A call's options with the deadline as a point in time. */
interface Limits extends CallLimits {
  readonly metadata?: Caller;
}

function limitsOf({ deadline, ...rest }: CallOptions = {}): Limits {
  if (deadline === undefined) return rest;
  return { ...rest, deadline: typeof deadline === "number" ? Date.now() + deadline : deadline.getTime() };
}

const settingsOf = ({ deadline }: Limits): GrpcCallOptions => (deadline === undefined ? {} : { deadline });

const metadataFor = (method: Method, limits: Limits) =>
  metadataOf({ ...method.defaults, ...limits.metadata });

/** Cancels the call when the signal fires or has fired; returns how to stop listening. */
function cancelOn(signal: AbortSignal | undefined, call: Cancelable): () => void {
  if (signal === undefined) return () => {};
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return () => signal.removeEventListener("abort", cancel);
}

function checkSignal(method: Method, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw errorOfAbort(signal.reason, describe(method));
}

/** What every call waits for before it starts. */
async function ready(method: Method, { signal, deadline }: Limits): Promise<void> {
  checkSignal(method, signal);
  const reconnected = started(method, () => method.channel.reconnected(deadline));
  if (reconnected === undefined) return;
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal?.addEventListener("abort", abort, { once: true });
  await Promise.race([reconnected, aborted.promise]);
  signal?.removeEventListener("abort", abort);
  checkSignal(method, signal);
}

/** grpc-js throws at once on a closed channel. */
function started<Call>(method: Method, start: () => Call): Call {
  try {
    return start();
  } catch (error) {
    const { address } = method.channel;
    throw errors.CONNECTION_CLOSED(`${describe(method)}: the connection to ${address} was closed`, {
      cause: error,
    });
  }
}

/** Runs one call with a single reply; `start` gets grpc-js's callback. */
function reply(
  method: Method,
  limits: Limits,
  start: (done: (error: ServiceError | null, value?: Message) => void) => Cancelable,
): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const cleanup: (() => void)[] = [];
  const call = started(method, () =>
    start((error, value) => {
      for (const step of cleanup) step();
      if (value === undefined) reject(errorOfStatus(error, describe(method), limits));
      else resolve(value);
    }),
  );
  cleanup.push(cancelOn(limits.signal, call));
  return promise;
}

async function unary(method: Method, request: Init, limits: Limits): Promise<Message> {
  await ready(method, limits);
  const { path, requestSerialize, responseDeserialize } = method.definition;
  const message = create(method.desc.input, request);
  return reply(method, limits, (done) =>
    method.channel.raw.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      message,
      metadataFor(method, limits),
      settingsOf(limits),
      done,
    ),
  );
}

async function clientStream(method: Method, requests: AsyncIterable<Init>, limits: Limits): Promise<Message> {
  await ready(method, limits);
  const { path, requestSerialize, responseDeserialize } = method.definition;
  let ended = false;
  let sourceError: { readonly error: unknown } | undefined;
  try {
    return await reply(method, limits, (done) => {
      const call = method.channel.raw.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadataFor(method, limits),
        settingsOf(limits),
        (error, value) => {
          ended = true;
          done(error, value);
        },
      );
      pump(method.desc.input, requests, call, () => ended).catch((error: unknown) => {
        sourceError = { error };
        call.cancel();
      });
      return call;
    });
  } catch (error) {
    throw sourceError === undefined ? error : sourceError.error;
  }
}

/** The readable half of a call. */
type Source = Cancelable & AsyncIterable<Message> & { on(event: "error", listener: () => void): unknown };

/** Reads a started call; leaving the loop early cancels the call on the server. */
async function* read(
  method: Method,
  limits: Limits,
  source: Source,
  sourceError: () => { readonly error: unknown } | undefined = () => undefined,
): AsyncGenerator<Message, void, undefined> {
  const stop = cancelOn(limits.signal, source);
  try {
    yield* source;
  } catch (error) {
    const failed = sourceError();
    throw failed === undefined ? errorOfStatus(error, describe(method), limits) : failed.error;
  } finally {
    stop();
    source.cancel();
  }
}

async function* serverStream(
  method: Method,
  request: Init,
  limits: Limits,
): AsyncGenerator<Message, void, undefined> {
  await ready(method, limits);
  const { path, requestSerialize, responseDeserialize } = method.definition;
  const call = started(method, () =>
    method.channel.raw.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.desc.input, request),
      metadataFor(method, limits),
      settingsOf(limits),
    ),
  );
  // The iterator reports errors; this listener only keeps a late one from ending the process.
  call.on("error", () => {});
  yield* read(method, limits, call);
}

async function* bidiStream(
  method: Method,
  requests: AsyncIterable<Init>,
  limits: Limits,
): AsyncGenerator<Message, void, undefined> {
  await ready(method, limits);
  const { path, requestSerialize, responseDeserialize } = method.definition;
  const call = started(method, () =>
    method.channel.raw.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadataFor(method, limits),
      settingsOf(limits),
    ),
  );
  let ended = false;
  let sourceError: { readonly error: unknown } | undefined;
  call.on("error", () => {});
  call.on("status", () => (ended = true));
  pump(method.desc.input, requests, call, () => ended).catch((error: unknown) => {
    sourceError = { error };
    call.cancel();
  });
  yield* read(method, limits, call, () => sourceError);
}

const callers = {
  unary: (method: Method) => (request: Init, options?: CallOptions) =>
    unary(method, request, limitsOf(options)),
  client_streaming: (method: Method) => (requests: AsyncIterable<Init>, options?: CallOptions) =>
    clientStream(method, requests, limitsOf(options)),
  server_streaming: (method: Method) => (request: Init, options?: CallOptions) =>
    serverStream(method, request, limitsOf(options)),
  bidi_streaming: (method: Method) => (requests: AsyncIterable<Init>, options?: CallOptions) =>
    bidiStream(method, requests, limitsOf(options)),
} as const;

/**
 * Makes a typed client of a service. Give it a {@link GrpcChannel} to share one connection among services, or
 * an address for a connection that lasts as long as the process. Streams start with the first `next()`; leaving
 * their loop cancels them. Every failure is an AeonError.
 */
export function createGrpcClient<Service extends AnyService>(
  service: Service,
  target: GrpcChannel | ChannelAddress,
  defaults: Caller = {},
): GrpcClient<Service> {
  const channel = target instanceof GrpcChannel ? target : new GrpcChannel(target);
  const methods = methodsOf(service).map((desc) => {
    const method: Method = { channel, desc, definition: methodDefinition(desc), defaults };
    return [desc.localName, callers[desc.methodKind](method)];
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the descriptor decides names and kinds; TypeScript cannot follow it through a mapped type
  return Object.fromEntries(methods) as GrpcClient<Service>;
}
