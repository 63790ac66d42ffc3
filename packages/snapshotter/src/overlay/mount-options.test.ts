import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { overlayOptions } from "./mount-options.ts";

describe("overlay mount options", () => {
  test("keep an upperdir complete", async () => {
    const options = await overlayOptions(tmpdir(), []);
    expect(options).toEqual(expect.arrayContaining(["index=off", "metacopy=off", "redirect_dir=off"]));
  });

  test("keep configured options, and add nothing that is configured", async () => {
    const options = await overlayOptions(tmpdir(), ["xino=off", "index=on", "redirect_dir=off"]);
    expect(options.slice(0, 3)).toEqual(["xino=off", "index=on", "redirect_dir=off"]);
    expect(options.filter((option) => option.startsWith("index"))).toEqual(["index=on"]);
    expect(options.filter((option) => option.startsWith("redirect_dir"))).toEqual(["redirect_dir=off"]);
  });

  test.each([
    "metacopy=on",
    "redirect_dir=on",
    "redirect_dir",
    "upperdir=/x",
    "lowerdir=/x",
    "a,b",
    "",
    "a b",
  ])("refuse %j", async (option) => {
    await expect(overlayOptions(tmpdir(), [option])).rejects.toMatchObject({
      reason: "MOUNT_OPTION_INVALID",
    });
  });
});
