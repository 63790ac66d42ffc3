import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackages, withFileLock } from "@aeon/standalone";
import { busyboxImage, testCache } from "@aeon/testkit";
import type { LayerEntry } from "@aeon/oci";
import { buildDindImage } from "../src/index.ts";

export const dindImage = "docker.io/library/aeon-dind:latest";

/** The DinD image as a file; built once per machine from Debian's packages and kept with the other downloads. */
export async function dindArchive(): Promise<string> {
  const folder = join(testCache, "dind");
  await mkdir(folder, { recursive: true });
  const recipe = await readFile(new URL("../src/image/image-recipe.ts", import.meta.url));
  const tree = await readFile(new URL("../src/image/root-tree.ts", import.meta.url));
  const { createHash } = await import("node:crypto");
  const key = createHash("sha256").update(recipe).update(tree).digest("hex").slice(0, 16);
  const file = join(folder, `${key}.tar`);
  await withFileLock(join(folder, "lock"), async () => {
    if (!existsSync(file)) await buildDindImage({ file, name: dindImage });
  });
  return file;
}

/** Busybox with Debian's docker client, buildx and compose: what a main container would have. */
export async function dockerClientImage(file: string): Promise<string> {
  const packages = await fetchPackages({
    cache: testCache,
    suite: "forky",
    packages: ["docker-cli", "docker-buildx", "docker-compose", "libc6"],
  });
  const wanted = [
    /^usr\/bin\/docker$/,
    /^usr\/libexec\/docker\/cli-plugins\//,
    /^usr\/lib\/[^/]+\/(?:libc|libm|libresolv|libpthread|libdl)\.so/,
    /^usr\/lib(?:64)?\/.*ld-linux[^/]*$/,
  ];
  const entries: LayerEntry[] = [];
  const folders = new Set<string>();
  for (const { root } of packages)
    for (const path of (await readdir(root, { recursive: true })).toSorted()) {
      if (!wanted.some((pattern) => pattern.test(path)) || !(await stat(join(root, path))).isFile()) continue;
      const parts = path.split("/").slice(0, -1);
      parts.forEach((_, index) => folders.add(parts.slice(0, index + 1).join("/")));
      entries.push({ type: "file", path, mode: 0o755, content: await readFile(join(root, path)) });
    }
  const loader = entries.find(({ path }) => /ld-linux/.test(path))?.path ?? "";
  const name = loader.split("/").at(-1) ?? "";
  const layer: LayerEntry[] = [
    ...[...folders].toSorted().map((path): LayerEntry => ({ type: "directory", path })),
    ...entries,
    { type: "directory", path: "lib64" },
    ...(loader.startsWith("usr/lib64/") ? [] : []),
    { type: "symlink", path: `lib64/${name}`, target: `/${loader}` },
    { type: "directory", path: "lib" },
    { type: "symlink", path: "lib/x86_64-linux-gnu", target: "/usr/lib/x86_64-linux-gnu" },
  ];
  await busyboxImage({ file, name: "localhost/main:latest", layers: [layer] });
  return "localhost/main:latest";
}
