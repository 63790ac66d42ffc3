import { accessSync, constants, existsSync } from "node:fs";
import { admin } from "@aeon/proto";
import { errorMessage } from "@aeon/core";
import type { AdminClient } from "../client.ts";
import { failure, good, warning, type Finding } from "./finding.ts";

/** What the agent says of itself and of its store. */
export async function checkAgent(agent: AdminClient): Promise<readonly Finding[]> {
  try {
    const { plugins, version } = await agent.getStatus({});
    return [
      good("agent", `version ${version} answers`),
      ...plugins.map(({ name, state, failure: why, checks }) => {
        const bad = checks.filter(({ ok }) => !ok).map(({ name: check, reason }) => `${check}: ${reason}`);
        if (state !== admin.PluginState.READY)
          return failure(
            `agent.${name}`,
            `the plugin does not run: ${why}`,
            "see the agent's log; it is tried again by itself",
          );
        return bad.length === 0
          ? good(`agent.${name}`, "ready")
          : warning(`agent.${name}`, bad.join("; "), "remove the cause that is named");
      }),
      await storeFinding(agent),
    ];
  } catch (error) {
    return [
      failure(
        "agent",
        `the agent does not answer: ${errorMessage(error)}`,
        "systemctl start aeon, and see journalctl -u aeon",
      ),
    ];
  }
}

async function storeFinding(agent: AdminClient): Promise<Finding> {
  try {
    const { table } = await agent.getBackupStore({});
    const store: unknown = JSON.parse(table);
    const path = typeof store === "object" && store !== null && "path" in store ? store.path : undefined;
    if (typeof path !== "string")
      return good("store", "the store is no folder; the plugin's own checks tell of it");
    if (!existsSync(path))
      return failure("store", `${path} does not exist`, "mount the store, or make the folder");
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return good("store", `${path} can be written`);
  } catch (error) {
    return failure(
      "store",
      `the store cannot be used: ${errorMessage(error)}`,
      "see `aeonctl status` and the store's permissions",
    );
  }
}
