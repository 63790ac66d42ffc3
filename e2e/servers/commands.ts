import { buildGoProgram } from "../go/programs.ts";
import { bundle } from "./bundle.ts";
import type { ServerCommand } from "./server-process.ts";

const progress = (message: string): void => console.error(message);

/** containerd's own overlayfs snapshotter, served by Go. */
export const goPeer = async (): Promise<ServerCommand> => ({
  name: "containerd overlayfs (Go)",
  argv: [await buildGoProgram("peer", progress)],
});

/** aeon's overlay snapshotter, bundled into one file as it is shipped. */
export const aeonServer = async (): Promise<ServerCommand> => ({
  name: "aeon",
  argv: [process.execPath, await bundle("serve")],
});
