import { posix } from "node:path";
import { denied } from "../refusal.ts";
import type { StepContext } from "./step.ts";

/** Where dockerd finds a path of the main container, and what is special about it. */
export interface PinnedSource {
  readonly path: string;
  readonly readOnly: boolean;
  /** Undefined for the filtered socket, which needs no pin. */
  readonly id: string | undefined;
}

/** Pins a path; the socket that the main container talks to becomes the filtered socket again. */
export async function pinSource(
  { settings, pins }: StepContext,
  path: string,
  at: string,
  options: { readonly create: boolean; readonly recursive: boolean },
): Promise<PinnedSource> {
  if (settings.filteredSocket !== undefined && settings.socketPaths.includes(posix.normalize(path)))
    return { path: settings.filteredSocket, readOnly: false, id: undefined };
  const pin = await pins.add(path, at, options);
  if (!options.recursive && pin.inner > 0) {
    await pins.release([pin.id]);
    throw denied(
      at,
      `${path} has mounts below it, which NonRecursive would uncover; leave it out`,
      "non-recursive",
    );
  }
  return { path: pin.path, readOnly: pin.readOnly, id: pin.id };
}
