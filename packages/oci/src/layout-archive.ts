import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { create, extract } from "tar";
import { errors } from "./errors.ts";
import { ImageLayout } from "./image-layout.ts";

const member = /^(?:\.\/)?(?:oci-layout|index\.json|blobs\/sha(?:256\/[0-9a-f]{64}|512\/[0-9a-f]{128}))$/;

/** Packs a layout as one tar, as `ctr images import` and `skopeo` read it; the same layout gives the same bytes. */
export async function packLayout(layout: ImageLayout, file: string): Promise<void> {
  const names = await readdir(layout.folder, { recursive: true });
  await create(
    { cwd: layout.folder, file, portable: true, mtime: new Date(0), noDirRecurse: true },
    names.filter((name) => member.test(name)).toSorted(),
  );
}

/**
 * Unpacks a layout's tar into a folder that is created. Only a layout's own members are taken, and content is
 * checked when it is read. Throws `DOCUMENT_MALFORMED` when the tar holds no layout.
 */
export async function unpackLayout(file: string, folder: string): Promise<ImageLayout> {
  await mkdir(folder, { recursive: true });
  await extract({
    cwd: folder,
    file,
    strict: false,
    filter: (path, entry) => "type" in entry && entry.type === "File" && member.test(path),
  });
  const present = await stat(join(folder, "index.json")).catch(() => undefined);
  if (present === undefined) throw errors.DOCUMENT_MALFORMED(`${file} holds no OCI image layout`);
  return ImageLayout.open(folder);
}
