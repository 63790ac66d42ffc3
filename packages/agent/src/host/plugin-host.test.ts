import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  capability,
  createMetrics,
  defineAction,
  definePlugin,
  silentLogger,
  type ContainerService,
  type PluginContext,
  type SnapshotHook,
  type SnapshotHookRegistry,
} from "@aeon/core";
import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import * as v from "valibot";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { PluginHost } from "./plugin-host.ts";

const backoff = { initialMs: 5, maxMs: 20, resetMs: 60_000 };
let host: PluginHost;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "aeon-host-"));
  const metrics = await createMetrics();
  host = new PluginHost({
    root: folder,
    state: join(folder, "state"),
    log: silentLogger,
    metrics,
    backoff,
    startMs: 100,
    stopMs: 50,
  });
  const running = host;
  onTestFinished(async () => {
    await running.stop(new AbortController().signal);
    rmSync(folder, { recursive: true });
  });
});

interface Behaviour {
  readonly start?: (context: PluginContext<unknown>) => void | Promise<void>;
  readonly stop?: () => void | Promise<void>;
}

const plugin = (name: string, { start, stop }: Behaviour = {}) =>
  definePlugin({
    name,
    config: v.unknown(),
    async start(context) {
      await start?.(context);
      return {
        async [Symbol.asyncDispose]() {
          await stop?.();
        },
      };
    },
  });

const stateOf = (name: string) => host.statuses().find((status) => status.name === name);
const untilReady = async (name: string): Promise<void> => {
  await expect.poll(() => stateOf(name)?.state, { interval: 5 }).toBe("ready");
};

