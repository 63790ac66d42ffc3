import { setImmediate as nextTurn } from "node:timers/promises";
import {
  create,
  type DescMethod,
  type Message,
  type MessageInitShape,
  type DescMessage,
} from "@bufbuild/protobuf";
import type {
  Metadata,
  sendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { wellFormed } from "./malformed.ts";
import { callerOf, headerOf } from "./metadata.ts";
import { methodPath } from "./service-definition.ts";
import { methodsOf, type AnyService, type GrpcHandlers, type ServedCall } from "./service-types.ts";
import { statusOfError } from "./status.ts";

type Init = MessageInitShape<DescMessage>;
type OnError = (error: unknown, method: string) => void;
interface AnyCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  on(event: "cancelled", listener: () => void): unknown;
}
type WritableCall = ServerWritableStream<Message, Message> | ServerDuplexStream<Message, Message>;

/** A service together with what answers it. */
export interface ServedService {
  readonly service: AnyService;
  readonly handlers: object;
}

/** Pairs a service with its handlers for `serveGrpc`; the types must match. */
export function served<Service extends AnyService>(
  service: Service,
  handlers: GrpcHandlers<Service>,
): ServedService {
  return { service, handlers };
}

/** Why the signal of a call is aborted. Made once per method: the stack of a new exception costs more than a call. */
interface Endings {
  readonly canceled: DOMException;
  readonly over: DOMException;
}
const endings = new Map<string, Endings>();

function endingsOf(method: string): Endings {
  const known = endings.get(method);
  if (known !== undefined) return known;
  const made = {
    canceled: new DOMException(`${method}: the client ended the call`, "AbortError"),
    over: new DOMException(`${method}: the call is over`, "AbortError"),
  };
  endings.set(method, made);
  return made;
}

function contextOf(call: AnyCall, method: string): { context: ServedCall; finish: () => void } {
  const abort = new AbortController();
  const { canceled, over } = endingsOf(method);
  const cancel = () => abort.abort(canceled);
  call.on("cancelled", cancel);
  if (call.cancelled) cancel();
  const context: ServedCall = {
    method,
    signal: abort.signal,
    caller: callerOf(call.metadata),
    header: (name) => headerOf(call.metadata, name),
  };
  return {
    context,
    finish: () => abort.abort(over),
  };
}

type Handler<Input, Output> = (input: Input, context: ServedCall) => Output;

/** Answers a call with one reply. */
async function answer<Input>(
  desc: DescMethod,
  handler: Handler<Input, Promise<Init>>,
  call: AnyCall,
  input: Input,
  done: sendUnaryData<Message>,
): Promise<void> {
  const method = methodPath(desc);
  const { context, finish } = contextOf(call, method);
  try {
    done(null, create(desc.output, await handler(wellFormed(input, method), context)));
  } catch (error) {
    done(statusOfError(error, method));
  } finally {
    finish();
  }
}

function writable(call: WritableCall): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      for (const event of ["drain", "close", "cancelled"]) call.removeListener(event, finish);
      resolve();
    };
    for (const event of ["drain", "close", "cancelled"]) call.once(event, finish);
  });
}

/** Answers a call with a stream of replies, with back-pressure. */
async function stream<Input>(
  desc: DescMethod,
  handler: Handler<Input, AsyncIterable<Init>>,
  call: WritableCall,
  input: Input,
): Promise<void> {
  const method = methodPath(desc);
  const { context, finish } = contextOf(call, method);
  try {
    for await (const reply of handler(wellFormed(input, method), context)) {
      if (context.signal.aborted) break;
      if (!call.write(create(desc.output, reply))) await writable(call);
      if (context.signal.aborted) break;
    }
    call.end();
  } catch (error) {
    call.emit("error", statusOfError(error, method));
  } finally {
    finish();
  }
}

function handlerOf<Output>(
  service: AnyService,
  handlers: object,
  desc: DescMethod,
): Handler<unknown, Output> {
  const handler: unknown = Reflect.get(handlers, desc.localName);
  if (typeof handler !== "function")
    throw new TypeError(`${service.typeName} has no handler for ${desc.localName}`);
  return (input, context) => Reflect.apply(handler, handlers, [input, context]);
}

type RequestStream = AsyncIterable<Message> & { readonly cancelled: boolean };

/**
 * The requests of a call. Node reports a reset stream as ended a moment before it reports it closed, and a handler
 * must not take what a client broke off for complete.
 */
async function* requestsOf(call: RequestStream): AsyncGenerator<Message, void, undefined> {
  yield* call;
  await nextTurn();
  if (call.cancelled) throw new DOMException("the client ended the call", "AbortError");
}

type Wrap = (
  desc: DescMethod,
  service: AnyService,
  handlers: object,
  report: (error: unknown) => void,
) => UntypedHandleCall;

const wraps: Readonly<Record<DescMethod["methodKind"], Wrap>> = {
  unary(desc, service, handlers, report) {
    const handler = handlerOf<Promise<Init>>(service, handlers, desc);
    return (call: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) => {
      answer(desc, handler, call, call.request, done).catch(report);
    };
  },
  client_streaming(desc, service, handlers, report) {
    const handler = handlerOf<Promise<Init>>(service, handlers, desc);
    return (call: ServerReadableStream<Message, Message>, done: sendUnaryData<Message>) => {
      answer(desc, handler, call, requestsOf(call), done).catch(report);
    };
  },
  server_streaming(desc, service, handlers, report) {
    const handler = handlerOf<AsyncIterable<Init>>(service, handlers, desc);
    return (call: ServerWritableStream<Message, Message>) => {
      stream(desc, handler, call, call.request).catch(report);
    };
  },
  bidi_streaming(desc, service, handlers, report) {
    const handler = handlerOf<AsyncIterable<Init>>(service, handlers, desc);
    return (call: ServerDuplexStream<Message, Message>) => {
      stream(desc, handler, call, requestsOf(call)).catch(report);
    };
  },
};

/** Wraps handlers for grpc-js: promises to callbacks, errors to statuses, cancellation to signals. */
export function implementationOf(
  service: AnyService,
  handlers: object,
  onError: OnError = () => {},
): UntypedServiceImplementation {
  const entries = methodsOf(service).map((desc): [string, UntypedHandleCall] => {
    const report = (error: unknown) => onError(error, methodPath(desc));
    return [desc.localName, wraps[desc.methodKind](desc, service, handlers, report)];
  });
  return Object.fromEntries(entries);
}
