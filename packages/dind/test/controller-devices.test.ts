import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Task } from "@aeon/containerd";
import { defaultSpec, type RuntimeSpec } from "@aeon/oci";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DindController } from "../src/index.ts";
import { setUp, type Setup } from "./dind-setup.ts";
import { namespace } from "./open-controller.ts";
import { importTools, shell, tearDown } from "./support/main-tools.ts";

const signal = AbortSignal.timeout(400_000);
const library = "/usr/lib/x86_64-linux-gnu/libcuda.so.535.104";
let setup: Setup;
let controller: DindController;
let task: Task;
let plain: Task;

/** Stands in for a GPU: a device that containers do not get otherwise, and that can be opened anywhere (fuse). */
const openable = { major: 10, minor: 229 };
const nodes = [
  { path: "/dev/nvidia0", type: "c", ...openable },
  { path: "/dev/nvidia1", type: "c", major: 195, minor: 1 },
  { path: "/dev/nvidiactl", type: "c", major: 195, minor: 255 },
  { path: "/dev/own", type: "c", ...openable },
] as const;

/** As a device plugin and a container toolkit make it. */
function gpuSpec(): RuntimeSpec {
  const usual = defaultSpec({
    id: "gpu",
    namespace,
    args: ["/bin/sleep", "100000"],
    env: ["PATH=/bin:/usr/bin"],
    mounts: [
      { type: "bind", source: join(setup.folder, "driver"), destination: library, options: ["bind", "ro"] },
    ],
    resources: {
      devices: nodes.map(({ type, major, minor }) => ({ allow: true, type, major, minor, access: "rwm" })),
    },
  });
  return {
    ...usual,
    linux: { ...usual.linux, devices: nodes },
  };
}

beforeAll(async () => {
  setup = await setUp();
  controller = await setup.controller();
  await writeFile(join(setup.folder, "driver"), "driver of the node\n");
  task = await setup.main("gpu", { spec: gpuSpec() });
  plain = await setup.main("plain");
  for (const [id, container] of [
    ["gpu", task],
    ["plain", plain],
  ] as const) {
    await controller.start({ namespace, id }, signal);
    await importTools(setup, container);
  }
}, 300_000);

afterAll(() => tearDown(setup, controller), 120_000);

const look = "cd /dev; for n in nvidia* own; do [ ! -e $n ] || stat -c '%n %t:%T' $n; done";
const open = "(exec 3<>/dev/nvidia0) 2>/dev/null && echo opens";
const run = (flags: string, script: string, expected = 0): Promise<string> =>
  shell(setup, task, `docker run --rm ${flags} tools /bin/sh -c '${script}'`, expected);

test("--gpus gives the main container's GPUs with their driver, all or by name (test 63)", async () => {
  expect(await run("--gpus all", look.replaceAll("'", '"'))).toBe(
    "nvidia0 a:e5\nnvidia1 c3:1\nnvidiactl c3:ff\n",
  );
  expect(await run("--gpus all", open)).toBe("opens\n");
  expect(await run("--gpus device=1", look.replaceAll("'", '"'))).toBe("nvidia1 c3:1\nnvidiactl c3:ff\n");
  for (const file of [library, library.replace("535.104", "1")])
    expect(await run("--gpus all", `cat ${file}; (echo x >> ${file}) 2>/dev/null || echo read-only`)).toBe(
      "driver of the node\nread-only\n",
    );
  expect(await run("--gpus device=2", "true", 125)).toContain("is not one of the pod's");
});

test("--device gives a node of the main container and no other, and without it there is none", async () => {
  expect(await run("--device /dev/own:/dev/nvidia0", open)).toBe("opens\n");
  expect(await run("--device /dev/kmsg", "true", 125)).toContain(
    "it has /dev/nvidia0, /dev/nvidia1, /dev/nvidiactl, /dev/own",
  );
  expect(await run("", look.replaceAll("'", '"'))).toBe("");
  // The node can be made, and stays closed.
  expect(await run("", `mknod /dev/nvidia0 c 10 229; ${open} || echo closed`)).toBe("closed\n");
});

const said = (flags: string) => shell(setup, plain, `docker run --rm ${flags} tools /bin/true`, 125);

test("a container without GPUs has none for its inner ones, nor has its dockerd", async () => {
  expect(await said("--gpus all")).toContain("this pod has no GPUs");
  expect(await said("--device /dev/own")).toContain("it has none");
  expect(await said("--device aeon.io/gpu=0")).toContain("aeon:");
  const { pid } = await controller.status({ namespace, id: "plain" });
  expect((await readdir(`/proc/${pid}/root/dev`)).filter((name) => /nvidia|own/.test(name))).toEqual([]);
});
