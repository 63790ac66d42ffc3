import { mkdir, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  createMetrics,
  podFolderPath,
  silentLogger,
  type AnnouncedContainer,
  type PodFolders,
  type PodFolderSubject,
} from "@aeon/core";
import { callTtrpc, Mux, serveTtrpc, TtrpcConnection, ttrpcRouter } from "@aeon/containerd/ttrpc";
import { Plugin, Runtime, type CreateContainerResponseSchema } from "@aeon/proto/nri";
import { containerdVersions, temporaryFolder, startCriNode, type CriNode } from "@aeon/testkit";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startNriInjector, type NriInjectorOptions } from "../src/nri/nri-injector.ts";
import { matcherFor, type Matcher } from "../src/rules/injection.ts";
import { compileFiles } from "../src/rules/load-rules.ts";

const within = { timeout: 20_000 };
const matcherOf = async (...rules: object[]): Promise<Matcher> =>
  matcherFor(await compileFiles([{ path: "/hooks.json", text: JSON.stringify({ version: 1, rules }) }]));

describe.each(containerdVersions)("containerd %s", (version) => {
  let node: CriNode;
  beforeAll(async () => {
    node = await startCriNode({ version, nri: true });
  });
  afterAll(() => node?.[Symbol.asyncDispose]());
  const socketOf = () => join(node.containerd.folder, "nri.sock");

  async function injector(rules: readonly object[], more: Partial<NriInjectorOptions> = {}) {
    const matcher = await matcherOf(...rules);
    const started = startNriInjector({
      socket: socketOf(),
      matcher: () => matcher,
      log: silentLogger,
      metrics: await createMetrics(),
      ...more,
    });
    await vi.waitFor(() => expect(started.health()).toEqual({ ok: true }), within);
    return started;
  }

  test("a pod's folder is mounted where it is wanted, and everybody's identity is announced", async () => {
    await using folder = await temporaryFolder("pod");
    await mkdir(join(folder.path, "pod"));
    await writeFile(join(folder.path, "pod/note"), "service");
    const asked: PodFolderSubject[] = [];
    let fails = false;
    const folders: PodFolders = {
      wants: ({ annotations }) => annotations["aeon.io/container-service"] === "true",
      async attach(subject) {
        asked.push(subject);
        if (fails) throw new Error("no folder");
        const mount = {
          type: "bind",
          source: join(folder.path, "pod"),
          destination: podFolderPath,
          options: ["rbind", "ro"],
        } as const;
        return { mounts: [mount], pathEntry: "/run/aeon/bin" };
      },
    };
    const announced: AnnouncedContainer[] = [];
    await using plugin = await injector([{ name: "env", when: { pods: "^in" }, env: ["SEEN=1"] }], {
      folders: () => folders,
      announce: (container) => void announced.push(container),
    });
    expect(plugin.status().failClosed).toBeUndefined();
    const check = `[ "$(cat ${podFolderPath}/note)" = service ] && [ "$SEEN" = 1 ] && exit 9`;
    const annotations = { "aeon.io/container-service": "true" };
    expect(await node.runPod({ name: "in", annotations }, ["sh", "-c", check])).toBe(9);
    expect(await node.runPod({ name: "out" }, ["sh", "-c", `[ -e ${podFolderPath} ] || exit 8`])).toBe(8);
    fails = true;
    const without = { name: "in-2", annotations };
    expect(await node.runPod(without, ["sh", "-c", `[ -e ${podFolderPath} ] || exit $((6 + SEEN))`])).toBe(7);
    expect(asked.map(({ pod }) => pod)).toEqual([
      { namespace: "default", name: "in", uid: "uid-in" },
      { namespace: "default", name: "in-2", uid: "uid-in-2" },
    ]);
    expect(announced.map(({ pod, namespace }) => [namespace, pod.name, pod.container])).toEqual([
      ["k8s.io", "in", "main"],
      ["k8s.io", "out", "main"],
      ["k8s.io", "in-2", "main"],
    ]);
  });

  test("replies of 1 byte to 3.9 MB arrive", async () => {
    let size = 0;
    await using life = new AsyncDisposableStack();
    const socket = connect(socketOf());
    life.defer(() => void socket.destroy());
    await foreignPlugin(socket, async () =>
      size === 0 ? {} : { adjust: { annotations: { "example.org/x": "y".repeat(size) } } },
    );
    for (size of [0, 1, 4040, 4060, 4070, 4086, 4096, 65_536, 1_000_000, 3_900_000]) {
      await using pod = await node.startPod({ name: `size-${size}` }, ["sleep", "1000"]);
      const { info } = await node.cri.runtime.containerStatus({ containerId: pod.container, verbose: true });
      const spec: unknown = JSON.parse(info["info"] ?? "{}");
      expect(JSON.stringify(spec).includes(`"example.org/x":"${"y".repeat(size)}"`)).toBe(size > 0);
      expect(socket.destroyed).toBe(false);
    }
  });

  test("a plugin that stalls for 3 s delays a container by 2 s and no more, and is dropped", async () => {
    const socket = connect(socketOf());
    await foreignPlugin(socket, async () => {
      await delay(3000);
      return { adjust: { env: [{ key: "SEEN", value: "1" }] } };
    });
    const from = performance.now();
    expect(await node.runPod({ name: "stalled" }, ["sh", "-c", "exit ${SEEN:-5}"])).toBe(5);
    const took = performance.now() - from;
    expect(took).toBeGreaterThan(1900);
    expect(took).toBeLessThan(15_000);
    await vi.waitUntil(() => socket.destroyed, within);
    await using plugin = await injector([{ name: "env", env: ["SEEN=6"] }]);
    expect(plugin.health().ok).toBe(true);
    expect(await node.runPod({ name: "served" }, ["sh", "-c", "exit ${SEEN:-5}"])).toBe(6);
  }, 60_000);

  // containerd 1.7 has no parts: it refuses the plugin then.
  if (version === "1.7") return;
  test("more than 4 MiB of containers are told in parts", async () => {
    await using pods = new AsyncDisposableStack();
    // A runtime gives up on parts of eight objects or fewer: many middling ones, then.
    const names = Array.from({ length: 10 }, (_, index) => `large-${index}`);
    for (const name of names) {
      const annotations = { "example.org/large": name.at(-1)?.repeat(300_000) ?? "" };
      pods.use(await node.startPod({ name, annotations }, ["sleep", "1000"]));
    }
    await using plugin = await injector([{ name: "env", when: { pods: "^large-" }, env: ["SEEN=6"] }]);
    expect(plugin.missed.map(({ pod }) => pod).toSorted()).toEqual(names);
  }, 60_000);
});

/** Registers a plugin that answers about containers as it is told. */
async function foreignPlugin(
  socket: Socket,
  createContainer: () => Promise<MessageInitShape<typeof CreateContainerResponseSchema>>,
): Promise<void> {
  const synchronized = Promise.withResolvers<void>();
  const mux = new Mux(socket);
  const router = ttrpcRouter(Plugin, {
    configure: async () => ({ events: 1 << 3 }),
    synchronize: async ({ more }) => {
      if (!more) synchronized.resolve();
      return { more };
    },
    createContainer,
  });
  serveTtrpc(mux.channel(1), router);
  const client = new TtrpcConnection(mux.channel(2));
  await callTtrpc(client, Runtime.method.registerPlugin, { pluginName: "foreign", pluginIdx: "60" });
  await synchronized.promise;
}
