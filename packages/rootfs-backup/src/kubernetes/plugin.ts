import { definePlugin, Lifetime, podEnds, type Health, type Plugin } from "@aeon/core";
import { kubernetes } from "@aeon/kube";
import * as v from "valibot";
import { backupService } from "../backup-service.ts";
import { policyLabels } from "../capture/policy-labels.ts";
import { starts } from "../restore/choices.ts";

const config = v.undefined();

/** Joins backups with the cluster where there is one; starting waits for nothing outside of this host. */
export const backupControllerPlugin: Plugin<typeof config> = definePlugin({
  name: "backup-controller",
  config,
  async start(context) {
    const life = new Lifetime();
    const { Controller } = await import("./controller.ts");
    const controller = life.use(
      new Controller({
        kubernetes: context.require(kubernetes),
        backups: context.require(backupService),
        ends: context.require(podEnds),
        policyLabels: context.require(policyLabels),
        starts: context.require(starts),
        log: context.log,
      }),
    );
    context.health("cluster", (): Health => {
      const { failure } = controller;
      return failure === undefined ? { ok: true } : { ok: false, reason: failure };
    });
    return life;
  },
});
