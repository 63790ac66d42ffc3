import { join } from "node:path";
import { busyboxImage, launchContainerd, runReadmeExample, temporaryFolder } from "@aeon/testkit";
import { expect, test } from "vitest";

test("the README's example runs a container", async () => {
  await using folder = await temporaryFolder("readme");
  await using containerd = await launchContainerd();
  const image = await busyboxImage({ file: join(folder.path, "image.tar") });
  const output = await runReadmeExample(join(import.meta.dirname, "../README.md"), {
    CONTAINERD_ADDRESS: containerd.address,
    IMAGE: image.file,
  });
  expect(output).toBe("hello\n");
  expect(await containerd.ctr(["containers", "list", "--quiet"])).toBe("");
});
