import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { linux } from "@aeon/core";
import { expect, test } from "vitest";
import { packFile, type PackRequest } from "../src/archive/layer-file.ts";
import { layerFiles } from "../src/archive/blob-descriptor.ts";
import { leftOut } from "../src/archive/exclusions.ts";
import { readToc } from "../src/archive/toc-reader.ts";
import { scratch, type Scratch } from "./scratch.ts";

/** Packs `upper` and gives the paths in its table of contents, the root left out, and the report. */
async function pack(dir: Scratch, options: Partial<PackRequest>) {
  const target = dir.at("blob");
  const request = { source: dir.at("upper"), target, overlay: "trusted", level: 1, ...options } as const;
  const { layer, report } = await packFile(request);
  const entries = await Array.fromAsync(readToc(layerFiles(target).toc, layer.toc));
  return { paths: entries.slice(1).map(({ path }) => path.toString()), entries, report };
}

function fill(dir: Scratch, files: readonly string[]): void {
  for (const path of files) {
    mkdirSync(dir.at("upper", path, ".."), { recursive: true });
    if (path.endsWith("/")) mkdirSync(dir.at("upper", path), { recursive: true });
    else writeFileSync(dir.at("upper", path), path);
  }
}

test("excluded paths stay out with all below them, and the report says so", async () => {
  using dir = scratch();
  const files = [
    "tmp/a",
    "tmp/d/b",
    "var/cache/x",
    "src/p/node_modules/m/i.js",
    "src/node_modules/i.js",
    "src/k.o",
  ];
  fill(dir, [...files, "src/kept.c", "var/log/l", "tmpx"]);
  const exclude = ["/tmp/*", "/var/cache", "/**/node_modules", "/src/*.[op]"];
  const { paths, report } = await pack(dir, { exclude });
  expect(paths).toEqual(["src", "src/kept.c", "src/p", "tmp", "tmpx", "var", "var/log", "var/log/l"]);
  expect(report.deviations).toEqual(
    [
      ["src/k.o", "/src/*.[op]"],
      ["src/node_modules", "/**/node_modules"],
      ["src/p/node_modules", "/**/node_modules"],
      ["tmp/a", "/tmp/*"],
      ["tmp/d", "/tmp/*"],
      ["var/cache", "/var/cache"],
    ].map(([path, pattern]) => ({ kind: "excluded", path, reason: `matches ${pattern}` })),
  );
});

test("an excluded opaque directory hides nothing, one with excluded content still does", async () => {
  using dir = scratch();
  fill(dir, ["gone/x", "emptied/x"]);
  for (const name of ["gone", "emptied"])
    linux.setXattrSync(dir.at("upper", name), "trusted.overlay.opaque", Buffer.from("y"));
  linux.makeDeviceSync(dir.at("upper", "deleted"), "character", { major: 0, minor: 0 }, 0);
  const { entries, report } = await pack(dir, {
    exclude: ["/gone", "/emptied/**", "/emptied/*", "/deleted"],
  });
  expect(entries.map(({ path, opaque }) => [path.toString(), opaque])).toEqual([[".", false]]);
  expect(report.counts).toMatchObject({ opaques: 0, whiteouts: 0, directories: 1 });
  const again = scratch();
  using other = again;
  fill(other, ["emptied/x"]);
  linux.setXattrSync(other.at("upper", "emptied"), "trusted.overlay.opaque", Buffer.from("y"));
  const kept = await pack(other, { exclude: ["/emptied/*"] });
  expect(kept.entries.map(({ path, opaque }) => [path.toString(), opaque])).toEqual([
    [".", false],
    ["emptied", true],
  ]);
});

test("hard links with an excluded first name lead to the next one", async () => {
  using dir = scratch();
  fill(dir, ["a"]);
  const { linkSync } = await import("node:fs");
  for (const name of ["b", "c"]) linkSync(dir.at("upper", "a"), dir.at("upper", name));
  const { entries } = await pack(dir, { exclude: ["/a"] });
  expect(entries.slice(1).map(({ path, type, target }) => [String(path), type, target?.toString()])).toEqual([
    ["b", "file", undefined],
    ["c", "link", "b"],
  ]);
});

test.for(["tmp", "/", "", "/a/[z-a]"])("the exclusion %j is refused", async (pattern) => {
  using dir = scratch();
  fill(dir, ["a"]);
  await expect(pack(dir, { exclude: [pattern] })).rejects.toMatchObject({ reason: "EXCLUSION_INVALID" });
});

test("what a runtime mounts on is left out, but only while it is empty", async () => {
  using dir = scratch();
  fill(dir, ["etc/resolv.conf", "proc/", "sys/kernel/", "dev/", "etc/x"]);
  for (const name of ["hosts", "hostname"]) writeFileSync(dir.at("upper/etc", name), "");
  symlinkSync("elsewhere", dir.at("upper/run"));
  const pod = await pack(dir, leftOut([], true));
  expect(pod.paths).toEqual(["etc", "etc/resolv.conf", "etc/x", "run", "sys", "sys/kernel"]);
  using plain = scratch();
  fill(plain, ["etc/", "dev/"]);
  writeFileSync(plain.at("upper/etc/hosts"), "");
  expect((await pack(plain, leftOut([], false))).paths).toEqual(["etc", "etc/hosts"]);
});

test("only harmless devices are kept unless all are asked for", async () => {
  using dir = scratch();
  mkdirSync(dir.at("upper"));
  const devices = { disk: ["block", 8, 0], null: ["character", 1, 3], mem: ["character", 1, 1] } as const;
  for (const [name, [kind, major, minor]] of Object.entries(devices))
    linux.makeDeviceSync(dir.at("upper", name), kind, { major, minor }, 0o600);
  const { paths, report } = await pack(dir, { devices: "harmless" });
  expect(paths).toEqual(["null"]);
  expect(report.deviations.map(({ kind, path }) => [kind, path])).toEqual([
    ["skipped", "disk"],
    ["skipped", "mem"],
  ]);
  using all = scratch();
  mkdirSync(all.at("upper"));
  linux.makeDeviceSync(all.at("upper/disk"), "block", { major: 8, minor: 0 }, 0o600);
  expect((await pack(all, {})).paths).toEqual(["disk"]);
});
