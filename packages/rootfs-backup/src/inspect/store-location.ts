import { resolve } from "node:path";
import { errors } from "../errors.ts";

/** Endpoint of the S3 service that the name of a region alone stands for. */
const publicEndpoint = (region: string): string => `https://s3.${region}.amazonaws.com`;

/**
 * The table `backup.store` that a person means: a folder, or `s3://bucket/prefix` with other keys of the table behind
 * a question mark (`?endpoint=…&region=…&credentials-file=…`). Unchecked, as from a file. Throws
 * `STORE_ADDRESS_INVALID`.
 */
export function tableOfLocation(location: string): Readonly<Record<string, unknown>> {
  if (location === "")
    throw errors.STORE_ADDRESS_INVALID("the store has no name; give a folder or s3://bucket/prefix");
  if (!location.startsWith("s3://")) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(location))
      throw errors.STORE_ADDRESS_INVALID(`${location} is neither a folder nor s3://bucket/prefix`);
    return { type: "posix", path: resolve(location) };
  }
  const [path = "", query = ""] = location.slice("s3://".length).split("?", 2);
  const [bucket = "", ...prefix] = path.split("/").filter((part) => part !== "");
  const keys = Object.fromEntries(new URLSearchParams(query));
  const { "path-style": pathStyle, region = "us-east-1" } = keys;
  return {
    endpoint: publicEndpoint(region),
    ...keys,
    type: "s3",
    bucket,
    prefix: prefix.join("/"),
    ...(pathStyle !== undefined && { "path-style": pathStyle !== "false" }),
  };
}
