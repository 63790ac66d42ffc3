import { denied } from "../refusal.ts";
import { commitConfig, configFields } from "../schemas/config.ts";
import { hostConfig } from "../schemas/host-config.ts";
import { resourceFields, restartPolicy } from "../schemas/limits.ts";
import { networking } from "../schemas/networking.ts";
import { flag, ignored, integer, list, text, unset, words as wordList } from "../schema/schema.ts";
import { bool, filters, number, omitted, prose, time, words } from "../schema/query.ts";
import { struct } from "../schema/struct.ts";
import { get, json, jsonFor, post, route, tarBody, type Route } from "./route.ts";

const id = (rest: string) => `containers/{id}/${rest}`;
const detachKeys = words(/^[\w@^[\]\\,-]*$/, 256);
const platform = words(/^[\w./-]*$|^\{[^\0]*\}$/, 1024);
const attachQuery = { logs: bool, stream: bool, stdin: bool, stdout: bool, stderr: bool, detachKeys };
const size = { h: number, w: number };
const legacy = unset("this belongs in HostConfig");

const createBody = jsonFor((settings) =>
  struct({
    ...configFields,
    HostConfig: hostConfig(settings),
    NetworkingConfig: networking(settings.network),
    // Taken over into HostConfig, where today's engines look for them.
    Memory: integer(),
    MemorySwap: integer(),
    CpuShares: integer(),
    Cpuset: text({ pattern: /^[0-9,-]*$/ }),
    VolumeDriver: legacy,
    // dockerode sends its own options along.
    name: ignored,
    platform: ignored,
  }),
);

const execCreate = json(
  struct({
    User: text({ max: 256 }),
    Privileged: unset("privileged commands are not run here"),
    Tty: flag,
    ConsoleSize: list(integer({ min: 0n, max: 65_535n })),
    AttachStdin: flag,
    AttachStdout: flag,
    AttachStderr: flag,
    Detach: flag,
    DetachKeys: text({ max: 256 }),
    Env: list(text()),
    WorkingDir: text({ max: 4096 }),
    Cmd: wordList,
    Container: text({ max: 300 }),
    ExecIDs: list(text()),
  }),
);

const execStart = json(
  struct({
    Detach: flag,
    Tty: flag,
    ConsoleSize: list(integer({ min: 0n, max: 65_535n })),
    // Options of dockerode itself, which it sends along.
    hijack: ignored,
    stdin: ignored,
  }),
  true,
);

const update = jsonFor(({ limits }) =>
  struct({
    ...resourceFields(limits.ulimit),
    Devices: unset("devices cannot be added"),
    DeviceRequests: unset("devices cannot be added"),
    RestartPolicy: restartPolicy,
  }),
);

/** `docker top` runs dockerd's own ps with these. */
const psArguments = words(/^[A-Za-z0-9,= -]*$/, 256);

const checkpoint = () => {
  throw denied("query.checkpoint", "checkpoints are not available");
};

export const containerRoutes: readonly Route[] = [
  route("ContainerList", get, "containers/json", {
    query: {
      all: bool,
      limit: number,
      size: bool,
      filters,
      since: words(),
      before: words(),
      // Of docker-py; engines have long forgotten it.
      trunc_cmd: omitted,
    },
    answer: "paths",
  }),
  route("ContainerCreate", post, "containers/create", {
    query: { name: words(/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$|^$/, 255), platform },
    body: createBody,
    step: "container-create",
    answer: "paths",
  }),
  route("ContainerPrune", post, "containers/prune", { query: { filters } }),
  route("ContainerInspect", get, id("json"), {
    query: { size: bool },
    step: "container-inspect",
    answer: "paths",
  }),
  route("ContainerTop", get, id("top"), { query: { ps_args: psArguments, stream: bool } }),
  route("ContainerLogs", get, id("logs"), {
    query: {
      follow: bool,
      stdout: bool,
      stderr: bool,
      timestamps: bool,
      details: bool,
      since: time,
      until: time,
      tail: words(/^(all|-?\d{0,12})$/),
    },
  }),
  route("ContainerChanges", get, id("changes")),
  route("ContainerExport", get, id("export")),
  route("ContainerStats", get, id("stats"), { query: { stream: bool, "one-shot": bool } }),
  route("ContainerResize", post, id("resize"), { query: size }),
  route("ContainerStart", post, id("start"), {
    query: { detachKeys, checkpoint, "checkpoint-dir": checkpoint },
  }),
  route("ContainerStop", post, id("stop"), { query: { t: number, signal: words(/^[\w+-]*$/, 32) } }),
  route("ContainerRestart", post, id("restart"), { query: { t: number, signal: words(/^[\w+-]*$/, 32) } }),
  route("ContainerKill", post, id("kill"), { query: { signal: words(/^[\w+-]*$/, 32) } }),
  route("ContainerUpdate", post, id("update"), { body: update }),
  route("ContainerRename", post, id("rename"), {
    query: { name: words(/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 255) },
  }),
  route("ContainerPause", post, id("pause")),
  route("ContainerUnpause", post, id("unpause")),
  route("ContainerAttach", post, id("attach"), { query: attachQuery, answer: "hijack" }),
  route("ContainerAttachWebsocket", get, id("attach/ws"), {
    query: attachQuery,
    answer: "tunnel",
    headers: [
      "sec-websocket-key",
      "sec-websocket-version",
      "sec-websocket-protocol",
      "sec-websocket-extensions",
      "origin",
    ],
  }),
  route("ContainerWait", post, id("wait"), { query: { condition: words(/^[a-z-]*$/, 32) } }),
  route("ContainerArchiveInfo", ["HEAD"], id("archive"), { query: { path: prose } }),
  route("ContainerArchive", get, id("archive"), { query: { path: prose } }),
  route("PutContainerArchive", ["PUT"], id("archive"), {
    query: { path: prose, noOverwriteDirNonDir: bool, copyUIDGID: words(/^\w*$/, 16) },
    body: tarBody,
    step: "archive",
  }),
  route("ContainerExec", post, id("exec"), { body: execCreate }),
  route("ContainerDelete", ["DELETE"], "containers/{id}", { query: { v: bool, force: bool, link: bool } }),
  route("ExecStart", post, "exec/{id}/start", { body: execStart, answer: "hijack" }),
  route("ExecResize", post, "exec/{id}/resize", { query: size }),
  route("ExecInspect", get, "exec/{id}/json"),
  route("ImageCommit", post, "commit", {
    query: {
      container: words(/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 300),
      repo: words(),
      tag: words(),
      comment: prose,
      author: prose,
      pause: bool,
      changes: { check: prose, many: true },
    },
    body: json(commitConfig, true),
  }),
  route("ContainerCheckpoints", ["GET", "POST", "DELETE"], id("checkpoints"), {
    query: { dir: omitted },
    local: "denied",
  }),
];
