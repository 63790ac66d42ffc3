import { dirname, join } from "node:path";
import type { Mount } from "@aeon/core";
import { optionValue } from "../capture/writable-layer.ts";

/**
 * The mounts of an active snapshot with more lower layers between the image and the writable layer. `folders`
 * has the lowest first. A snapshot without a parent is a bind mount and becomes an overlay.
 */
export function layeredMounts(mounts: readonly Mount[], folders: readonly string[]): readonly Mount[] {
  const [mount] = mounts;
  if (mount === undefined || folders.length === 0) return mounts;
  const added = folders.toReversed().map(escapePath).join(":");
  return [mount.type === "overlay" ? overOverlay(mount, added) : overBind(mount, added)];
}

function overOverlay(mount: Mount, added: string): Mount {
  const lower = optionValue(mount, "lowerdir");
  const lowerdir = `lowerdir=${lower === undefined ? added : `${added}:${lower}`}`;
  const others = mount.options.filter((option) => !option.startsWith("lowerdir="));
  return { ...mount, options: [...others, lowerdir] };
}

/** Options of a bind mount that mean nothing to overlayfs. */
const bindOnly = new Set(["bind", "rbind", "rw"]);

function overBind({ source, options, target }: Mount, added: string): Mount {
  const kept = options.filter((option) => !bindOnly.has(option));
  return {
    type: "overlay",
    source: "overlay",
    target,
    options: [
      ...kept,
      `workdir=${workdirOf(source)}`,
      `upperdir=${source}`,
      `lowerdir=${added}`,
      "index=off",
      "metacopy=off",
      "redirect_dir=off",
    ],
  };
}

/** Snapshotters make it beside the files of every active snapshot. */
export const workdirOf = (upperdir: string): string => join(dirname(upperdir), "work");

/** A colon ends a lower directory and a backslash escapes it; a comma would end the option and cannot be told. */
const escapePath = (path: string): string => path.replaceAll(/[\\:]/g, String.raw`\$&`);
