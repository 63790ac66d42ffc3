import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildImage, ImageLayout, packLayout } from "@aeon/oci";
import { debianFile } from "./launch-containerd.ts";

export const sandboxImage = "localhost/pause:latest";

/** Makes the file of an image that only waits, for pods' sandboxes. */
export async function pauseImage(folder: string): Promise<string> {
  const content = await readFile(await debianFile("busybox-static", "bin/busybox"));
  const layout = await ImageLayout.create(join(folder, "layout"));
  await buildImage(layout, {
    name: sandboxImage,
    layers: [[{ type: "file", path: "busybox", mode: 0o755, content }]],
    process: { Entrypoint: ["/busybox", "sleep", "3600"] },
  });
  const file = join(folder, "pause.tar");
  await packLayout(layout, file);
  return file;
}
