import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dindArchive, dockerClientImage } from "../packages/dind/test/docker-images.ts";
import { startAeon, type RunningAeon } from "./running-aeon.ts";

let aeon: RunningAeon;

beforeAll(async () => {
  aeon = await startAeon();
  const main = join(aeon.root, "main.tar");
  await dockerClientImage(main);
  await ok("ctr", `ctr images import ${main}`);
}, 240_000);

afterAll(() => aeon?.[Symbol.asyncDispose](), 60_000);

async function ok(what: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await aeon.bash(script);
  expect({ what, code, stderr: code === 0 ? "" : stderr }).toEqual({ what, code: 0, stderr: "" });
  return stdout;
}

const state = async (id: string): Promise<unknown> => {
  const { stdout } = await aeon.aeonctl("dind", "ls", "--output", "json");
  const all: readonly { readonly container: string; readonly state: string }[] = JSON.parse(stdout || "[]");
  return all.find(({ container }) => container === id)?.state;
};

test(
  "a container with a label has Docker without another word, until it ends",
  { timeout: 240_000 },
  async () => {
    expect(await ok("import", `aeonctl dind image import ${await dindArchive()}`)).toContain("sha256:");
    await ok("run", "ctr run --detach --label aeon.io/dind=true localhost/main:latest web sleep 100000");
    await expect.poll(() => state("web"), { timeout: 90_000, interval: 200 }).toBe("running");
    expect(await ok("docker", "ctr tasks exec --exec-id v web docker version")).toContain("Server:");
    const status = await aeon.aeonctl("dind", "status", "web", "--output", "json");
    expect(JSON.parse(status.stdout)).toMatchObject({
      namespace: "default",
      container: "web",
      state: "running",
      reason: null,
    });
    const config = await aeon.aeonctl("dind", "show-config", "web", "--output", "json");
    expect(JSON.parse(config.stdout)).toContainEqual({
      key: "network",
      value: "bridge",
      source: "default",
      live: false,
    });
    await ok("stop", "aeonctl dind stop web");
    expect(await state("web")).toBe("stopped");
    await ok("restart", "aeonctl dind start web");
    expect(await state("web")).toBe("running");
    await ok("remove", "ctr tasks delete --force web && ctr containers delete web");
    await expect.poll(() => state("web"), { timeout: 30_000, interval: 200 }).toBeUndefined();
  },
);

test("a container that does not run, or has no Docker, is named", async () => {
  const { code, stderr } = await aeon.aeonctl("dind", "status", "nobody");
  expect(code).not.toBe(0);
  expect(stderr).toContain("nobody");
});

test("the README's Docker in a container does what it says", { timeout: 240_000 }, async () => {
  const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");
  const section = /^## Docker in a container\n(.*?)^## /ms.exec(readme)?.[1] ?? "";
  const [image = "", use = ""] = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  expect(image).toContain('aeonctl dind image import "$PWD/dind.tar"');
  expect(use).toMatch(/^ctr images pull docker\.io\/library\/docker:cli$/m);
  // Built and pulled before the tests, since no registry of images is asked by them.
  await ok("image", `aeonctl dind image import ${await dindArchive()}`);
  const here = use
    .replace(/^ctr images pull .*\n/m, "")
    .replaceAll("docker.io/library/docker:cli", "localhost/main:latest");
  expect(await ok("commands", `set -euo pipefail\n${here}`)).toMatch(/^group\n(?:.*\n)*passwd\n/m);
  await ok("end", "ctr tasks delete --force work && ctr containers delete work");
  await expect.poll(() => state("work"), { timeout: 30_000, interval: 200 }).toBeUndefined();
});
