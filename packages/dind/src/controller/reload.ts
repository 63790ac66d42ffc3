import { join } from "node:path";
import type { ContainerInfo } from "@aeon/containerd";
import { errorMessage } from "@aeon/core";
import { daemonConfig, replace } from "./daemon-files.ts";
import { liveSettings, type DindSettings } from "./dind-settings.ts";
import { FilterControl } from "./filter-control.ts";
import { filterConfigOf } from "./filter-config-of.ts";
import type { Live } from "./live.ts";
import { devicesOf } from "./main-devices.ts";
import type { Parts } from "./parts.ts";
import type { DindRecord } from "./records.ts";
import { socketPaths } from "../mounts/main-socket.ts";

const isLive = (key: string): boolean => liveSettings.some((name) => name === key);

/** Lets running DinD containers take over what they can; gives the settings that need a restart, by container. */
export async function reloadAll(parts: Parts): Promise<ReadonlyMap<string, readonly string[]>> {
  const pending = new Map<string, readonly string[]>();
  for (const record of parts.records.list())
    await parts.lives
      .inTurn(record, async (live) => {
        const held = await reloadOne(parts, record, live);
        if (held.length > 0) pending.set(`${record.namespace}/${record.id}`, held);
      })
      .catch((error: unknown) =>
        parts.options.log.warn({ container: record.id, error: errorMessage(error) }, "dind: reload failed"),
      );
  return pending;
}

async function reloadOne(
  { options, mains }: Parts,
  record: DindRecord,
  live: Live,
): Promise<readonly string[]> {
  const before = live.settings;
  if (before === undefined || live.state !== "running") return [];
  const info = await mains.info(record);
  const next = options.settings(info, record.namespace);
  const keys = Object.keys(next).filter(
    (key) => JSON.stringify(Reflect.get(next, key)) !== JSON.stringify(Reflect.get(before, key)),
  );
  const taken: DindSettings = {
    ...before,
    ...Object.fromEntries(keys.filter(isLive).map((key) => [key, Reflect.get(next, key)])),
  };
  if (keys.some(isLive)) {
    await replace(join(live.places.config, "daemon.json"), daemonConfig(taken));
    const client = options.client.withNamespace(record.namespace);
    await (await client.container(live.places.container).task()).kill("SIGHUP");
    if (keys.includes("policyFile")) await reloadFilter(record, live, taken, info);
    live.settings = taken;
  }
  return keys.filter((key) => !isLive(key));
}

/** The listeners in the file count at its start only. */
async function reloadFilter(
  record: DindRecord,
  live: Live,
  settings: DindSettings,
  { spec }: ContainerInfo,
): Promise<void> {
  const { namespace, id } = record;
  const config = filterConfigOf({ namespace, id }, live, settings, devicesOf(spec), socketPaths);
  await replace(live.places.filterConfig, JSON.stringify(config));
  await new FilterControl(live.places.filterControl).reload();
}
