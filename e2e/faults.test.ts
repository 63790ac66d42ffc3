import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createGrpcClient, GrpcChannel } from "@aeon/containerd";
import { snapshots } from "@aeon/proto";
import { agentPaths } from "./servers/agent.ts";
import { startNode, type AeonNode } from "./servers/node.ts";

/** One containerd with the agent for all tests: each leaves it working. */
let node: AeonNode;

beforeAll(async () => {
  node = await startNode();
});
afterAll(async () => {
  await node[Symbol.asyncDispose]();
});

/** What a container prints that is to run now. */
const alive = (id: string): Promise<string> => node.run(id, "echo alive; sleep 0.5");

/** Starts a container that runs until it is killed. */
async function startLongRunning(id: string): Promise<void> {
  await node.containerd.ctr([
    "run",
    "--detach",
    "--snapshotter",
    "aeon",
    node.image,
    id,
    "sh",
    "-c",
    "echo kept > /file; sleep 1000",
  ]);
}

const exec = (id: string, ...command: string[]): Promise<string> =>
  node.containerd.ctr(["tasks", "exec", "--exec-id", `e${Math.random()}`.replace(".", ""), id, ...command]);

async function remove(id: string): Promise<void> {
  await node.containerd.ctr(["tasks", "delete", "--force", id]);
  await node.containerd.ctr(["containers", "delete", id]);
}

test("containers live through a killed agent; the socket it leaves behind is replaced", async () => {
  await startLongRunning("through-kill");
  await node.agent.kill();
  expect(existsSync(node.agent.socket)).toBe(true);
  await expect(node.run("without-agent", "true")).rejects.toThrow(/connection refused|[Uu]navailable/);
  expect(await exec("through-kill", "cat", "/file")).toBe("kept\n");
  await node.startAgain();
  // containerd dials again at its own pace, within three seconds.
  await expect
    .poll(() => node.run("after-kill", "echo alive").catch(String), { timeout: 10_000 })
    .toBe("alive\n");
  expect(await exec("through-kill", "cat", "/file")).toBe("kept\n");
  await remove("through-kill");
});

test.each(["stop", "kill"] as const)("containerd comes back after %s and finds everything", async (how) => {
  const id = `through-${how}`;
  await startLongRunning(id);
  await node.containerd[how]();
  using channel = new GrpcChannel({ address: node.agent.socket });
  const client = createGrpcClient(snapshots.Snapshots, channel);
  const before = await Array.fromAsync(client.list({}));
  expect(before.flatMap(({ info }) => info).length).toBeGreaterThan(0);
  await node.containerd.start();
  expect(await exec(id, "cat", "/file")).toBe("kept\n");
  expect(await alive(`after-${how}`)).toBe("alive\n");
  await remove(id);
  await expect
    .poll(async () =>
      (await node.containerd.ctr(["snapshots", "--snapshotter", "aeon", "list"])).includes(id),
    )
    .toBe(false);
});

const countDirectories = async (): Promise<number> =>
  (await readdir(join(agentPaths(node.folder).snapshots, "snapshots"))).length;

test("removed containers leave no directory behind", async () => {
  expect(await alive("count-0")).toBe("alive\n");
  await settled();
  const before = await countDirectories();
  for (let index = 1; index <= 4; index++) await node.run(`count-${index}`, "echo x > /new");
  await expect.poll(countDirectories, { timeout: 20_000 }).toBeLessThanOrEqual(before + 1);
});

/** Waits until containerd's garbage collector has removed what it no longer knows. */
async function settled(): Promise<void> {
  using channel = new GrpcChannel({ address: node.agent.socket });
  const client = createGrpcClient(snapshots.Snapshots, channel);
  const actives = async (): Promise<number> =>
    (await Array.fromAsync(client.list({ filters: ["kind==active"] }))).flatMap(({ info }) => info).length;
  await expect.poll(actives, { timeout: 20_000 }).toBe(0);
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const hostile: readonly [string, Buffer][] = [
  ["HTTP/1", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["random bytes", Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7919) % 251))],
  ["half a preface", preface.subarray(0, 10)],
  ["an oversized frame", Buffer.concat([preface, Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])])],
  [
    "data on a stream that was never opened",
    Buffer.concat([preface, Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 9, 0])]),
  ],
];

test.each(hostile)("%s on the socket disturbs nobody", async (_, bytes) => {
  const socket = createConnection(node.agent.socket);
  await once(socket, "connect");
  socket.on("error", () => {});
  socket.write(bytes);
  expect(await alive(`beside-hostile-${hostile.findIndex(([, other]) => other === bytes)}`)).toBe("alive\n");
  socket.destroy();
});

test("three hundred idle connections disturb nobody", async () => {
  const idle: Socket[] = [];
  for (let index = 0; index < 300; index++) {
    const socket = createConnection(node.agent.socket);
    await once(socket, "connect");
    idle.push(socket);
  }
  expect(await alive("beside-idle")).toBe("alive\n");
  for (const socket of idle) socket.destroy();
});

test("the agent that was disturbed is still the same one, and stops in order", async () => {
  await node.agent[Symbol.asyncDispose]();
  expect(existsSync(node.agent.socket)).toBe(false);
  await node.startAgain();
  await expect
    .poll(() => node.run("at-the-end", "echo alive").catch(String), { timeout: 10_000 })
    .toBe("alive\n");
});
