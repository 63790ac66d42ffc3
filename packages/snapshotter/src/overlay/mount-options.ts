import { access, readFile, statfs } from "node:fs/promises";
import { release } from "node:os";
import { errors } from "../errors.ts";

/** Magic number of tmpfs in statfs(2). */
const tmpfsMagic = 0x01021994;
const parameters = "/sys/module/overlay/parameters";
/**
 * Options that must be off so that an upperdir holds everything that changed, by the kernel that brought them.
 */
const forced = [
  { name: "metacopy", since: [4, 19] },
  { name: "redirect_dir", since: [4, 10] },
] as const;
const reserved = new Set(["lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir", "uidmap", "gidmap"]);

type Version = readonly [major: number, minor: number];

/**
 * The options of every overlay mount: the configured ones, then `index=off` unless `index` is configured, then
 * those that keep an upperdir complete. Throws `MOUNT_OPTION_INVALID` for options aeon has to set itself.
 */
export async function overlayOptions(
  root: string,
  configured: readonly string[],
): Promise<readonly string[]> {
  for (const option of configured) checkOption(option);
  const names = new Set(configured.map(nameOf));
  const options = [...configured];
  if (!names.has("index") && (await supports("index", [4, 13]))) options.push("index=off");
  for (const { name, since } of forced)
    if (!names.has(name) && (await supports(name, since))) options.push(`${name}=off`);
  if (!names.has("userxattr") && (await needsUserXattrs(root))) options.push("userxattr");
  return options;
}

/** Whether this kernel can map the ids of overlay layers (5.19). */
export const kernelMapsIds = (): boolean => isKernel([5, 19]);

const nameOf = (option: string): string => option.split("=", 1)[0] ?? "";

function checkOption(option: string): void {
  const name = nameOf(option);
  if (name === "" || /[,\s\0]/.test(option))
    throw errors.MOUNT_OPTION_INVALID(`overlay mount option ${JSON.stringify(option)} is not one option`);
  if (reserved.has(name))
    throw errors.MOUNT_OPTION_INVALID(
      `overlay mount option ${option} is set for each snapshot by aeon itself`,
    );
  if (forced.some((entry) => entry.name === name) && option !== `${name}=off`)
    throw errors.MOUNT_OPTION_INVALID(
      `overlay mount option ${option} would leave changes out of the writable layer; remove it`,
    );
}

/** Asks the loaded module, or judges by the kernel's version when the module is not loaded yet. */
async function supports(name: string, since: Version): Promise<boolean> {
  if (await exists(parameters)) return exists(`${parameters}/${name}`);
  return isKernel(since);
}

function isKernel([major, minor]: Version): boolean {
  const [ownMajor = 0, ownMinor = 0] = release().split(/[.-]/).map(Number);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

async function needsUserXattrs(root: string): Promise<boolean> {
  const map = await readFile("/proc/self/uid_map", "utf8");
  const [inside, outside, size] = map.trim().split(/\s+/).map(Number);
  if (inside === 0 && outside === 0 && size === 2 ** 32 - 1) return false;
  const { type } = await statfs(root);
  return type !== tmpfsMagic && isKernel([5, 11]);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
