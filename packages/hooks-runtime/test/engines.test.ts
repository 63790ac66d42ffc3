import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  busyboxImage,
  containerdVersions,
  launchContainerd,
  temporaryFolder,
  startCriNode,
} from "@aeon/testkit";
import { beforeAll, describe, expect, test } from "vitest";
import { buildPrograms, runc, testToolkit } from "./toolkit.ts";

beforeAll(buildPrograms);

/** A toolkit and a hook that notes the ids of its containers. */
async function noting() {
  const toolkit = await testToolkit([await runc()]);
  const notes = join(toolkit.folder, "notes");
  const note = join(toolkit.folder, "note");
  await writeFile(notes, "");
  await writeFile(note, `#!/bin/sh\necho "$1 $(cat | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')" >>'${notes}'\n`, {
    mode: 0o755,
  });
  return {
    toolkit,
    note,
    notes: async () => (await readFile(notes, "utf8")).split("\n").filter((line) => line !== ""),
    [Symbol.asyncDispose]: () => toolkit[Symbol.asyncDispose](),
  };
}

describe.each(containerdVersions)("containerd %s", (version) => {
  test("ctr: hooks of matching containers run, and a refusal is shown", async () => {
    await using setup = await noting();
    await using folder = await temporaryFolder("ctr");
    await using containerd = await launchContainerd({ version });
    const image = await busyboxImage({ file: join(folder.path, "image.tar") });
    await containerd.ctr(["images", "import", image.file]);
    const run = (id: string, ...command: string[]) =>
      containerd.ctr(["run", "--rm", "--runc-binary", setup.toolkit.launcher, image.name, id, ...command]);
    const hook = (stage: string) => [{ path: setup.note, args: ["note", stage] }];
    await setup.toolkit.rules({
      version: 1,
      rules: [
        {
          name: "every",
          hooks: { createRuntime: hook("createRuntime"), poststop: hook("poststop") },
          env: ["SEEN=yes"],
        },
        { name: "none", when: { commands: "^false$" }, hooks: { createRuntime: hook("wrong") } },
      ],
    });
    expect(await run("one", "sh", "-c", "echo $SEEN; sleep 1")).toBe("yes\n");
    expect(await setup.notes()).toEqual(["createRuntime one", "poststop one"]);
    await setup.toolkit.rules('{"nonsense":1}');
    await writeFile(join(setup.toolkit.paths.state, "plan.json"), "");
    await expect(run("two", "true")).rejects.toThrow(
      /container-hooks: RULES_INVALID: .*hooks\.json:1:2: nonsense: unknown key/,
    );
    expect(await containerd.ctr(["tasks", "list", "--quiet"])).toBe("");
  });

  test("CRI: a handler of its own; rules see pod, image and annotations", async () => {
    await using setup = await noting();
    const runtimeClass = await readFile(
      join(import.meta.dirname, "../../../deploy/kustomize/base/runtime-class.yaml"),
      "utf8",
    );
    const handler = /^handler: (\S+)$/m.exec(runtimeClass)?.[1] ?? "";
    await using node = await startCriNode({ version, handlers: { [handler]: setup.toolkit.launcher } });
    const hook = (name: string) => ({ createRuntime: [{ path: setup.note, args: ["note", name] }] });
    await setup.toolkit.rules({
      version: 1,
      rules: [
        {
          name: "pod",
          when: { namespaces: "^shop$", pods: "^web", containers: "^main$" },
          hooks: hook("pod"),
          env: ["SEEN=yes"],
        },
        { name: "image", when: { images: "busybox", role: "container" }, hooks: hook("image") },
        {
          name: "annotation",
          when: { annotations: { "^example\\.org/hook$": "^on$" }, role: "container" },
          hooks: hook("annotation"),
        },
        { name: "sandbox", when: { role: "sandbox" }, hooks: hook("sandbox") },
        { name: "other", when: { namespaces: "^other$" }, hooks: hook("other") },
      ],
    });
    const pod = { name: "web-1", namespace: "shop", annotations: { "example.org/hook": "on" } };
    expect(await node.runPod({ ...pod, handler }, ["sh", "-c", '[ "$SEEN" = yes ] && exit 3'])).toBe(3);
    expect((await setup.notes()).map((line) => line.split(" ")[0])).toEqual([
      "sandbox",
      "pod",
      "image",
      "annotation",
    ]);
    expect(await node.runPod(pod, ["sh", "-c", '[ "$SEEN" = yes ] || exit 4'])).toBe(4);
    expect(await setup.notes()).toHaveLength(4);
    await setup.toolkit.rules('{"nonsense":1}');
    await writeFile(join(setup.toolkit.paths.state, "plan.json"), "");
    await expect(node.runPod({ name: "web-2", handler }, ["true"])).rejects.toThrow(
      /container-hooks: RULES_INVALID: .*hooks\.json:1:2: nonsense: unknown key/,
    );
  });
});
