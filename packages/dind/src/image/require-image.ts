import { createReadStream } from "node:fs";
import { isAeonError } from "@aeon/core";
import { fullImageName, type Client, type Image } from "@aeon/containerd";
import { errors } from "../errors.ts";
import { imageLabels } from "./image-recipe.ts";
import { requireFixes } from "./version-floor.ts";

/**
 * The DinD image in containerd, imported from `archive` when it is missing. Throws `DIND_IMAGE_MISSING`, or
 * `DIND_ENGINE_OUTDATED` for one whose engine or runc lacks fixes, or does not say what it has.
 */
export async function requireDindImage(
  client: Client,
  name: string,
  archive: string | undefined,
  signal: AbortSignal,
): Promise<Image> {
  const full = fullImageName(name);
  const image = await client.images.get(full, { signal }).catch((error: unknown) => {
    if (isAeonError(error, "not-found")) return undefined;
    throw error;
  });
  const found = image ?? (await importDindImage(client, full, archive, signal));
  await checkVersions(found, signal);
  return found;
}

/** Imports an archive under a name, after a look at what is in it. */
export async function importDindImage(
  client: Client,
  name: string,
  archive: string | undefined,
  signal: AbortSignal,
): Promise<Image> {
  if (archive === undefined || archive === "")
    throw errors.DIND_IMAGE_MISSING(
      `image ${name} is not in containerd; import it (aeonctl dind image import) or name its file in dind.image-archive`,
    );
  const [image] = await client.import(createReadStream(archive), { name: fullImageName(name) }, { signal });
  if (image === undefined) throw errors.DIND_IMAGE_INVALID(`${archive} holds no image`);
  try {
    await checkVersions(image, signal);
  } catch (error) {
    await client.images.delete(image.name, {}, { signal }).catch(() => {});
    throw error;
  }
  return image;
}

async function checkVersions(image: Image, signal: AbortSignal): Promise<void> {
  const { config } = await image.config({ signal });
  requireFixes("engine", config?.Labels?.[imageLabels.engine], image.name);
  requireFixes("runc", config?.Labels?.[imageLabels.runc], image.name);
}
