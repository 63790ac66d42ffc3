export {
  serveTtrpc,
  TtrpcConnection,
  type MessageStream,
  type TtrpcCall,
  type TtrpcCallOptions,
  type TtrpcHandler,
  type TtrpcRouter,
} from "./connection.ts";
export { Mux } from "./mux.ts";
export { callTtrpc, ttrpcRouter, type TtrpcHandlers } from "./service.ts";
