import { denied, malformed } from "../refusal.ts";
import type { FilterSettings } from "../settings.ts";
import { list, map, text, type Schema } from "../schema/schema.ts";
import { struct } from "../schema/struct.ts";
import {
  bool,
  filters,
  json as jsonQuery,
  number,
  omitted,
  prose,
  words,
  type Parameter,
  type QuerySchema,
} from "../schema/query.ts";
import { hostAllowed, resolveNetwork } from "../schemas/network-mode.ts";
import { resourceFields } from "../schemas/limits.ts";
import { get, json, post, route, tarBody, type Route } from "./route.ts";

const platform = words(/^[\w./-]*$|^\{[^\0]*\}$/, 1024);
const auth = ["x-registry-auth", "x-registry-config"];
const texts: Schema = map(text(), { whenNull: null });

const name = "{name…}";
const reference = words(/^[\w./:@+-]*$/, 4096);

/** Networks of a build's RUN steps. */
const buildNetwork =
  ({ network }: FilterSettings): Parameter =>
  (value, { at }) => {
    if (value === "" || value === "none") return value;
    if (network.policy === "strict")
      throw denied(at, "this pod's builds have no network; use --network none", "network-strict");
    if (value === "host" && !hostAllowed(network))
      throw denied(at, "the pod's network cannot be joined", "network-host");
    return resolveNetwork(value, network, at);
  };

const buildUlimits = ({ limits }: FilterSettings): Parameter =>
  jsonQuery((value, scope) => {
    const schema = resourceFields(limits.ulimit)["Ulimits"];
    if (schema === undefined) throw malformed(scope.at, "has no rule");
    return schema(value, scope);
  });

const buildQuery = (settings: FilterSettings): QuerySchema => ({
  dockerfile: prose,
  t: { check: reference, many: true },
  extrahosts: words(),
  remote: prose,
  q: bool,
  nocache: bool,
  cachefrom: jsonQuery(list(text())),
  pull: words(/^\w*$/),
  rm: bool,
  forcerm: bool,
  memory: number,
  memswap: number,
  cpushares: number,
  cpusetcpus: words(/^[0-9,-]*$/),
  cpusetmems: words(/^[0-9,-]*$/),
  cpuperiod: number,
  cpuquota: number,
  buildargs: jsonQuery(texts),
  shmsize: words(/^\d{0,10}$/),
  squash: bool,
  labels: jsonQuery(map(text())),
  networkmode: buildNetwork(settings),
  platform,
  target: words(),
  outputs: jsonQuery(list(struct({ Type: text(), Attrs: map(text()) }))),
  version: words(/^[12]?$/),
  session: words(/^[\w-]*$/),
  buildid: words(/^[\w-]*$/),
  ulimits: buildUlimits(settings),
  cgroupparent: omitted,
  isolation: omitted,
  securityopt: (value, { at }) => {
    if (value !== "" && value !== "null" && value !== "[]")
      throw denied(at, "security options of builds are not available");
    return undefined;
  },
  secopt: omitted,
});

const authConfig = struct({
  username: text(),
  password: text(),
  auth: text(),
  email: text(),
  serveraddress: text(),
  identitytoken: text(),
  registrytoken: text(),
});

export const imageRoutes: readonly Route[] = [
  route("ImageList", get, "images/json", {
    query: {
      all: bool,
      filters,
      filter: words(),
      "shared-size": bool,
      digests: bool,
      manifests: bool,
      identity: bool,
      // Of docker-py, as is `force` of a tag; engines have long forgotten both.
      only_ids: omitted,
    },
  }),
  route("ImageSearch", get, "images/search", {
    query: { term: words(), limit: number, filters },
    headers: auth,
  }),
  route("ImageGetAll", get, "images/get", {
    query: { names: { check: reference, many: true }, platform: { check: platform, many: true } },
  }),
  route("ImageLoad", post, "images/load", {
    query: { quiet: bool, platform: { check: platform, many: true } },
    body: tarBody,
  }),
  route("ImagePrune", post, "images/prune", { query: { filters } }),
  route("ImageCreate", post, "images/create", {
    query: {
      fromImage: reference,
      fromSrc: prose,
      repo: reference,
      tag: reference,
      message: prose,
      changes: { check: prose, many: true },
      platform,
    },
    body: tarBody,
    headers: auth,
  }),
  route("ImageBuild", post, "build", { query: buildQuery, body: tarBody, headers: auth }),
  route("BuildPrune", post, "build/prune", {
    query: {
      all: bool,
      filters,
      "keep-storage": number,
      "reserved-space": number,
      "max-used-space": number,
      "min-free-space": number,
    },
  }),
  route("BuildCancel", post, "build/cancel", { query: { id: words(/^[\w-]*$/) } }),
  route("Session", post, "session", {
    answer: "tunnel",
    headers: [
      ..."uuid name shared-key"
        .split(" ")
        .map((key) => `x-docker-expose-session-${key === "shared-key" ? "sharedkey" : key}`),
      "x-docker-expose-session-grpc-method",
    ],
  }),
  route("Grpc", post, "grpc", { answer: "tunnel" }),
  route("ImageInspect", get, `images/${name}/json`, { query: { size: bool, manifests: bool, platform } }),
  route("ImageHistory", get, `images/${name}/history`, { query: { platform } }),
  route("ImageGet", get, `images/${name}/get`, { query: { platform: { check: platform, many: true } } }),
  route("ImageAttestations", get, `images/${name}/attestations`, { query: { platform } }),
  route("ImagePush", post, `images/${name}/push`, {
    query: { tag: reference, platform },
    headers: auth,
    body: json(struct({}), true),
  }),
  route("ImageTag", post, `images/${name}/tag`, {
    query: { repo: reference, tag: reference, force: omitted },
  }),
  route("ImageDelete", ["DELETE"], `images/${name}`, {
    query: { force: bool, noprune: bool, platforms: { check: platform, many: true } },
  }),
  route("DistributionInspect", get, `distribution/${name}/json`, { headers: auth }),
  route("SystemAuth", post, "auth", { body: json(authConfig) }),
];
