import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildImage, ImageLayout, packLayout } from "@aeon/oci";
import { debianFile } from "../launch-containerd.ts";

export const pauseImageName = "localhost/pause:latest";

/** Writes an image that only waits, for pods' sandboxes, as an OCI layout tar; answers its path. */
export async function pauseImage(folder: string): Promise<string> {
  const content = await readFile(await debianFile("busybox-static", "bin/busybox"));
  const layout = await ImageLayout.create(join(folder, "pause"));
  await buildImage(layout, {
    name: pauseImageName,
    layers: [[{ type: "file", path: "busybox", mode: 0o755, content }]],
    process: { Entrypoint: ["/busybox", "sleep", "1000000"] },
  });
  const file = join(folder, "pause.tar");
  await packLayout(layout, file);
  return file;
}
