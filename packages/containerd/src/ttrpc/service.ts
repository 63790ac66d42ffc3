import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { methodsOf, type AnyService } from "../grpc/service-types.ts";
import type {
  TtrpcCall,
  TtrpcCallOptions,
  TtrpcConnection,
  TtrpcHandler,
  TtrpcRouter,
} from "./connection.ts";

/** Handlers of some methods of a service; the others are answered as unknown. */
export type TtrpcHandlers<Service extends AnyService> = {
  readonly [Name in keyof Service["method"]]?: Service["method"][Name] extends DescMethodUnary<
    infer Input,
    infer Output
  >
    ? (request: MessageShape<Input>, call: TtrpcCall) => Promise<MessageInitShape<Output>>
    : never;
};

/** Routes calls of one service to typed handlers. */
export function ttrpcRouter<Service extends AnyService>(
  service: Service,
  handlers: TtrpcHandlers<Service>,
): TtrpcRouter {
  const routes = new Map<string, TtrpcHandler>();
  for (const method of methodsOf(service)) {
    const handler: unknown = Reflect.get(handlers, method.localName);
    if (typeof handler === "function") routes.set(method.name, typedHandler(method, handler));
  }
  return (name, method) => (name === service.typeName ? routes.get(method) : undefined);
}

// oxlint-disable-next-line typescript/no-unsafe-function-type -- its type was checked where it was given
function typedHandler({ input, output }: DescMethod, handler: Function): TtrpcHandler {
  return async (payload, call) => {
    const reply: unknown = await Reflect.apply(handler, undefined, [fromBinary(input, payload), call]);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as declared by TtrpcHandlers
    return toBinary(output, create(output, reply as MessageInitShape<typeof output>));
  };
}

/** Calls a unary method of the peer with typed messages. */
export async function callTtrpc<Input extends DescMessage, Output extends DescMessage>(
  connection: TtrpcConnection,
  { input, output, parent, name }: DescMethodUnary<Input, Output>,
  request: MessageInitShape<Input>,
  options?: TtrpcCallOptions,
): Promise<MessageShape<Output>> {
  const payload = toBinary(input, create(input, request));
  return fromBinary(output, await connection.call(parent.typeName, name, payload, options));
}
