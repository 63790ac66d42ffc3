import type { LayerEntry } from "@aeon/oci";
import { buildBusyboxImage, type BuiltImage, type BusyboxOptions } from "@aeon/standalone";
import { testCache } from "./launch-containerd.ts";

export interface TestImageOptions extends Pick<BusyboxOptions, "file" | "name" | "gzip"> {
  /** Layers above busybox, lowest first. */
  readonly layers?: readonly (readonly LayerEntry[])[];
}

/** Builds busybox, with further layers if asked, as an OCI layout tar at `file`; deterministic. */
export const busyboxImage = (options: TestImageOptions): Promise<BuiltImage> =>
  buildBusyboxImage({ ...options, cache: testCache });

/** Layers made to be checked: what a container must see when all of them are applied. */
export interface StackedLayers {
  readonly layers: readonly (readonly LayerEntry[])[];
  /** Path to content of every regular file below `stack/`. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * `count` layers below `stack/` that add, replace and delete: each adds a file and replaces another, each third
 * deletes the file added two layers before, each fourth makes a directory opaque.
 */
export function stackedLayers(count: number): StackedLayers {
  const files = new Map<string, string>();
  const layers = Array.from({ length: count }, (_, index) => layerNumber(index, files));
  return { layers, files };
}

function layerNumber(index: number, files: Map<string, string>): readonly LayerEntry[] {
  const entries: LayerEntry[] = ["stack", "stack/added", "stack/opaque"].map((path) => ({
    type: "directory",
    path,
  }));
  const put = (path: string, content: string): void => {
    files.set(path, content);
    entries.push({ type: "file", path, content });
  };
  if (index % 4 === 3) {
    for (const path of files.keys()) if (path.startsWith("stack/opaque/")) files.delete(path);
    entries.push({ type: "opaque", path: "stack/opaque" });
  }
  put(`stack/opaque/from-${index}`, `opaque ${index}\n`);
  put(`stack/added/${index}`, `added by layer ${index}\n`);
  put("stack/replaced", `replaced by layer ${index}\n`);
  if (index % 3 === 2) {
    files.delete(`stack/added/${index - 2}`);
    entries.push({ type: "whiteout", path: `stack/added/${index - 2}` });
  }
  return entries;
}
