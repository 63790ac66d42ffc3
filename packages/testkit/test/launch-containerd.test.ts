import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hasFlag, listProcesses, processesOf } from "@aeon/standalone";
import {
  busyboxImage,
  containerdVersions,
  launchContainerd,
  leftBehind,
  stackedLayers,
  temporaryFolder,
} from "../src/index.ts";

const shimSockets = async (): Promise<readonly string[]> => readdir("/run/containerd/s").catch(() => []);
/** How long sleeping containers would live: numbers nothing else uses, to find their processes by. */
const [secondsA, secondsB] = [String(86_400 + process.pid), String(10_086_400 + process.pid)] as const;

const sleepers = async (seconds: string) =>
  (await listProcesses()).filter(({ args }) => args.length === 2 && hasFlag(args, "sleep", seconds));

describe.each(containerdVersions)("containerd %s", (version) => {
  test("runs a container of a locally built image of many layers and sees every change", async () => {
    await using temporary = await temporaryFolder("image");
    const { layers, files } = stackedLayers(12);
    const image = await busyboxImage({ file: join(temporary.path, "image.tar"), layers });
    await using containerd = await launchContainerd({ version });
    await containerd.ctr(["images", "import", image.file]);
    // ctr drops the output of a container that ends before ctr has opened its pipes: hence the sleep.
    const script = 'cd / && find stack -type f | sort | while read f; do echo "$f $(cat $f)"; done; sleep 1';
    const listing = await containerd.ctr(["run", "--rm", image.name, "reader", "sh", "-c", script]);
    const expected = [...files].map(([path, content]) => `${path} ${content.trim()}`).toSorted();
    expect(listing.trim().split("\n")).toEqual(expected);
  });

  test("containers live through a restart and a SIGKILL of the daemon, and nothing is left in the end", async () => {
    await using temporary = await temporaryFolder("restart");
    const sockets = await shimSockets();
    const image = await busyboxImage({ file: join(temporary.path, "image.tar") });
    {
      await using containerd = await launchContainerd({ version, folder: join(temporary.path, "c") });
      await containerd.ctr(["images", "import", image.file]);
      await containerd.ctr(["run", "--detach", image.name, "sleeper", "sleep", secondsA]);
      await containerd.restart();
      await containerd.kill();
      expect(containerd.pid).toBeUndefined();
      await containerd.start();
      expect(await containerd.ctr(["tasks", "list"])).toMatch(/sleeper\s+\d+\s+RUNNING/);
    }
    expect(await sleepers(secondsA)).toEqual([]);
    expect(await leftBehind(temporary.path)).toEqual([]);
    expect(await shimSockets()).toEqual(sockets);
  });

  test("what a killed run left on the folder is cleaned at the next start", async () => {
    await using temporary = await temporaryFolder("leftover");
    const sockets = await shimSockets();
    const folder = join(temporary.path, "c");
    const image = await busyboxImage({ file: join(temporary.path, "image.tar") });
    await using first = await launchContainerd({ version, folder });
    await first.ctr(["images", "import", image.file]);
    await first.ctr(["run", "--detach", image.name, "left", "sleep", secondsB]);
    // What `ctr run --detach` started becomes the image's program a moment later.
    await expect.poll(() => sleepers(secondsB)).toHaveLength(1);
    for (const { pid } of await processesOf(folder)) process.kill(pid, "SIGKILL");
    {
      await using second = await launchContainerd({ version, folder });
      expect(await second.ctr(["tasks", "list", "--quiet"])).toBe("");
      expect(await second.ctr(["images", "list", "--quiet"])).toContain(image.name);
    }
    expect(await sleepers(secondsB)).toEqual([]);
    await first[Symbol.asyncDispose]();
    expect(await leftBehind(temporary.path)).toEqual([]);
    expect(await shimSockets()).toEqual(sockets);
  });
});

test("the same image recipe gives the same bytes", async () => {
  await using temporary = await temporaryFolder("same");
  const [a, b] = await Promise.all(
    ["a", "b"].map((name) =>
      busyboxImage({ file: join(temporary.path, name), layers: stackedLayers(4).layers }),
    ),
  );
  expect(await readFile(a?.file ?? "")).toEqual(await readFile(b?.file ?? ""));
});
