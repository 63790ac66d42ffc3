import { once } from "node:events";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { temporaryFolder } from "@aeon/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, sendBytes } from "./support/call.ts";
import { docker } from "./support/cli.ts";
import { filterProgram, launchFilteredDocker, type FilteredDocker } from "./support/filtered-docker.ts";

let pod: FilteredDocker;
let policyFile: string;
beforeAll(async () => {
  const folder = await temporaryFolder("policy");
  policyFile = join(folder.path, "policy.json");
  writePolicy([]);
  pod = await launchFilteredDocker({ config: { policyFile } });
  return () => folder[Symbol.asyncDispose]();
});
afterAll(async () => {
  await pod[Symbol.asyncDispose]();
});

function writePolicy(rules: readonly object[], mode = "enforce"): void {
  writeFileSync(`${policyFile}.new`, JSON.stringify({ version: 1, mode, rules }));
  renameSync(`${policyFile}.new`, policyFile);
}
const create = (body: object) => pod.api("POST", "/containers/create", { Image: "busybox", ...body });
const statusOf = async (body: object): Promise<number> => (await create(body)).status;

test("a client's requests share one connection to dockerd, which goes with the client", async () => {
  const sockets = (): number =>
    readdirSync(`/proc/${pod.filterPid}/fd`).filter((fd) => isSocket(pod.filterPid, fd)).length;
  // What is asked of dockerd once for all has been asked then.
  await pod.api("GET", "/_ping");
  const before = sockets();
  const clients = Array.from({ length: 20 }, () => connect(pod.socket));
  await Promise.all(
    clients.map(async (client) => {
      for (let request = 0; request < 3; request += 1) {
        client.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
        await once(client, "data");
      }
    }),
  );
  // The first client's own two may still have been among those before.
  expect(sockets() - before).toBeGreaterThan(1.8 * clients.length);
  expect(sockets() - before).toBeLessThanOrEqual(2 * clients.length);
  for (const client of clients) client.destroy();
  await expect.poll(sockets).toBeLessThanOrEqual(before);
});

function isSocket(pid: number, fd: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
  } catch {
    return false;
  }
}

test("a policy file denies, rewrites and allows fields, at once when it changes", async () => {
  const Hostname = "renamed";
  writePolicy([
    {
      endpoints: ["ContainerCreate"],
      field: "HostConfig.Dns",
      verdict: "deny",
      reason: "names come from the pod",
    },
    { endpoints: ["ContainerCreate"], field: "Hostname", verdict: "rewrite", value: Hostname },
    { endpoints: ["ContainerCreate"], field: "HostConfig.CapAdd", verdict: "allow" },
    { endpoints: ["ImageSearch"], verdict: "deny", reason: "no search" },
    { endpoints: ["*"], namespaces: ["elsewhere"], verdict: "deny" },
  ]);
  await expect.poll(() => statusOf({ HostConfig: { Dns: ["1.1.1.1"] } })).toBe(403);
  expect((await create({ HostConfig: { Dns: ["1.1.1.1"] } })).text).toContain(
    "names come from the pod [aeon: policy]",
  );
  expect(await statusOf({ HostConfig: { CapAdd: ["SYS_PTRACE"] } })).toBe(201);
  const { Id } = (await create({ Hostname: "mine" })).json as { Id: string };
  expect((await pod.raw("GET", `/containers/${Id}/json`)).json).toMatchObject({ Config: { Hostname } });
  expect((await pod.api("GET", "/images/search?term=x")).status).toBe(403);

  writePolicy([{ endpoints: ["ContainerCreate"], field: "HostConfig.Dns", verdict: "deny" }], "observe");
  await expect.poll(() => statusOf({ HostConfig: { Dns: ["1.1.1.1"] } })).toBe(201);
  await expect
    .poll(() => readFileSync(pod.auditFile, "utf8"))
    .toContain('"rule":"observed","field":"HostConfig.Dns"');
  expect(await statusOf({ HostConfig: { Privileged: true } })).toBe(403);

  writeFileSync(policyFile, '{"version":1,"rules":[{"endpoints":["Nonsense"],"verdict":"deny"}]}');
  await expect.poll(async () => (await pod.status()).policyError).toContain("there is no endpoint Nonsense");
  expect(await statusOf({})).toBe(201);
  writePolicy([]);
  await expect.poll(async () => (await pod.status()).policyError).toBeUndefined();
});

test("a link in the place of dockerd's socket leads nowhere", async () => {
  const { socket, folder } = pod.dockerd;
  let connections = 0;
  const host = createServer((client) => {
    connections += 1;
    client.destroy();
  }).listen(join(folder, "host.sock"));
  await once(host, "listening");
  renameSync(socket, `${socket}.kept`);
  symlinkSync(join(folder, "host.sock"), socket);
  try {
    expect(await pod.api("GET", "/containers/json")).toMatchObject({ status: 503 });
    expect(connections).toBe(0);
  } finally {
    unlinkSync(socket);
    renameSync(`${socket}.kept`, socket);
    host.close();
  }
  expect((await pod.api("GET", "/containers/json")).status).toBe(200);
});

