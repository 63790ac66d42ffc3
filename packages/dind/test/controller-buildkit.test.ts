import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { run } from "@aeon/standalone";
import type { Task } from "@aeon/containerd";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DindController } from "../src/index.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { namespace } from "./open-controller.ts";
import { openBuildKit, type Step } from "./support/buildkit.ts";
import { shell, tearDown } from "./support/main-tools.ts";

const main = { namespace, id: "main" };
const image = { identifier: "docker-image://docker.io/library/box:latest" };
let setup: Setup;
let controller: DindController;
let task: Task;

beforeAll(async () => {
  setup = await setUp();
  controller = await setup.controller();
  task = await setup.main("main");
  await controller.start(main, AbortSignal.timeout(90_000));
  await shell(setup, task, "tar -C / -c bin etc | docker import - box");
}, 300_000);
afterAll(() => tearDown(setup, controller), 120_000);

const socket = () => join(`/proc/${task.pid}/root/run/docker.sock`);
/** Runs a script in the DinD container. */
async function inside(script: string): Promise<string> {
  const { pid } = await controller.status(main);
  const { stdout } = await run("nsenter", ["-t", String(pid), "-m", "-p", "sh", "-c", script]);
  return stdout;
}
const sh = (script: string, rest: Partial<Step> = {}): Step => ({ args: ["/bin/sh", "-c", script], ...rest });

test("what a client asks BuildKit for over gRPC by itself is held to dockerd's configuration (test 37)", async () => {
  using kit = await openBuildKit(socket());
  expect(await kit.solve(image, sh("id"))).toEqual({ status: 0, message: "" });
  expect(await kit.solve(image, sh("exit 3"))).toMatchObject({
    message: expect.stringContaining("exit code: 3"),
  });
  const insecure = sh("id", { security: "insecure" });
  for (const entitlements of [[], ["security.insecure"]])
    expect(await kit.solve(image, insecure, entitlements)).toMatchObject({
      message: expect.stringContaining("security.insecure is not allowed"),
    });
  for (const entitlements of [[], ["device"]])
    expect(await kit.solve(image, sh("id", { device: "vendor.com/gpu=all" }), entitlements)).toMatchObject({
      message: expect.stringMatching(/device.* (is not registered|is not allowed)/),
    });
});

test("a step sees its image and nothing of the DinD container, whatever part of it is mounted", async () => {
  using kit = await openBuildKit(socket());
  for (const selector of ["../../../../../etc", "/../../../../etc", "/etc"])
    expect(await kit.solve(image, sh("test -e /x/passwd && test ! -e /x/docker", { selector }))).toEqual({
      status: 0,
      message: "",
    });
  expect(await inside("ls /etc")).toContain("docker");
});

test.each([
  ["a file", { identifier: "file:///etc/passwd" }],
  ["a folder of nobody's session", { identifier: "local://context" }],
  [
    "a repository by a command",
    { identifier: "git://x", attributes: { "git.fullurl": "ext::sh -c touch% /tmp/made" } },
  ],
])("a source that is %s gives nothing", async (_what, source) => {
  using kit = await openBuildKit(socket());
  const { status, message } = await kit.solve(source, undefined);
  expect([status, message]).toEqual([expect.any(Number), expect.not.stringMatching(/^$/)]);
  expect(status).not.toBe(0);
  expect(await inside("ls /tmp")).not.toContain("made");
});

test("the pod's network is a build's only where the pod's policy lets containers have it", async () => {
  using kit = await openBuildKit(socket());
  const onHost = sh("id", { network: "host" });
  expect((await kit.solve(image, onHost)).status).not.toBe(0);
  expect(await kit.solve(image, onHost, ["network.host"])).toEqual({ status: 0, message: "" });
});

test("noise in a session ends that session and nothing else", async () => {
  const client = connect(socket());
  client.write(
    "POST /session HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" +
      "X-Docker-Expose-Session-Uuid: noise\r\nX-Docker-Expose-Session-Name: noise\r\n\r\n",
  );
  const [head] = (await once(client, "data")) as [Buffer];
  expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
  client.on("error", () => {}).resume();
  client.write(randomBytes(1024 ** 2));
  await once(client, "close");
  using kit = await openBuildKit(socket());
  expect(await kit.solve(image, sh("id"))).toEqual({ status: 0, message: "" });
});
