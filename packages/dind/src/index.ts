export type { ControllerOptions, DindController, DindState, DindStatus } from "./controller/controller.ts";
export * from "./filter/filter-config.ts";
export type { DindSettings } from "./controller/dind-settings.ts";
export { errors } from "./errors.ts";
export type { BuiltDindImage, DindImageOptions } from "./image/build-dind-image.ts";
export { dindService, type DindService } from "./plugin/dind-service.ts";
export { buildDindImage, openDindController } from "./plugin/lazy.ts";
export { dindPlugin } from "./plugin/plugin.ts";
export type { ExplainedSetting } from "./plugin/settings-of.ts";