const port = (HostPort: string) => ({ HostConfig: { PortBindings: { "80/tcp": [{ HostPort }] } } });

test("networks: strict refuses all but none and containers, shared gives the pod's own", async () => {
  await pod.configure({ network: { policy: "strict" } });
  for (const NetworkMode of [undefined, "default", "bridge", "host", "some-network"])
    expect(await statusOf({ HostConfig: { NetworkMode } })).toBe(403);
  expect(await statusOf({ HostConfig: { NetworkMode: "none" } })).toBe(201);
  await pod.configure({ network: { policy: "shared" } });
  const { Id } = (await create({ Cmd: ["sleep", "9"], HostConfig: { NetworkMode: "my-net" } })).json as {
    Id: string;
  };
  expect((await pod.raw("GET", `/containers/${Id}/json`)).json).toMatchObject({
    HostConfig: { NetworkMode: "host" },
  });
  await pod.configure({ network: { policy: "bridge", host: false, reservedPorts: [8080] } });
  expect(await statusOf({ HostConfig: { NetworkMode: "host" } })).toBe(403);
  // What joined before may not be joined now (test 38).
  expect(await statusOf({ HostConfig: { NetworkMode: `container:${Id}` } })).toBe(403);
  expect(await statusOf(port("8080"))).toBe(403);
  expect(await statusOf(port("8000-9000"))).toBe(403);
  expect(await statusOf(port("8081"))).toBe(201);
  await pod.configure({ network: { policy: "bridge" } });
});

test("a cgroup parent of a build goes, and its processes stay below the pod's", async () => {
  const answer = await pod.api("POST", "/build?cgroupparent=../../x&networkmode=none&dockerfile=none", "");
  expect(answer.status).not.toBe(403);
  expect((await pod.api("POST", "/build?cgroupparent=x&cgroupparent=y")).status).toBe(400);
  expect((await pod.api("POST", '/build?securityopt=["seccomp=unconfined"]')).status).toBe(403);
});

test("connections beyond the limit are turned away, and slow ones cost nothing", async () => {
  const sockets = Array.from({ length: 50 }, () => connect(pod.socket));
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  await expect.poll(async () => (await pod.status()).connections).toBeGreaterThanOrEqual(50);
  expect((await pod.api("GET", "/_ping")).text).toBe("OK");
  for (const socket of sockets) socket.destroy();
  await expect.poll(async () => (await pod.status()).connections).toBeLessThan(5);
});

