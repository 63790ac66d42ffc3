import { containerId, namespace, silentLogger, snapshotKey, type ContainerEntry } from "@aeon/core";
import { expect, test } from "vitest";
import type { DindStatus } from "../controller/controller-options.ts";
import type { MainContainer } from "../controller/places.ts";
import type { DindService } from "./dind-service.ts";
import { dockerService } from "./docker-service.ts";

const entry = (id: string, container: string): ContainerEntry => ({
  snapshotKey: snapshotKey(id),
  namespace: namespace("k8s.io"),
  containerId: containerId(id),
  labels: {},
  pod: { namespace: "team", name: "pod", uid: "1", container },
  sandbox: false,
  state: "ready",
  createdAt: 0n,
  updatedAt: 0n,
});

/** Remembers what it was asked for. */
function recorder(): DindService & { readonly calls: string[] } {
  const calls: string[] = [];
  const note =
    (what: string) =>
    async ({ namespace: space, id }: MainContainer): Promise<DindStatus> => {
      calls.push(`${what} ${space}/${id}`);
      return {
        namespace: space,
        id,
        state: "running",
        reason: "",
        restarts: 0,
        container: "d",
        pid: 1,
        since: 1,
        isolation: undefined,
      };
    };
  return {
    calls,
    list: async () => [],
    status: note("status"),
    start: note("start"),
    stop: note("stop"),
    restart: note("restart"),
    showConfig: async () => [{ key: "network", value: "bridge", source: "default", live: false }],
    importImage: async () => ({ name: "", digest: "" }),
  };
}

const [one, two] = [entry("a", "first"), entry("b", "second")];

const ask = (service: DindService, name: string, containers: readonly ContainerEntry[], params = {}) =>
  dockerService(service).actions[name]?.run(
    {
      caller: { containers, proof: { kind: "socket" }, peer: { pid: 0, uid: 0, gid: 0 } },
      params,
      log: silentLogger,
      progress: () => {},
    },
    AbortSignal.timeout(1000),
  );

test.each(["status", "start", "stop", "restart"])(
  "%s means the only container of the caller",
  async (name) => {
    const service = recorder();
    expect(await ask(service, name, [one])).toMatchObject({ state: "running", main: { containerId: "a" } });
    expect(service.calls).toEqual([`${name} k8s.io/a`]);
  },
);

test("one of several is named, and only its own can be", async () => {
  const service = recorder();
  await ask(service, "stop", [one, two], { container: "second" });
  expect(service.calls).toEqual(["stop k8s.io/b"]);
  await expect(ask(service, "stop", [one, two])).rejects.toThrow(/name one/);
  await expect(ask(service, "stop", [], {})).rejects.toThrow(/runtimeClassName: aeon/);
  await expect(ask(service, "stop", [one], { container: "second" })).rejects.toThrow(/no container second/);
  expect(service.calls).toHaveLength(1);
});

test("settings are told with where they come from", async () => {
  const answer = await ask(recorder(), "show-config", [one]);
  expect(answer).toMatchObject({
    settings: [{ key: "network", value: '"bridge"', source: "default", live: false }],
  });
});
