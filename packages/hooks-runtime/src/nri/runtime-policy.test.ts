import { mkdir, mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readRuntimePolicy } from "./runtime-policy.ts";

const table = '[plugins."io.containerd.nri.v1.nri".default_validator]\n';

test("a runtime that refuses containers or hooks is known by its configuration, imports included", async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), "policy-"));
  const file = join(folder.path, "config.toml");
  const policy = () => readRuntimePolicy(file, "aeon");
  expect(await policy()).toBeUndefined();
  await writeFile(file, "version = 3\n");
  expect(await policy()).toEqual({ failClosed: false, rejectsHooks: false });
  await writeFile(file, `version = 3\n${table}enable = true\nrequired_plugins = ["other", "aeon"]\n`);
  expect(await policy()).toEqual({ failClosed: true, rejectsHooks: false });
  await writeFile(file, `version = 3\n${table}required_plugins = ["aeon"]\n`);
  expect(await policy()).toEqual({ failClosed: false, rejectsHooks: false });
  await mkdir(join(folder.path, "conf.d"));
  await writeFile(
    join(folder.path, "conf.d/nri.toml"),
    `${table}enable = true\nreject_oci_hook_adjustment = true\n`,
  );
  await writeFile(file, 'version = 3\nimports = ["conf.d/*.toml"]\n');
  expect(await policy()).toEqual({ failClosed: false, rejectsHooks: true });
  await writeFile(file, "version = [broken");
  expect(await policy()).toBeUndefined();
});
