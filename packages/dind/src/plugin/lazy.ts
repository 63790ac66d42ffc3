import type { DindController } from "../controller/controller.ts";
import type { ControllerOptions } from "../controller/controller-options.ts";
import type { BuiltImage, DebianImageOptions } from "../image/debian-image.ts";
import type { BuiltDindImage, DindImageOptions } from "../image/build-dind-image.ts";

/** Builds the image that DinD containers run; see {@link DindImageOptions}. Loaded when it is called. */
export async function buildDindImage(options: DindImageOptions): Promise<BuiltDindImage> {
  return (await import("../image/build-dind-image.ts")).buildDindImage(options);
}

/** Builds an image from Debian packages; see {@link DebianImageOptions}. Loaded when it is called. */
export async function buildDebianImage(options: DebianImageOptions): Promise<BuiltImage> {
  return (await import("../image/debian-image.ts")).buildDebianImage(options);
}

/** Runs DinD containers without an agent; takes up what an earlier process left. Loaded when it is called. */
export async function openDindController(options: ControllerOptions): Promise<DindController> {
  return (await import("../controller/controller.ts")).DindController.open(options);
}
