import { capability, type Capability } from "@aeon/core";
import type { DindStatus } from "../controller/controller-options.ts";
import type { MainContainer } from "../controller/places.ts";
import type { ExplainedSetting } from "./settings-of.ts";

/** Docker beside main containers, as the admin API and others see it. */
export interface DindService {
  list(): Promise<readonly DindStatus[]>;
  status(main: MainContainer): Promise<DindStatus>;
  start(main: MainContainer, how: { readonly lazy: boolean }, signal: AbortSignal): Promise<DindStatus>;
  stop(main: MainContainer): Promise<DindStatus>;
  restart(main: MainContainer, signal: AbortSignal): Promise<DindStatus>;
  showConfig(main: MainContainer): Promise<readonly ExplainedSetting[]>;
  importImage(
    namespace: string,
    file: string,
    signal: AbortSignal,
  ): Promise<{ readonly name: string; readonly digest: string }>;
}

/** Provided by the plugin `dind`. */
export const dindService: Capability<DindService> = capability("dind-service");
