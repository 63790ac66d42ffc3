import { mkdir, readFile, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createMetrics, silentLogger } from "@aeon/core";
import { callTtrpc, Mux, serveTtrpc, TtrpcConnection, ttrpcRouter } from "@aeon/containerd/ttrpc";
import { Plugin, Runtime } from "@aeon/proto/nri";
import { containerdVersions, temporaryFolder, startCriNode } from "@aeon/testkit";
import { describe, expect, test, vi } from "vitest";
import { startNriInjector } from "../src/nri/nri-injector.ts";
import { matcherFor, type Matcher } from "../src/rules/injection.ts";
import { compileFiles } from "../src/rules/load-rules.ts";
import { stages } from "../src/rules/stage.ts";

const matcherOf = async (...rules: object[]): Promise<Matcher> =>
  matcherFor(await compileFiles([{ path: "/hooks.json", text: JSON.stringify({ version: 1, rules }) }]));

async function setUp(version: (typeof containerdVersions)[number], rules: readonly object[]) {
  const resources = new AsyncDisposableStack();
  const node = resources.use(await startCriNode({ version, nri: true }));
  const folder = resources.use(await temporaryFolder("nri"));
  const metrics = await createMetrics();
  let matcher = await matcherOf(...rules);
  const socket = join(node.containerd.folder, "nri.sock");
  const inject = () => startNriInjector({ socket, matcher: () => matcher, log: silentLogger, metrics });
  return {
    node,
    folder: folder.path,
    socket,
    metrics,
    inject,
    rules: async (...next: object[]) => void (matcher = await matcherOf(...next)),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const within = { timeout: 20_000 };

describe.each(containerdVersions)("NRI of containerd %s", (version) => {
  test("injects hooks of all stages, environment, mounts and annotations where rules match", async () => {
    await using setup = await setUp(version, []);
    const notes = join(setup.folder, "notes");
    const note = join(setup.folder, "note");
    await writeFile(note, `#!/bin/sh\necho "$1 $(cat | tr -d '\\n')" >>'${notes}'\n`, { mode: 0o755 });
    await mkdir(join(setup.folder, "data"));
    await writeFile(join(setup.folder, "data/file"), "mounted");
    const hook = (stage: string) =>
      stage === "startContainer"
        ? { path: "/bin/sh", args: ["sh", "-c", "cat >/dev/null; echo inside >/seen"], env: ["PATH=/bin"] }
        : { path: note, args: ["note", stage], timeout: 10 };
    const mounts = [
      { destination: "/data", type: "bind", source: join(setup.folder, "data"), options: ["rbind", "ro"] },
    ];
    await setup.rules(
      {
        name: "web",
        when: {
          namespaces: "^shop$",
          labels: { "^app$": "^web$" },
          annotations: { "^example\\.org/x$": "^on$" },
          images: "busybox",
          commands: "^sh$",
        },
        hooks: Object.fromEntries(stages.map((stage) => [stage, [hook(stage)]])),
        env: ["SEEN=a=b"],
        mounts,
        annotations: { "example.org/added": "yes" },
      },
      { name: "other", when: { namespaces: "^other$" }, env: ["SEEN=wrong"] },
    );
    await using injector = setup.inject();
    await vi.waitUntil(() => injector.health().ok, within);
    expect(injector.missed).toEqual([]);
    const pod = {
      name: "web",
      namespace: "shop",
      labels: { app: "web" },
      annotations: { "example.org/x": "on" },
    };
    const script =
      '[ "$SEEN" = a=b ] && [ "$(cat /data/file)" = mounted ] && [ "$(cat /seen)" = inside ] && exit 9';
    expect(await setup.node.runPod(pod, ["sh", "-c", script])).toBe(9);
    const lines = (await readFile(notes, "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => line.split(" ")[0])).toEqual(
      stages.filter((stage) => stage !== "startContainer"),
    );
    for (const line of lines)
      expect(JSON.parse(line.slice(line.indexOf(" ")))).toMatchObject({
        id: expect.any(String),
        annotations: { "example.org/added": "yes", "hooks.aeon.io/applied": "web" },
      });
    expect(await setup.node.runPod({ ...pod, labels: {} }, ["sh", "-c", '[ -z "$SEEN" ] && exit 8'])).toBe(8);
    expect(await setup.metrics.text()).toMatch(/hooks_nri_containers_total\{outcome="injected"\} 1/);
  });

  test("reconnects after the runtime was away and tells of containers that started without it", async () => {
    await using setup = await setUp(version, [{ name: "web", when: { pods: "^web" }, env: ["SEEN=1"] }]);
    await using missed = await setup.node.startPod({ name: "web-1" }, ["sleep", "1000"]);
    await using ignored = await setup.node.startPod({ name: "db" }, ["sleep", "1000"]);
    await using injector = setup.inject();
    await vi.waitUntil(() => injector.health().ok, within);
    expect(ignored.container).not.toBe(missed.container);
    expect(injector.missed).toEqual([
      { id: missed.container, namespace: "default", pod: "web-1", container: "main", rules: ["web"] },
    ]);
    await using injected = await setup.node.startPod({ name: "web-2" }, ["sleep", "1000"]);
    expect(injected.container).not.toBe(missed.container);
    await setup.node.containerd.stop();
    await vi.waitUntil(() => !injector.health().ok, within);
    await setup.node.containerd.start();
    await vi.waitUntil(() => injector.health().ok, within);
    expect(injector.missed.map(({ pod }) => pod)).toEqual(["web-1"]);
    const check = ["sh", "-c", 'exit "${SEEN:-0}"'];
    await vi.waitFor(async () => expect(await setup.node.runPod({ name: "web-3" }, check)).toBe(1), within);
  });

  test("an adjustment of 300 kB arrives, and a plugin that dies while it is asked lets the container start", async () => {
    const env = Array.from({ length: 300 }, (_, index) => `V${index}=${"x".repeat(1000)}`);
    await using setup = await setUp(version, [{ name: "large", env }]);
    {
      await using injector = setup.inject();
      await vi.waitUntil(() => injector.health().ok, within);
      expect(await setup.node.runPod({ name: "large" }, ["sh", "-c", "exit ${#V299}"])).toBe(1000 % 256);
    }
    const socket = connect(setup.socket);
    await dyingPlugin(socket);
    expect(await setup.node.runPod({ name: "alone" }, ["sh", "-c", "exit ${#V299}"])).toBe(0);
    expect(socket.destroyed).toBe(true);
  });
});

/** Registers a plugin whose connection ends when it is asked about a container. */
async function dyingPlugin(socket: Socket): Promise<void> {
  const synchronized = Promise.withResolvers<void>();
  const mux = new Mux(socket);
  const router = ttrpcRouter(Plugin, {
    configure: async () => ({ events: 1 << 3 }),
    synchronize: async ({ more }) => {
      if (!more) synchronized.resolve();
      return { more };
    },
    createContainer: async () => {
      socket.destroy();
      return {};
    },
  });
  serveTtrpc(mux.channel(1), router);
  const client = new TtrpcConnection(mux.channel(2));
  await callTtrpc(client, Runtime.method.registerPlugin, { pluginName: "dying", pluginIdx: "60" });
  await synchronized.promise;
}

test("without a runtime it waits, and says why", async () => {
  await using folder = await temporaryFolder("nri");
  const matcher = await matcherOf();
  await using injector = startNriInjector({
    socket: join(folder.path, "nri.sock"),
    matcher: () => matcher,
    log: silentLogger,
    metrics: await createMetrics(),
  });
  await vi.waitFor(
    () => expect(injector.health()).toMatchObject({ ok: false, reason: expect.stringContaining("ENOENT") }),
    within,
  );
});
