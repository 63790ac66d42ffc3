import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { defaultSpec } from "@aeon/oci";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DindController, DindSettings } from "../src/index.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { defaultSettings, namespace } from "./open-controller.ts";
import { connectOutside, endMain, shell, startRegistry, tearDown } from "./support/main-tools.ts";
import { traces } from "./traces.ts";

const signal = AbortSignal.timeout(400_000);
let setup: Setup;
let controller: DindController;
const changes = new Map<string, Partial<DindSettings>>();

beforeAll(async () => {
  setup = await setUp();
  controller = await setup.controller({
    healthMs: 200,
    settings: ({ id }) => ({ ...defaultSettings, ...changes.get(id) }),
  });
}, 300_000);

afterAll(() => tearDown(setup, controller), 120_000);

const named = (id: string) => ({ namespace, id });
const importBusybox = "tar -C / -c bin | docker import - busybox";

async function gone(id: string): Promise<void> {
  await expect
    .poll(() => controller.list().filter((status) => status.id === id), { timeout: 60_000, interval: 100 })
    .toEqual([]);
}

test("inner networks have the size of the pod's packets, and leave under its address (test 65)", async () => {
  const task = await setup.main("net");
  await using outside = await connectOutside(task.pid, 1400);
  const answer = `require("node:net").createServer((s) => s.end(s.remoteAddress + "\\n")).listen(7000, "10.77.0.1", () => console.log("up"))`;
  const [enter = "", ...words] = outside.enter;
  const server = spawn(enter, [...words, process.execPath, "-e", answer], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(server.stdout, "data");
    await controller.start(named("net"), signal);
    await shell(setup, task, `${importBusybox}; docker network create own`);
    for (const network of ["bridge", "own"]) {
      const inner = (command: string): Promise<string> =>
        shell(setup, task, `docker run --rm --network ${network} busybox ${command}`);
      expect(await inner("/bin/cat /sys/class/net/eth0/mtu")).toBe("1400\n");
      expect(await inner("/bin/nc 10.77.0.1 7000")).toBe("10.77.0.2\n");
    }
  } finally {
    server.kill("SIGKILL");
  }
  await endMain(setup, task, "net");
  await gone("net");
});

test("the pod's own network for all, or none of their own, where the settings say so", async () => {
  changes.set("shared", { network: "shared" });
  changes.set("strict", { network: "strict" });
  const [shared, strict] = [await setup.main("shared"), await setup.main("strict")];
  await Promise.all(["shared", "strict"].map((id) => controller.start(named(id), signal)));
  for (const task of [shared, strict]) await shell(setup, task, importBusybox);
  const devices = await shell(setup, shared, "tail -n +3 /proc/net/dev | cut -d: -f1");
  expect(
    await shell(setup, shared, "docker run --rm busybox /bin/sh -c 'tail -n +3 /proc/net/dev | cut -d: -f1'"),
  ).toBe(devices);
  expect(await shell(setup, strict, "docker run --rm busybox /bin/true", 125)).toContain(
    "this pod allows only --network none",
  );
  expect(await shell(setup, strict, "docker run --rm --network none busybox /bin/echo alone")).toBe(
    "alone\n",
  );
  for (const [task, id] of [
    [shared, "shared"],
    [strict, "strict"],
  ] as const) {
    await endMain(setup, task, id);
    await gone(id);
  }
});

test("settings change while dockerd runs, where it can, and the others are named", async () => {
  const task = await setup.main("reload");
  const { pid } = await controller.start(named("reload"), signal);
  const mirrors = (): Promise<string> => shell(setup, task, "docker info -f '{{.RegistryConfig.Mirrors}}'");
  expect(await mirrors()).toBe("[]\n");
  changes.set("reload", { registryMirrors: ["https://cache.example/"], addressPool: "172.30.0.0/16" });
  expect(await controller.reload()).toEqual(new Map([[`${namespace}/reload`, ["addressPool"]]]));
  await expect.poll(mirrors).toBe("[https://cache.example/]\n");
  expect((await controller.settingsInForce(named("reload"))).addressPool).toBe(defaultSettings.addressPool);
  expect((await controller.status(named("reload"))).pid).toBe(pid);
  await controller.restart(named("reload"), signal);
  expect((await controller.settingsInForce(named("reload"))).addressPool).toBe("172.30.0.0/16");
  await shell(setup, task, importBusybox);
  expect(await shell(setup, task, "docker run --rm busybox /bin/hostname -i")).toMatch(/^172\.30\./);
  await endMain(setup, task, "reload");
  await gone("reload");
});

