import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, sendBytes } from "./support/call.ts";
import { launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";
import { tarEnd, tarEntry } from "./support/tar-entry.ts";

let pod: FilteredDocker;
beforeAll(async () => {
  pod = await launchFilteredDocker();
});
afterAll(async () => {
  await pod[Symbol.asyncDispose]();
});

const name = () => `t${randomBytes(6).toString("hex")}`;
const create = (body: unknown, path = "/containers/create") =>
  call(pod.socket, "POST", path, body, { "content-type": "application/json" });
const countOf = async () => ((await pod.raw("GET", "/containers/json?all=1")).json as unknown[]).length;
interface Inspected {
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly Mounts: readonly { readonly Source: string; readonly Destination: string; readonly RW: boolean }[];
}
const inspect = async (id: string) => (await pod.raw("GET", `/containers/${id}/json`)).json as Inspected;

/** Sends raw bytes and expects that no container came of it. */
async function nothingCreated(bytes: string): Promise<string> {
  const before = await countOf();
  const answer = await sendBytes(pod.socket, bytes);
  expect(await countOf()).toBe(before);
  return answer;
}

const mebibyte = 1024 ** 2;
/** The most that the filter had in memory so far, bytes. */
const memoryPeak = (): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pod.filterPid}/status`, "utf8"))?.[1]) * 1024;

/** Sends a gigabyte of white space, which JSON may begin with, or what is taken of it before the connection ends. */
async function pour(path: string, framing: string): Promise<string> {
  const client = connect(pod.socket);
  let answer = "";
  client.on("data", (bytes: Buffer) => (answer += bytes.toString())).on("error", () => {});
  const closed = once(client, "close");
  client.write(`POST ${path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`);
  const spaces = Buffer.alloc(mebibyte, " ");
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), spaces, Buffer.from("\r\n")]);
  for (let sent = 0; sent < 1024 && client.writable; sent += 1)
    if (!client.write(framing.endsWith("chunked") ? chunk : spaces))
      await Promise.race([once(client, "drain").catch(() => {}), closed]);
  client.end();
  await closed;
  return answer;
}

const rawCreate = (target: string, body: string, headers = "") =>
  `POST ${target} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const privileged = JSON.stringify({ Image: "busybox", HostConfig: { Privileged: true } });

describe("JSON (tests 1 to 13)", () => {
  test.each([
    ["top level instead of HostConfig", '{"Image":"busybox","Privileged":true,"Binds":["/:/h"]}', 403],
    ["HostConfig null", '{"Image":"busybox","HostConfig":null,"Privileged":true,"Binds":["/:/h"]}', 403],
    ["other case", '{"Image":"busybox","hostconfig":{"pRIVILEGED":true}}', 403],
    ["long s", '{"Image":"busybox","Ho\u017ftConfig":{"Privileged":true}}', 400],
    ["long s escaped", String.raw`{"Image":"busybox","Ho\u017ftConfig":{"Privileged":true}}`, 400],
    ["Kelvin sign", '{"Image":"busybox","HostConfig":{"Networ\u212aMode":"host"}}', 400],
    ["two HostConfigs", '{"Image":"busybox","HostConfig":{},"HostConfig":{"Privileged":true}}', 400],
    ["two spellings", '{"Image":"busybox","HostConfig":{},"hostConfig":{"Privileged":true}}', 400],
    [
      "two lists of mounts",
      '{"Image":"busybox","HostConfig":{"Mounts":[{"Type":"bind","Source":"/root","Target":"/x"}],"Mounts":[{"Target":"/z"}]}}',
      400,
    ],
    ["two values", '{"Image":"busybox","HostConfig":{"Privileged":true,"Privileged":null}}', 400],
    ["something behind", '{"Image":"busybox"}}', 400],
    ["5000 levels", `{"Image":${"[".repeat(5000)}${"]".repeat(5000)}}`, 400],
    ["5 MiB", `{"Image":"${"x".repeat(5 * 1024 ** 2)}"}`, 413],
    ["unknown key", '{"Image":"busybox","HostConfig":{"Zzz":1}}', 403],
  ])("%s", async (_what, body, status) => {
    const before = await countOf();
    const answer = await create(body);
    expect(answer.status).toBe(status);
    expect((answer.json as { message: string }).message.length).toBeGreaterThan(10);
    expect(await countOf()).toBe(before);
  });

  test.each(["Content-Length: 1073741824", "Transfer-Encoding: chunked"])(
    "a gigabyte of JSON is refused and kept nowhere (%s)",
    async (framing) => {
      const before = memoryPeak();
      expect(await pour("/containers/create", framing)).toMatch(/^HTTP\/1\.1 413 /);
      expect(memoryPeak() - before).toBeLessThan(192 * mebibyte);
    },
  );

  test("null is the same as absent, for keys that only old engines knew too", async () => {
    const { status, text } = await create({
      Image: "busybox",
      PortSpecs: null,
      HostConfig: { LxcConf: null, DiskQuota: null, Privileged: null },
    });
    expect([status, text]).toEqual([201, expect.any(String)]);
  });

  test("a gzip body is refused", async () => {
    const headers = { "content-encoding": "gzip", "content-type": "application/json" };
    const answer = await call(
      pod.socket,
      "POST",
      "/containers/create",
      gzipSync('{"Image":"busybox"}'),
      headers,
    );
    expect(answer.status).toBe(415);
  });

  test("an int64 arrives exactly", async () => {
    const { json } = await create(
      '{"Image":"busybox","HostConfig":{"Ulimits":[{"Name":"core","Soft":9223372036854775807,"Hard":9223372036854775807}]}}',
    );
    const { text } = await pod.raw("GET", `/containers/${(json as { Id: string }).Id}/json`);
    expect(text).toContain('"Hard":9223372036854775807');
  });

  test("an old version gets today's defaults", async () => {
    const { json, status } = await create({ Image: "busybox" }, "/v1.24/containers/create");
    expect(status).toBe(201);
    const { HostConfig } = await inspect((json as { Id: string }).Id);
    expect(HostConfig).toMatchObject({
      CgroupnsMode: "private",
      IpcMode: "private",
      Privileged: false,
      CgroupParent: pod.dockerd.cgroup,
    });
  });
});

const upload = (headers: string, body: string, path = "/images/load?quiet=1") =>
  `POST ${path} HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-tar\r\n${headers}\r\n\r\n${body}`;

describe("HTTP (tests 14 to 26)", () => {
  test.each([
    "/containers%2fcreate",
    "/v%31.45/containers/create",
    "/v1.45%2fcontainers/create",
    "http://x/containers/create",
    "unix://x/containers/create",
    "//containers/create",
    "/v1.99/containers/create",
    "/containers/../containers/create",
    "/containers/create/",
  ])("POST %s creates nothing", async (target) => {
    expect(await nothingCreated(rawCreate(target, '{"Image":"busybox"}'))).toMatch(/^HTTP\/1.1 40[034]/);
  });

  test("a form body does not replace the query", async () => {
    const answer = await call(
      pod.socket,
      "POST",
      "/images/create?fromSrc=-&repo=fromquery",
      "fromSrc=http%3A%2F%2F127.0.0.1%3A1%2F&repo=frombody",
      { "content-type": "application/x-www-form-urlencoded" },
    );
    expect(answer.text).not.toContain("127.0.0.1");
    expect((await pod.raw("GET", "/images/json")).text).not.toContain("frombody");
  });

  test.each(["/containers/create", "/exec/0123456789ab/start"])(
    "Upgrade on %s opens no way around",
    async (target) => {
      const first = rawCreate(target, "{}", "Connection: Upgrade\r\nUpgrade: tcp\r\n");
      const answer = await nothingCreated(first + rawCreate("/containers/create", privileged));
      expect(answer).not.toContain("HTTP/1.1 101");
      expect(answer).not.toContain("HTTP/1.1 201");
    },
  );

  test("a detached exec with Upgrade opens no way around", async () => {
    const { json } = await create({ Image: "busybox", Cmd: ["sleep", "60"] });
    const { Id } = json as { Id: string };
    await pod.api("POST", `/containers/${Id}/start`);
    const exec = (await pod.api("POST", `/containers/${Id}/exec`, { Cmd: ["true"] })).json as { Id: string };
    const first = rawCreate(
      `/exec/${exec.Id}/start`,
      '{"Detach":true}',
      "Connection: Upgrade\r\nUpgrade: tcp\r\n",
    );
    const answer = await nothingCreated(first + rawCreate("/containers/create", privileged));
    expect(answer).toMatch(/^HTTP\/1.1 200/);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
    await pod.api("DELETE", `/containers/${Id}?force=1`);
  });

  test("an upgrade behind an unanswered request ends the connection", async () => {
    const first = "GET /events HTTP/1.1\r\nHost: d\r\n\r\n";
    const second = "POST /session HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    expect(await sendBytes(pod.socket, first + second)).not.toContain("101");
  });

  test.each([
    ["both framings", "Transfer-Encoding: chunked\r\n"],
    ["two lengths", "Content-Length: 3\r\n"],
    ["gzip and chunked", "Transfer-Encoding: gzip, chunked\r\n"],
  ])("%s", async (_what, header) => {
    expect(await nothingCreated(rawCreate("/containers/create", privileged, header))).not.toContain(
      "HTTP/1.1 2",
    );
  });

  test("bare line feeds, HTTP/2 and other methods", async () => {
    const bare = rawCreate("/containers/create", '{"Image":"busybox"}').replaceAll("\r\n", "\n");
    expect(await nothingCreated(bare)).not.toContain("HTTP/1.1 2");
    expect(await nothingCreated("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).not.toContain("HTTP/1.1 2");
    expect(await nothingCreated("CONNECT d:1 HTTP/1.1\r\nHost: d\r\n\r\n")).toBe("");
    expect(await nothingCreated("TRACE /_ping HTTP/1.1\r\nHost: d\r\n\r\n")).toMatch(/^HTTP\/1.1 40/);
    expect(await nothingCreated("OPTIONS /_ping HTTP/1.1\r\nHost: d\r\n\r\n")).toMatch(/^HTTP\/1.1 200/);
  });

  test.each(["/debug/pprof/", "/debug/vars", "/metrics"])("GET %s is denied", async (path) => {
    expect([403, 400]).toContain((await pod.api("GET", path)).status);
  });

  const behind = rawCreate("/containers/create", privileged);

  test.each([
    ["a length", upload("Content-Length: 3", "abc")],
    ["a length and Upgrade", upload("Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 3", "abc")],
    ["chunks", upload("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")],
    ["chunks with extensions", upload("Transfer-Encoding: chunked", "3;a=b\r\nabc\r\n0;c\r\nX: y\r\n\r\n")],
    ["no end of the chunks", upload("Transfer-Encoding: chunked", "3\r\nabc\r\n")],
    ["a bare line feed", upload("Transfer-Encoding: chunked", "3\nabc\r\n0\r\n\r\n")],
    ["a size with a sign", upload("Transfer-Encoding: chunked", "+3\r\nabc\r\n0\r\n\r\n")],
    ["a chunk that is too long", upload("Transfer-Encoding: chunked", "2\r\nabc\r\n0\r\n\r\n")],
  ])("a request behind an upload with %s never reaches dockerd", async (_what, first) => {
    const answer = await nothingCreated(first + behind);
    expect(answer).not.toContain("HTTP/1.1 201");
    expect(answer.match(/HTTP\/1\.1 /g)?.length ?? 0).toBeLessThanOrEqual(1);
  });

  test("an upload that dockerd refuses in its middle gets dockerd's answer, and goes on for nobody", async () => {
    const big = Buffer.alloc(30 * 1024 ** 2);
    const tar = Buffer.concat([tarEntry("big", { size: big.length }), big, tarEnd]);
    for (const headers of [{ "content-length": String(tar.length) }, { "transfer-encoding": "chunked" }]) {
      const answer = await call(pod.socket, "PUT", "/containers/nobody/archive?path=/", tar, headers);
      expect([answer.status, answer.text]).toEqual([404, expect.stringContaining("nobody")]);
    }
    await expect.poll(async () => (await pod.status()).requests).toBe(0);
  });

  test("an upload is as long as the limit at most, and waits for 100 Continue where the client does", async () => {
    await pod.configure({ limits: { uploadBytes: 100_000 } });
    const post = (size: number, headers: Record<string, string>) =>
      call(pod.socket, "POST", "/images/load?quiet=1", Buffer.alloc(size), headers);
    expect((await post(100_001, { "content-length": "100001" })).status).toBe(413);
    expect((await post(200_000, { "transfer-encoding": "chunked" })).text).toContain(
      "more than 100000 bytes",
    );
    expect((await post(50_000, { "transfer-encoding": "chunked" })).status).toBe(200);
    await pod.configure({ limits: {} });
    const waits = upload("Content-Length: 3\r\nExpect: 100-continue", "");
    expect(await sendBytes(pod.socket, waits, 200)).toMatch(/^HTTP\/1\.1 100 Continue\r\n/);
    // Both clients that went away left nothing.
    await expect.poll(async () => (await pod.status()).requests).toBe(0);
  });

  test("a half-sent request and a client that goes away leave nothing", async () => {
    await sendBytes(
      pod.socket,
      "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n{",
      100,
    );
    await sendBytes(pod.socket, "GET /events HTTP/1.1\r\nHost: d\r\n\r\n", 100);
    await expect.poll(async () => (await pod.status()).requests).toBe(0);
  });
});

describe("fields (tests 27 to 36)", () => {
  test.each<[string, object]>([
    ["Privileged", { Privileged: true }],
    ["CapAdd ALL", { CapAdd: ["ALL"] }],
    ["CapAdd all", { CapAdd: ["all"] }],
    ["CapAdd cap_sys_admin", { CapAdd: ["cap_sys_admin"] }],
    [
      "Devices",
      { Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "rwm" }] },
    ],
    ["DeviceCgroupRules", { DeviceCgroupRules: ["b *:* rwm"] }],
    ["DeviceRequests", { DeviceRequests: [{ Count: -1, Capabilities: [["gpu"]] }] }],
    ["PidMode", { PidMode: "host" }],
    ["UTSMode", { UTSMode: "host" }],
    ["IpcMode", { IpcMode: "host" }],
    ["CgroupnsMode", { CgroupnsMode: "host" }],
    ["UsernsMode", { UsernsMode: "host" }],
    ["Cgroup", { Cgroup: "x" }],
    ["Runtime", { Runtime: "a.b" }],
    ["Annotations", { Annotations: { a: "b" } }],
    ["seccomp off", { SecurityOpt: ["seccomp:unconfined"] }],
    ["seccomp profile", { SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'] }],
    ["label off", { SecurityOpt: ["label=disable"] }],
    ["disable", { SecurityOpt: ["disable"] }],
    ["writable-cgroups", { SecurityOpt: ["writable-cgroups"] }],
    ["apparmor", { SecurityOpt: ["apparmor=unconfined"] }],
    ["systempaths", { SecurityOpt: ["systempaths=unconfined"] }],
    ["MaskedPaths", { MaskedPaths: [] }],
    ["ReadonlyPaths", { ReadonlyPaths: [] }],
    [
      "LogConfig",
      { LogConfig: { Type: "syslog", Config: { "syslog-address": "unix:///host/docker.sock" } } },
    ],
    ["LogConfig option", { LogConfig: { Type: "json-file", Config: { "gelf-address": "x" } } }],
    ["Sysctls", { Sysctls: { "kernel.core_pattern": "x" } }],
    ["Sysctls of the pod", { NetworkMode: "host", Sysctls: { "net.ipv4.ip_forward": "1" } }],
    ["Sysctls with slashes", { NetworkMode: "host", Sysctls: { "net/ipv4/ip_forward": "1" } }],
    ["VolumeDriver", { VolumeDriver: "x" }],
    ["Tmpfs dev", { Tmpfs: { "/x": "dev,suid" } }],
    ["Tmpfs rshared", { Tmpfs: { "/x": "rshared" } }],
    ["propagation", { Binds: ["/tmp:/x:rshared"] }],
    [
      "propagation of mounts",
      { Mounts: [{ Type: "bind", Source: "/tmp", Target: "/x", BindOptions: { Propagation: "rslave" } }] },
    ],
    ["mount type", { Mounts: [{ Type: "npipe", Source: "/tmp", Target: "/x" }] }],
    ["OomKillDisable", { OomKillDisable: true }],
    ["OomScoreAdj", { OomScoreAdj: -1000 }],
    ["CpuRealtimeRuntime", { CpuRealtimeRuntime: 1 }],
    ["Ulimits", { Ulimits: [{ Name: "rtprio", Soft: 99, Hard: 99 }] }],
    ["StorageOpt", { StorageOpt: { "dm.x": "1" } }],
    [
      "driver of a volume",
      {
        Mounts: [
          {
            Type: "volume",
            Source: "v",
            Target: "/x",
            VolumeOptions: {
              DriverConfig: { Name: "local", Options: { type: "proc", device: "proc", o: "" } },
            },
          },
        ],
      },
    ],
  ])("%s is denied with a reason", async (_what, HostConfig) => {
    const before = await countOf();
    const answer = await create({ Image: "busybox", HostConfig });
    expect(answer.status).toBe(403);
    expect((answer.json as { message: string }).message).toMatch(
      /^(HostConfig\.|network).*\[aeon: [\w-]+\]$/,
    );
    expect(await countOf()).toBe(before);
  });

  test.each<[string, object]>([
    ["fewer capabilities", { CapDrop: ["ALL"], CapAdd: ["NET_BIND_SERVICE"] }],
    ["default masks", { MaskedPaths: null, ReadonlyPaths: null }],
    ["shared memory", { Sysctls: { "kernel.shmmax": "65536" }, ShmSize: 1_000_000 }],
    ["own network settings", { Sysctls: { "net/ipv4/ip_unprivileged_port_start": "0" } }],
    ["limits", { Memory: 64_000_000, NanoCpus: 500_000_000, PidsLimit: 100 }],
    ["no new privileges", { SecurityOpt: ["no-new-privileges:true"] }],
    ["tmpfs", { Tmpfs: { "/x": "size=1m,mode=1777" } }],
    ["ports", { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "" }] } }],
  ])("%s is allowed and runs", async (_what, HostConfig) => {
    const { json, status, text } = await create({ Image: "busybox", Cmd: ["true"], HostConfig });
    expect([status, text]).toEqual([201, expect.any(String)]);
    const { Id } = json as { Id: string };
    expect((await pod.api("POST", `/containers/${Id}/start`)).text).toBe("");
    expect((await pod.api("POST", `/containers/${Id}/wait`)).json).toMatchObject({ StatusCode: 0 });
    const { HostConfig: stored } = await inspect(Id);
    expect((stored["MaskedPaths"] as string[]).length).toBeGreaterThan(5);
    await pod.api("DELETE", `/containers/${Id}`);
  });

  test("what inspect shows can be created again", async () => {
    const { json } = await create({
      Image: "busybox",
      Cmd: ["true"],
      HostConfig: { Binds: ["/tmp/again:/x:ro"] },
    });
    const first = (await pod.api("GET", `/containers/${(json as { Id: string }).Id}/json`)).json as Inspected;
    expect(first.HostConfig["Binds"]).toEqual(["/tmp/again:/x:ro"]);
    expect(first.Mounts[0]?.Source).toBe("/tmp/again");
    const again = await create({ ...first.Config, HostConfig: first.HostConfig });
    expect([again.status, again.text]).toEqual([201, expect.any(String)]);
    const second = (await pod.api("GET", `/containers/${(again.json as { Id: string }).Id}/json`))
      .json as Inspected;
    expect(second.Mounts).toEqual(first.Mounts);
  });

  test("a privileged exec is denied", async () => {
    const { json } = await create({ Image: "busybox", Cmd: ["sleep", "60"] });
    const answer = await pod.api("POST", `/containers/${(json as { Id: string }).Id}/exec`, {
      Privileged: true,
      Cmd: ["id"],
    });
    expect(answer.status).toBe(403);
  });

  test("a cgroup parent is replaced", async () => {
    const { json } = await create({ Image: "busybox", HostConfig: { CgroupParent: "../../escape" } });
    expect((await inspect((json as { Id: string }).Id)).HostConfig["CgroupParent"]).toBe(pod.dockerd.cgroup);
  });

  test.each<[string, object]>([
    ["bind by tmpfs", { type: "tmpfs", device: "/root", o: "size=1m,bind" }],
    ["overlay", { type: "overlay", device: "overlay", o: "lowerdir=/root:/etc" }],
    ["proc", { type: "proc", device: "proc", o: "" }],
    ["devtmpfs", { type: "devtmpfs", device: "devtmpfs", o: "" }],
    ["disk", { type: "ext4", device: "/dev/vda", o: "" }],
    ["nfs", { type: "nfs", device: ":/x", o: "addr=127.0.0.1" }],
    ["other key", { Type: "none", device: "/root", o: "bind" }],
    ["proc as bind", { type: "none", device: "/proc", o: "bind" }],
  ])("volume %s is denied", async (_what, DriverOpts) => {
    expect((await pod.api("POST", "/volumes/create", { Name: name(), DriverOpts })).status).toBe(403);
  });

  test.each<[string, object]>([
    ["macvlan", { Driver: "macvlan" }],
    ["ipvlan", { Driver: "ipvlan" }],
    ["wide subnet", { IPAM: { Config: [{ Subnet: "0.0.0.0/1" }] } }],
    ["public subnet", { IPAM: { Config: [{ Subnet: "8.8.8.0/24" }] } }],
    ["bridge name", { Options: { "com.docker.network.bridge.name": "docker0" } }],
    ["ingress", { Ingress: true }],
    ["other IPAM", { IPAM: { Driver: "dhcp" } }],
  ])("network %s is denied", async (_what, body) => {
    expect((await pod.api("POST", "/networks/create", { Name: name(), ...body })).status).toBe(403);
  });

  test("swarm and plugins are denied, reading them is as without a swarm", async () => {
    expect((await pod.api("POST", "/swarm/init", {})).status).toBe(403);
    expect((await pod.api("POST", "/services/create", {})).status).toBe(403);
    expect((await pod.api("POST", "/plugins/pull?remote=x", [])).status).toBe(403);
    expect((await pod.api("GET", "/nodes")).status).toBe(503);
    expect((await pod.api("GET", "/nodes")).text).toContain("This node is not a swarm manager");
  });

  test("decisions are in the audit file", async () => {
    await expect
      .poll(() => readFile(pod.auditFile, "utf8"))
      .toMatch(
        /"endpoint":"ContainerCreate","verdict":"deny","status":403,"rule":"field-denied","field":"HostConfig.Privileged"/,
      );
  });
});
