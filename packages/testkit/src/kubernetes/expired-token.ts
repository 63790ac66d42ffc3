import { sign } from "node:crypto";
import { readFile } from "node:fs/promises";

/** Seconds by which all of a token's times are moved back. */
const backSeconds = 7200;

/** A ServiceAccount's token as the cluster would have signed it two hours ago, with a life that has ended since. */
export async function expiredToken(token: string, signingKeyFile: string): Promise<string> {
  const [header = "", payload = ""] = token.split(".");
  const claims: Record<string, unknown> = JSON.parse(Buffer.from(payload, "base64url").toString());
  for (const name of ["exp", "iat", "nbf"]) claims[name] = Number(claims[name]) - backSeconds;
  const body = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  const signature = sign("RSA-SHA256", Buffer.from(body), await readFile(signingKeyFile, "utf8"));
  return `${body}.${signature.toString("base64url")}`;
}
