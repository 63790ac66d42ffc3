import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Task } from "@aeon/containerd";
import { run } from "@aeon/standalone";
import type { DindController } from "../src/index.ts";
import { namespace } from "./open-controller.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { tearDown } from "./support/main-tools.ts";
import { traces } from "./traces.ts";

const signal = AbortSignal.timeout(400_000);
let setup: Setup;
let controller: DindController;
let first: Task;
let second: Task;
/** Of the second container's network before there was a dockerd in it; a new network has the host's. */
let forwarding: string;
const one = { namespace, id: "one" };
const two = { namespace, id: "two" };
const mib = 1024 * 1024;

beforeAll(async () => {
  setup = await setUp();
  controller = await setup.controller();
  first = await setup.main("one", { resources: { memory: { limit: 700 * mib } } });
  second = await setup.main("two");
  forwarding = await setup.exec(second, ["cat", "/proc/sys/net/ipv4/ip_forward"]);
  await controller.start(one, signal);
  await controller.start(two, signal);
  for (const task of [first, second])
    await setup.exec(task, ["sh", "-c", "tar -C / -c bin | docker import - busybox"]);
}, 300_000);

afterAll(() => tearDown(setup, controller), 120_000);

test("docker works in a container with the usual client", async () => {
  expect(await setup.exec(first, ["docker", "version"])).toContain("Server:");
  expect(await setup.exec(first, ["docker", "run", "--rm", "busybox", "/bin/echo", "hello"])).toContain(
    "hello",
  );
});

test("two containers see nothing of each other", async () => {
  await setup.exec(first, ["docker", "run", "-d", "--name", "mine", "busybox", "/bin/sleep", "1000"]);
  await setup.exec(first, ["docker", "network", "create", "apart"]);
  await setup.exec(first, ["docker", "tag", "busybox", "private"]);
  expect(await setup.exec(second, ["docker", "ps", "-aq"])).toBe("");
  expect(await setup.exec(second, ["docker", "network", "ls"])).not.toContain("apart");
  expect(await setup.exec(second, ["docker", "images"])).not.toContain("private");
  expect(await setup.exec(second, ["sh", "-c", "cat /proc/net/dev"])).toContain("docker0");
  expect(await setup.exec(second, ["sh", "-c", "ps | grep -c 'sleep 1000$' || true"])).toBe("0\n");
});

test("the kernel counts inner containers to their main container, whose memory limit holds", async () => {
  const hog = ["docker", "run", "--rm", "busybox", "/bin/sh", "-c", "a=x; while :; do a=$a$a$a$a; done"];
  await setup.exec(first, hog, 137);
  expect((await controller.status(one)).state).toBe("running");
  expect(await setup.exec(first, ["docker", "run", "--rm", "busybox", "/bin/echo", "alive"])).toContain(
    "alive",
  );
});

test("a full disk is full for one DinD container only", async () => {
  const fill = "dd if=/dev/zero of=/f bs=1M count=4000";
  const said = await setup.exec(first, ["docker", "run", "--rm", "busybox", "/bin/sh", "-c", fill], 1);
  expect(said).toContain("No space left on device");
  expect(
    await setup.exec(second, [
      "docker",
      "run",
      "--rm",
      "busybox",
      "/bin/sh",
      "-c",
      "dd if=/dev/zero of=/f bs=1M count=20 2>&1 && echo fits",
    ]),
  ).toContain("fits");
});

test("no port and no abstract socket is open in the container's network", async () => {
  expect(
    await setup.exec(second, ["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ' || true"]),
  ).toBe("0\n");
});