test("a tenant's cache is asked for images, and inner containers have the pod's resolver", async () => {
  const task = await setup.main("cache");
  await shell(
    setup,
    task,
    "printf 'search shop.svc\\nnameserver 10.9.8.7\\noptions ndots:5\\n' > /etc/resolv.conf",
  );
  const port = 5098;
  await using _ = await startRegistry(setup, task, port);
  await controller.start(named("cache"), signal);
  const name = `127.0.0.1:${port}/library/cached:1`;
  await shell(setup, task, `${importBusybox}; docker tag busybox ${name}; docker push -q ${name}`);
  const id = await shell(
    setup,
    task,
    `docker images -q --no-trunc ${name}; docker rmi -f ${name} busybox > /dev/null`,
  );
  changes.set("cache", { registryMirrors: [`http://127.0.0.1:${port}`] });
  expect(await controller.reload()).toEqual(new Map());
  const mirrors = (): Promise<string> => shell(setup, task, "docker info -f '{{.RegistryConfig.Mirrors}}'");
  await expect.poll(mirrors).toBe(`[http://127.0.0.1:${port}/]\n`);
  await shell(setup, task, "docker pull -q cached:1");
  expect(await shell(setup, task, "docker images -q --no-trunc cached:1")).toBe(id.split("\n")[0] + "\n");
  expect(await shell(setup, task, "docker run --rm cached:1 /bin/cat /etc/resolv.conf")).toMatch(
    /^nameserver 10\.9\.8\.7\nsearch shop\.svc\noptions ndots:5$/m,
  );
  await endMain(setup, task, "cache");
  await gone("cache");
});

test("one that nobody uses rests, and not while a container runs in it; the next client wakes it", async () => {
  changes.set("idle", { idleMs: 300 });
  const task = await setup.main("idle");
  await controller.start(named("idle"), signal);
  await shell(setup, task, `${importBusybox}; docker run -d --name busy busybox /bin/sleep 1000`);
  const states: string[] = [];
  const late = Date.now() + 2500;
  await expect
    .poll(
      async () => {
        states.push((await controller.status(named("idle"))).state);
        return Date.now() > late;
      },
      { interval: 100 },
    )
    .toBe(true);
  expect(new Set(states)).toEqual(new Set(["running"]));
  await shell(setup, task, "docker rm -f busy");
  const state = async (): Promise<string> => (await controller.status(named("idle"))).state;
  await expect.poll(state, { interval: 100 }).toBe("armed");
  expect((await controller.status(named("idle"))).pid).toBeUndefined();
  expect(await shell(setup, task, "docker images -q busybox")).not.toBe("");
  await expect.poll(state, { interval: 50 }).toBe("armed");
  await endMain(setup, task, "idle");
  await gone("idle");
});

test("the socket is inside the container whatever its /run is, and no link leads it out (test 50)", async () => {
  const main = named("links");
  const usual = defaultSpec({ ...main, args: ["/bin/sleep", "100000"], env: ["PATH=/bin:/usr/bin"] });
  const mounts = usual.mounts?.filter(({ destination }) => destination !== "/run") ?? [];
  const task = await setup.main("links", { spec: { ...usual, mounts } });
  await shell(setup, task, "mkdir /elsewhere; rm -rf /run; ln -s /elsewhere /run");
  await controller.start(main, signal);
  expect(await shell(setup, task, "ls /elsewhere/docker.sock; docker version -f '{{.Server.Os}}'")).toBe(
    "/elsewhere/docker.sock\nlinux\n",
  );
  await controller.stop(main);
  expect(await shell(setup, task, "ls -A /elsewhere")).toBe("");
  await shell(setup, task, "rm /run");
  await controller.start(main, signal);
  expect(await shell(setup, task, "docker version -f '{{.Server.Os}}'")).toBe("linux\n");
  // Put in the socket's place while Docker runs: it stays, and the next start says what is in its way.
  await shell(setup, task, "rm /run/docker.sock; echo mine > /run/docker.sock");
  await controller.stop(main);
  expect(await shell(setup, task, "cat /run/docker.sock")).toBe("mine\n");
  await expect(controller.start(main, signal)).rejects.toThrow(/\/run\/docker\.sock of the main container/);
  await shell(setup, task, "rm /run/docker.sock; ln -s /etc/passwd /run/docker.sock");
  const before = await readFile("/etc/passwd", "utf8");
  await expect(controller.start(main, signal)).rejects.toThrow(/\/run\/docker\.sock of the main container/);
  expect(await readFile("/etc/passwd", "utf8")).toBe(before);
  await shell(setup, task, "rm /run/docker.sock");
  expect((await controller.start(main, signal)).state).toBe("running");
  await endMain(setup, task, "links");
  await gone("links");
  expect(await traces(setup.folder)).toEqual([]);
});