test("a plugin gets folders of its own that nobody else may read", async () => {
  await host.start(plugin("p"), undefined).firstAttempt;
  for (const path of [join(folder, "p"), join(folder, "state/p")])
    expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("a failed start is tried again; the others do not notice", async () => {
  let attempts = 0;
  await host.start(plugin("steady"), undefined).firstAttempt;
  const failing = host.start(
    plugin("failing", {
      start() {
        attempts += 1;
        if (attempts < 4) throw new Error(`attempt ${attempts}`);
      },
    }),
    undefined,
  );
  await failing.firstAttempt;
  expect(stateOf("failing")).toMatchObject({ state: "failed", failure: "attempt 1" });
  await untilReady("failing");
  expect(stateOf("failing")).toMatchObject({ restarts: 3 });
  expect(stateOf("steady")).toMatchObject({ state: "ready", restarts: 0 });
});

test("a plugin that reports its own failure is stopped and started again", async () => {
  const events: string[] = [];
  let fail: ((error: unknown) => void) | undefined;
  host.start(
    plugin("p", {
      start(context) {
        events.push("start");
        fail = (error) => context.fail(error);
      },
      stop: () => void events.push("stop"),
    }),
    undefined,
  );
  await untilReady("p");
  fail?.(new Error("died"));
  await expect.poll(() => events, { interval: 5 }).toEqual(["start", "stop", "start"]);
  await untilReady("p");
});

test("a start that hangs fails in time, and what it gives later is disposed", async () => {
  const gate = Promise.withResolvers<void>();
  let disposed = 0;
  const runner = host.start(
    plugin("slow", { start: () => gate.promise, stop: () => void (disposed += 1) }),
    undefined,
  );
  await runner.firstAttempt;
  expect(stateOf("slow")).toMatchObject({
    state: "failed",
    failure: "plugin slow was not ready within 0.1 s",
  });
  gate.resolve();
  await expect.poll(() => disposed, { interval: 5 }).toBeGreaterThanOrEqual(1);
});

const answer = capability<{ readonly generation: number }>("answer");

test("who requires something gets it when it comes, and anew when its provider starts again", async () => {
  const seen: number[] = [];
  const user = host.start(
    plugin("user", { start: (context) => void seen.push(context.require(answer).generation) }),
    undefined,
  );
  await user.firstAttempt;
  expect(user.failure).toMatchObject({ reason: "CAPABILITY_MISSING" });
  let generation = 0;
  let fail: ((error: unknown) => void) | undefined;
  host.start(
    plugin("provider", {
      start(context) {
        fail = (error) => context.fail(error);
        context.provide(answer, { generation: (generation += 1) });
      },
    }),
    undefined,
  );
  await untilReady("user");
  fail?.(new Error("again"));
  await expect.poll(() => seen, { interval: 5 }).toEqual([1, 2]);
  await untilReady("user");
});

const provider = (name: string) =>
  plugin(name, { start: (context) => context.provide(answer, { generation: 1 }) });

test("two providers of the same: the second fails", async () => {
  await host.start(provider("first"), undefined).firstAttempt;
  const second = host.start(provider("second"), undefined);
  await second.firstAttempt;
  expect(second.failure).toMatchObject({ reason: "CAPABILITY_TAKEN" });
});

test("plugins stop in reverse order; one that hangs does not keep the others", async () => {
  const order: string[] = [];
  for (const name of ["a", "b", "c"])
    await host.start(
      plugin(name, {
        stop() {
          order.push(name);
          return name === "b" ? new Promise<void>(() => {}) : undefined;
        },
      }),
      undefined,
    ).firstAttempt;
  await host.stop(new AbortController().signal);
  expect(order).toEqual(["c", "b", "a"]);
  expect(host.statuses().map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
});

test("a new table reaches the plugin's handlers; one without any waits for a restart", async () => {
  const seen: unknown[] = [];
  await host.start(
    plugin("live", {
      start: (context) =>
        context.onReload(async (config) => {
          seen.push(config);
          return ["socket"];
        }),
    }),
    { a: 1 },
  ).firstAttempt;
  await host.start(plugin("fixed"), { a: 1 }).firstAttempt;
  expect(
    await host.reload(
      new Map([
        ["live", { a: 1 }],
        ["fixed", { a: 1 }],
      ]),
    ),
  ).toEqual([]);
  expect(
    await host.reload(
      new Map([
        ["live", { a: 2 }],
        ["fixed", { a: 2 }],
      ]),
    ),
  ).toEqual(["live.socket", "fixed.*"]);
  expect(seen).toEqual([{ a: 2 }]);
});

test("a health check that throws is a failed check", async () => {
  await host.start(
    plugin("p", {
      start: (context) =>
        context.health("disk", () => {
          throw new Error("cannot look");
        }),
    }),
    undefined,
  ).firstAttempt;
  expect(stateOf("p")?.checks).toEqual([{ name: "disk", health: { ok: false, reason: "cannot look" } }]);
});

const hook = (name: string): SnapshotHook => ({ name, timeoutMs: 1000, onFailure: "ignore" });

/** A pipeline that has a hook of its own. */
class Pipeline implements SnapshotHookRegistry {
  readonly names = new Set(["own"]);
  register({ name }: SnapshotHook): Disposable {
    if (this.names.has(name)) throw new Error(`${name} is taken`);
    this.names.add(name);
    return { [Symbol.dispose]: () => void this.names.delete(name) };
  }
}

test("hooks follow the pipeline and go with their plugin", async () => {
  let fail: ((error: unknown) => void) | undefined;
  let starts = 0;
  host.start(
    plugin("p", {
      start(context) {
        starts += 1;
        fail = (error) => context.fail(error);
        if (starts === 1) context.snapshotHooks.register(hook("h"));
      },
    }),
    undefined,
  );
  await untilReady("p");
  const [first, second] = [new Pipeline(), new Pipeline()];
  host.hooks.attach(first);
  expect([...first.names]).toEqual(["own", "h"]);
  host.hooks.attach(second);
  expect([...second.names]).toEqual(["own", "h"]);
  fail?.(new Error("died"));
  await expect.poll(() => [...second.names], { interval: 5 }).toEqual(["own"]);
});

test("a hook that the pipeline refuses fails its plugin, not the pipeline's owner", async () => {
  host.start(
    plugin("p", { start: ({ snapshotHooks }) => void snapshotHooks.register(hook("own")) }),
    undefined,
  );
  await untilReady("p");
  host.hooks.attach(new Pipeline());
  await expect.poll(() => stateOf("p")?.failure, { interval: 5 }).toBe("own is taken");
});

const service = (name: string, action = "show"): ContainerService => ({
  name,
  description: "For tests.",
  actions: {
    [action]: defineAction({
      description: "Shows nothing.",
      params: v.strictObject({}),
      result: EmptySchema,
      run: async () => create(EmptySchema),
    }),
  },
});

test("a container service goes with its plugin, and a name that is taken fails the second one only", async () => {
  let fail: ((error: unknown) => void) | undefined;
  host.start(
    plugin("a", {
      start(context) {
        if (fail !== undefined) throw new Error("still ill");
        fail = (error) => context.fail(error);
        context.containerServices.register(service("shell"));
      },
    }),
    undefined,
  );
  await untilReady("a");
  const second = host.start(
    plugin("b", { start: ({ containerServices }) => void containerServices.register(service("shell")) }),
    undefined,
  );
  await second.firstAttempt;
  expect(stateOf("b")?.failure).toBe("a container service named shell is registered");
  expect(host.services.list().map(({ name }) => name)).toEqual(["shell"]);
  fail?.(new Error("died"));
  await untilReady("b");
  expect(host.services.get("shell")).toBeDefined();
});

test.each([
  ["Shell", "show"],
  ["shell", "show all"],
  ["../x", "show"],
])("a container service %j with action %j is refused", (name, action) => {
  expect(() => host.services.register(service(name, action))).toThrow(
    expect.objectContaining({ reason: "SERVICE_NAME_INVALID" }),
  );
});
