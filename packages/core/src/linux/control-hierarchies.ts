/** A mounted hierarchy of control groups. */
export interface ControlHierarchy {
  /** Empty for that of cgroup v2. */
  readonly controllers: readonly string[];
  readonly mount: string;
  /** The group that the mount shows. */
  readonly root: string;
}

/** The groups of a process by hierarchy, from the text of `/proc/PID/cgroup`. */
export function controlGroupsIn(
  text: string,
): readonly { readonly controllers: readonly string[]; readonly path: string }[] {
  return text.split("\n").flatMap((line) => {
    const [, list, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (list === undefined || path === undefined) return [];
    return [{ controllers: list.split(",").filter((each) => each !== ""), path }];
  });
}

/** From the text of `/proc/self/mountinfo`. */
export function controlHierarchiesIn(text: string): readonly ControlHierarchy[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root, mount] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    if (root === undefined || mount === undefined) return [];
    if (type === "cgroup2") return [{ controllers: [], mount, root }];
    return type === "cgroup" ? [{ controllers: options.split(","), mount, root }] : [];
  });
}

/** Mounts name options of their own beside the controllers. */
export const hasControllers = (mounted: readonly string[], wanted: readonly string[]): boolean =>
  wanted.length === 0 ? mounted.length === 0 : wanted.every((each) => mounted.includes(each));
