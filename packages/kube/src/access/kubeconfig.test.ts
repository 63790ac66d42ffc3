import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAeonError } from "@aeon/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { fromKubeconfig } from "./kubeconfig.ts";

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "aeon-kubeconfig-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const data = (text: string): string => Buffer.from(text).toString("base64");

async function read(user: unknown, more: object = {}) {
  const path = join(folder, "config");
  const file = {
    clusters: [{ name: "c", cluster: { server: "https://k:1", "certificate-authority": "ca.pem" } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
    ...more,
  };
  await writeFile(join(folder, "ca.pem"), "trusted");
  await writeFile(path, stringify(file));
  return fromKubeconfig(path);
}

test("files are looked for beside the kubeconfig, and data wins over them", async () => {
  await writeFile(join(folder, "token"), " secret\n");
  const access = await read({ tokenFile: "token" });
  expect(access).toMatchObject({ server: "https://k:1", ca: "trusted" });
  expect(await access.token?.()).toBe("secret");
  expect(await read({ "client-certificate-data": data("c"), "client-key-data": data("k") })).toMatchObject({
    certificate: { cert: "c", key: "k" },
  });
});

test.each([
  ["a program for credentials", { exec: { command: "true" } }, {}],
  ["a context that is not there", { token: "t" }, { "current-context": "other" }],
  ["no contexts at all", { token: "t" }, { contexts: 5 }],
  ["a certificate that is missing", { "client-certificate": "none", "client-key": "none" }, {}],
])("%s is refused with the file's name", async (_, user, more) => {
  await expect(read(user, more)).rejects.toSatisfy(
    (error) => isAeonError(error, "KUBE_CONFIG_INVALID") && error.message.includes(folder),
  );
});