test("the DinD container has no more power than dockerd needs", async () => {
  const { pid } = await controller.status(two);
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const bounding = BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(status)?.[1]}`);
  // SYS_MODULE, SYS_RAWIO, SYS_BOOT, SYS_TIME, SYSLOG, MAC_ADMIN, DAC_READ_SEARCH, BPF.
  for (const bit of [16n, 17n, 22n, 25n, 34n, 33n, 2n, 39n]) expect(bounding & (1n << bit)).toBe(0n);
  const mounts = await readFile(`/proc/${pid}/mountinfo`, "utf8");
  for (const setting of ["/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs"])
    expect(mounts).toMatch(new RegExp(` ${setting} ro,`));
  expect(mounts).not.toMatch(/ \/proc\/sys\/net ro,/);
});

test("the main container's own firewall rules stay as they are, and are all there is after a stop (test 64)", async () => {
  const dind = await controller.status(one);
  /** The program of one DinD container, in the network of the other's main container. */
  const nft = async (...args: readonly string[]): Promise<string> => {
    const places = [`--mount=/proc/${dind.pid}/ns/mnt`, `--net=/proc/${second.pid}/ns/net`];
    return (await run("nsenter", [...places, "nft", ...args])).stdout;
  };
  const ofAeon = await nft("list", "ruleset");
  expect(ofAeon).toContain("masquerade");
  await nft(
    "add table ip mine; add chain ip mine in { type filter hook input priority 0; }; add rule ip mine in tcp dport 81 drop",
  );
  const own = await nft("list", "table", "ip", "mine");
  expect(own).toContain("tcp dport 81 drop");
  const publish = ["docker", "run", "--rm", "--publish", "8081:81", "busybox", "/bin/true"];
  await setup.exec(second, publish);
  expect(await nft("list", "table", "ip", "mine")).toBe(own);
  await controller.stop(two);
  expect(await nft("list", "ruleset")).toBe(own);
  await controller.start(two, signal);
  expect(await nft("list", "table", "ip", "mine")).toBe(own);
  await nft("delete", "table", "ip", "mine");
});

test("stopped and started again it has its images, and leaves no device and no rule in between", async () => {
  expect(await setup.exec(second, ["cat", "/proc/sys/net/ipv4/ip_forward"])).toBe("1\n");
  await controller.stop(two);
  const devices = await setup.exec(second, ["cat", "/proc/net/dev"]);
  expect(devices).not.toMatch(/docker0|br-|veth/);
  expect(
    await setup.exec(second, [
      "sh",
      "-c",
      "ls /run/docker.sock /var/run/docker.sock 2>/dev/null || echo none",
    ]),
  ).toContain("none");
  expect(await setup.exec(second, ["cat", "/proc/sys/net/ipv4/ip_forward"])).toBe(forwarding);
  await controller.start(two, signal);
  expect(await setup.exec(second, ["docker", "run", "--rm", "busybox", "/bin/echo", "again"])).toContain(
    "again",
  );
});

test("a dockerd that dies is started again", async () => {
  const before = await controller.status(two);
  // Zero would be this process's own group.
  if (before.pid === undefined) throw new Error(`no dockerd runs: ${JSON.stringify(before)}`);
  process.kill(before.pid, "SIGKILL");
  await expect
    .poll(() => controller.status(two), { timeout: 60_000, interval: 100 })
    .toMatchObject({ state: "running", pid: expect.not.toSatisfy((pid: unknown) => pid === before.pid) });
  expect((await controller.status(two)).restarts).toBe(1);
  expect(await setup.exec(second, ["docker", "images"])).toContain("busybox");
});

test("an agent that starts finds what the last one left and goes on with it", async () => {
  const before = await controller.status(two);
  await controller[Symbol.asyncDispose]();
  controller = await setup.controller();
  await expect
    .poll(() => controller.list().find(({ id }) => id === "two")?.state, { timeout: 30_000, interval: 100 })
    .toBe("running");
  expect((await controller.status(two)).pid).toBe(before.pid);
});

test("a container that ends in the middle of work leaves nothing", async () => {
  const busy = await second.exec({
    args: ["docker", "run", "busybox", "/bin/sh", "-c", "while :; do :; done"],
  });
  await busy.start();
  for (const [task, id] of [
    [first, "one"],
    [second, "two"],
  ] as const) {
    const ended = task.wait();
    await task.kill("SIGKILL");
    await ended;
    await task.delete();
    await setup.client.container(id).delete({ snapshot: true });
  }
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
  expect(await traces(setup.folder)).toEqual([]);
  expect((await setup.client.containers()).map(({ id }) => id)).toEqual([]);
});

test("a first client starts it when the socket was made ahead", async () => {
  const task = await setup.main("lazy");
  const main = { namespace, id: "lazy" };
  expect((await controller.arm(main)).state).toBe("armed");
  expect(await setup.exec(task, ["docker", "version"])).toContain("Server:");
  expect((await controller.status(main)).state).toBe("running");
  const ended = task.wait();
  await task.kill("SIGKILL");
  await ended;
  await task.delete();
  await expect.poll(() => controller.list(), { timeout: 60_000, interval: 100 }).toEqual([]);
  expect(await traces(setup.folder)).toEqual([]);
});
