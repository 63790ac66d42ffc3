import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  containerRegistry,
  createMetrics,
  silentLogger,
  type Capability,
  type PluginContext,
} from "@aeon/core";
import { containerdClient, openClient } from "@aeon/containerd";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  backendOf,
  snapshotterConfig,
  snapshotterPlugin,
  snapshotterRuntime,
  type SnapshotterConfig,
} from "./plugin.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-plugin-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

type Table = v.InferInput<typeof snapshotterConfig>;

const configOf = (table: Table): SnapshotterConfig =>
  v.parse(snapshotterConfig, { socket: join(folder, "s.sock"), ...table });
const remote = (): Table => ({ backend: "remote", address: join(folder, "remote.sock") });

/** What an agent gives a plugin, with a look at what the plugin does with it. */
async function host(config: SnapshotterConfig, offered: readonly [Capability<unknown>, unknown][] = []) {
  const provided = new Map<string, unknown>(offered.map(([{ name }, value]) => [name, value]));
  const checks = new Map<string, () => unknown>();
  const reloads: ((next: SnapshotterConfig) => Promise<readonly string[]>)[] = [];
  const find = <T>({ name }: Capability<T>) => provided.get(name) as T | undefined;
  const context: PluginContext<SnapshotterConfig> = {
    config,
    log: silentLogger,
    metrics: await createMetrics(),
    root: folder,
    state: folder,
    signal: new AbortController().signal,
    snapshotHooks: { register: () => ({ [Symbol.dispose]() {} }) },
    containerServices: { register: () => ({ [Symbol.dispose]() {} }) },
    provide: ({ name }, value) => void provided.set(name, value),
    require: <T>(capability: Capability<T>): T => {
      const value = find(capability);
      if (value === undefined) throw new Error(`${capability.name} is missing`);
      return value;
    },
    find,
    health: (name, check) => void checks.set(name, check),
    fail: (error) => {
      throw error;
    },
    onReload: (handler) => void reloads.push(handler),
  };
  return { context, provided, checks, reloads, find };
}

test("provides the runtime and the registry, serves only when told, and leaves nothing behind", async () => {
  const { context, find, checks } = await host(configOf({ ...remote(), "audit-log": join(folder, "audit") }));
  const listeners = process.listenerCount("SIGHUP");
  const running = await snapshotterPlugin.start(context);
  const runtime = find(snapshotterRuntime);
  expect(runtime?.listening).toBe(false);
  expect(runtime?.pipeline.hooks().map(({ hook }) => hook)).toEqual(
    expect.arrayContaining(["audit-log", "metrics", "container-registry"]),
  );
  expect(find(containerRegistry)?.list()).toEqual([]);
  expect([...checks.values()].map((check) => check())).toEqual([{ ok: true }, { ok: true }]);
  expect(process.listenerCount("SIGHUP")).toBe(listeners + 1);
  await running[Symbol.asyncDispose]();
  expect(process.listenerCount("SIGHUP")).toBe(listeners);
});

test("names the keys that only a restart changes", async () => {
  const config = configOf(remote());
  const { context, reloads } = await host(config);
  await using _ = await snapshotterPlugin.start(context);
  expect(await reloads[0]?.(config)).toEqual([]);
  expect(await reloads[0]?.({ ...config, name: "native", "audit-log": "/x" })).toEqual(["name", "audit-log"]);
});

test("refuses the containerd that aeon serves as its own backend", async () => {
  await using client = openClient({ address: join(folder, "remote.sock") });
  const { context } = await host(configOf(remote()), [[containerdClient, client]]);
  await expect(snapshotterPlugin.start(context)).rejects.toMatchObject({ reason: "REMOTE_IS_CALLER" });
});

test("reads the backend from the table", () => {
  expect(backendOf(configOf({ root: "/r", "mount-options": ["xino=off"] }))).toEqual({
    type: "overlayfs",
    root: "/r",
    mountOptions: ["xino=off"],
  });
  expect(backendOf(configOf({ ...remote(), "containerd-namespace": "aeon" }))).toEqual({
    type: "remote",
    address: join(folder, "remote.sock"),
    name: "overlayfs",
    containerdNamespace: "aeon",
  });
  expect(() => backendOf(configOf({ backend: "remote" }))).toThrow("snapshotter.address");
});