test("limits hold, change with the configuration, and decisions are counted", async () => {
  await pod.configure({ limits: { requests: 2, jsonBytes: 2000, pins: 1, connections: 8 } });
  const bind = { HostConfig: { Binds: ["/etc:/x"] } };
  const made = (await create(bind)).json as { Id: string };
  expect((await create(bind)).text).toContain("this pod has 1 binds already");
  expect((await create({ Labels: { a: "x".repeat(2000) } })).status).toBe(413);
  const streams = [connect(pod.socket), connect(pod.socket)];
  for (const stream of streams) {
    stream.write("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
    await once(stream, "data");
  }
  expect((await pod.api("GET", "/_ping")).status).toBe(429);
  const more = Array.from({ length: 10 }, () => connect(pod.socket));
  await Promise.all(more.map((socket) => once(socket, "connect")));
  // Beyond the limit connections are ended at once.
  await expect.poll(() => more.filter((socket) => socket.closed).length).toBe(4);
  for (const socket of [...streams, ...more]) socket.destroy();
  await expect.poll(async () => (await pod.status()).requests).toBe(0);
  await pod.configure({ limits: {} });
  const again = (await create(bind)).json as { Id: string };
  const metrics = (await pod.control("GET", "/metrics")).text;
  const counted = (endpoint: string, verdict: string): number =>
    Number(
      new RegExp(
        `requests_total\\{container="main",endpoint="${endpoint}",verdict="${verdict}"\\} (\\d+)`,
      ).exec(metrics)?.[1],
    );
  expect(counted("ContainerCreate", "allow")).toBeGreaterThanOrEqual(2);
  expect(counted("ContainerCreate", "deny")).toBeGreaterThanOrEqual(2);
  expect(counted("SystemPing", "allow")).toBeGreaterThanOrEqual(1);
  expect(metrics).toMatch(/^aeon_dind_filter_pins\{container="main"\} 2$/m);
  for (const { Id } of [made, again]) await pod.api("DELETE", `/containers/${Id}`);
});

test("events tell the main container's paths, not dockerd's", async () => {
  const since = Math.floor(Date.now() / 1000);
  const body = { Cmd: ["sleep", "100"], HostConfig: { Binds: ["/etc:/x"] } };
  const { Id } = (await create(body)).json as { Id: string };
  await pod.api("POST", `/containers/${Id}/start`);
  const [mount] = ((await pod.raw("GET", `/containers/${Id}/json`)).json as { Mounts: { Source: string }[] })
    .Mounts;
  const pin = mount?.Source ?? "";
  expect(pin).toMatch(/^\/run\/aeon\/pins\//);
  await pod.raw("POST", `/containers/${Id}/exec`, { Cmd: ["ls", pin] });
  const path = `/events?since=${since}&until=${Math.floor(Date.now() / 1000) + 1}`;
  expect((await pod.raw("GET", path)).text).toContain(`exec_create: ls ${pin}`);
  const { text } = await pod.api("GET", path);
  expect(text).toContain("exec_create: ls /etc");
  expect(text).not.toContain("/run/aeon/pins");
  await pod.api("DELETE", `/containers/${Id}?force=true`);
});

test("a killed dockerd is told, and serves again", async () => {
  const stream = connect(pod.socket);
  stream.write("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
  await once(stream, "data");
  const ended = once(stream, "close");
  await pod.dockerd.inside("kill -9 $(cat /run/docker.pid /var/run/docker.pid 2>/dev/null | head -1)");
  stream.resume();
  await ended;
  const { status, text } = await pod.api("GET", "/containers/json");
  expect([status, text]).toEqual([503, expect.stringContaining("dockerd of this pod does not answer")]);
  await pod.dockerd.startDockerd();
  expect((await pod.api("GET", "/containers/json")).status).toBe(200);
});

test("streams go on while a successor takes the listener over (test 58)", async () => {
  await docker(pod, [
    "run",
    "-d",
    "--name",
    "talks",
    "busybox",
    "sh",
    "-c",
    "echo one; until [ -e /go ]; do sleep 0.1; done; echo two",
  ]);
  const logs = docker(pod, ["logs", "-f", "talks"]);
  const folder = join(pod.dockerd.folder, "build");
  mkdirSync(folder);
  writeFileSync(join(folder, "Dockerfile"), "FROM busybox\nRUN sleep 3 && echo built\n");
  const begun = Promise.withResolvers<void>();
  const build = docker(pod, ["build", folder], {
    env: { DOCKER_BUILDKIT: "0" },
    hold: async ({ stdout }) => {
      stdout.on("data", (text: Buffer) => {
        if (text.includes("Running in")) begun.resolve();
      });
    },
  });
  await begun.promise;
  const running = docker(
    pod,
    ["run", "-i", "--rm", "-v", "/etc:/x", "busybox", "sh", "-c", "echo up; read x; echo got $x"],
    {
      hold: async (child) => {
        await once(child.stdout, "data");
        const config = {
          ...JSON.parse(readFileSync(pod.configFile, "utf8")),
          auditFile: `${pod.auditFile}-2`,
        };
        const file = join(pod.dockerd.folder, "filter-2.json");
        writeFileSync(file, JSON.stringify(config));
        const before = pod.filterPid;
        const answer = await pod.control("POST", "/handover", {
          command: [process.execPath, ...filterProgram],
          config: file,
        });
        expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
        const status = await pod.status();
        expect(status.pid).toBe((answer.json as { pid: number }).pid);
        expect(status.pid).not.toBe(before);
        expect((await pod.api("GET", "/_ping")).text).toBe("OK");
        child.stdin.end("input\n");
      },
    },
  );
  expect((await running).text).toBe("up\ngot input\n");
  expect((await build).text).toMatch(/\nbuilt\n.*Successfully built/s);
  await docker(pod, ["exec", "talks", "touch", "/go"]);
  expect((await logs).text).toBe("one\ntwo\n");
  await docker(pod, ["rm", "-f", "talks"]);
  await pod.firstEnded();
  expect((await pod.api("GET", "/_ping")).text).toBe("OK");
  expect(await sendBytes(pod.socket, "GET /_ping HTTP/1.0\r\n\r\n")).toContain("OK");
  await expect.poll(async () => (await pod.status()).pins, { timeout: 10_000 }).toBe(0);
  const { pid } = await pod.status();
  expect((await create({ HostConfig: { Binds: ["/etc:/x"] } })).status).toBe(201);
  const pins = (): boolean =>
    readFileSync(`/proc/${pod.dockerd.pid}/mountinfo`, "utf8").includes("/run/aeon/pins/");
  expect(pins()).toBe(true);
  // It has let go of everything by the time it answers.
  await call(join(pod.dockerd.folder, "control.sock"), "POST", "/stop");
  expect(pins()).toBe(false);
  await expect.poll(() => isRunning(pid)).toBe(false);
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
