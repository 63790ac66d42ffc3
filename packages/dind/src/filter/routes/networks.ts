import { bool, filters, words } from "../schema/query.ts";
import { networkCreate } from "../schemas/network-create.ts";
import { connectBody, disconnectBody } from "../schemas/networking.ts";
import { get, json, jsonFor, post, route, type Route } from "./route.ts";

const scope = words(/^(local)?$/);

export const networkRoutes: readonly Route[] = [
  route("NetworkList", get, "networks", { query: { filters } }),
  route("NetworkCreate", post, "networks/create", { body: jsonFor(({ network }) => networkCreate(network)) }),
  route("NetworkPrune", post, "networks/prune", { query: { filters } }),
  route("NetworkInspect", get, "networks/{id}", { query: { verbose: bool, scope } }),
  route("NetworkDelete", ["DELETE"], "networks/{id}"),
  route("NetworkConnect", post, "networks/{id}/connect", { body: json(connectBody), step: "network-name" }),
  route("NetworkDisconnect", post, "networks/{id}/disconnect", { body: json(disconnectBody) }),
];
