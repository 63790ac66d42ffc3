import { mkdtempSync, renameSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAeonError } from "../error.ts";
import { absolutePath, byteSize, duration, leavesOf, loadConfig, printConfig, watchFile } from "./index.ts";
import { lineOfKey } from "./toml.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-config-"));
  file = join(folder, "config.toml");
});
afterEach(() => rmSync(folder, { recursive: true }));

const store = v.variant("type", [
  v.strictObject({ type: v.literal("posix"), path: v.optional(absolutePath(), "{root}/store") }),
  v.strictObject({ type: v.literal("s3"), bucket: v.string() }),
]);
const schema = v.strictObject({
  version: v.optional(v.literal(1), 1),
  root: v.optional(v.pipe(absolutePath(), v.description("durable state")), "/var/lib/aeon"),
  log: v.optional(v.strictObject({ level: v.optional(v.picklist(["debug", "info", "warn"]), "info") }), {}),
  containerd: v.optional(v.strictObject({ namespaces: v.optional(v.array(v.string()), ["k8s.io"]) }), {}),
  backup: v.optional(
    v.strictObject({
      "staging-limit": v.optional(byteSize(), "20GiB"),
      every: v.optional(duration(), "1h"),
      workers: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 2),
      compress: v.optional(v.boolean(), true),
      store: v.optional(store, { type: "posix" }),
    }),
    {},
  ),
});
const load = (
  text: string,
  sources: { environment?: NodeJS.ProcessEnv; flags?: Record<string, string> } = {},
) => {
  writeFileSync(file, text);
  return loadConfig(schema, { file, ...sources });
};
const faultOf = (text: string): string => {
  try {
    load(text);
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(folder, "") : "";
  }
  throw new Error("the configuration was accepted");
};

test("defaults, converted and frozen", () => {
  const { config } = load("");
  expect(config).toEqual({
    version: 1,
    root: "/var/lib/aeon",
    log: { level: "info" },
    containerd: { namespaces: ["k8s.io"] },
    backup: {
      "staging-limit": 20 * 2 ** 30,
      every: 3_600_000,
      workers: 2,
      compress: true,
      store: { type: "posix", path: "/var/lib/aeon/store" },
    },
  });
  expect(Object.isFrozen(config.backup.store)).toBe(true);
  expect(Object.isFrozen(config.containerd.namespaces)).toBe(true);
});

test("flags over environment over file over defaults, each with its origin", () => {
  const { config, entries } = load('root = "/file"\n[log]\nlevel = "warn"\n[backup]\nworkers = 3\n', {
    environment: {
      AEON_LOG_LEVEL: "debug",
      AEON_BACKUP_WORKERS: "4",
      AEON_BACKUP_COMPRESS: "false",
      AEON_CONTAINERD_NAMESPACES: "a, b",
      AEON_UNRELATED: "x",
    },
    flags: { "backup.workers": "5", "backup.staging-limit": "1KiB" },
  });
  expect(config).toMatchObject({
    root: "/file",
    log: { level: "debug" },
    containerd: { namespaces: ["a", "b"] },
    backup: { workers: 5, compress: false, "staging-limit": 1024, store: { path: "/file/store" } },
  });
  const origins = Object.fromEntries(entries.map(({ path, origin }) => [path.join("."), origin]));
  expect(origins).toEqual({
    version: { kind: "default" },
    root: { kind: "file", file, line: 1 },
    "log.level": { kind: "environment", name: "AEON_LOG_LEVEL" },
    "containerd.namespaces": { kind: "environment", name: "AEON_CONTAINERD_NAMESPACES" },
    "backup.staging-limit": { kind: "flag", name: "--set backup.staging-limit" },
    "backup.every": { kind: "default" },
    "backup.workers": { kind: "flag", name: "--set backup.workers" },
    "backup.compress": { kind: "environment", name: "AEON_BACKUP_COMPRESS" },
    "backup.store.type": { kind: "default" },
    "backup.store.path": { kind: "default" },
  });
});

test.each([
  ["[log]\nlevle = 1", '/config.toml:2: log.levle: unknown key; did you mean "level"?'],
  [
    "zzzzzzzz = 1",
    "/config.toml:1: zzzzzzzz: unknown key; valid here: version, root, log, containerd, backup",
  ],
  [
    "[snapshoter]",
    "/config.toml:1: snapshoter: unknown key; valid here: version, root, log, containerd, backup",
  ],
  [
    '[log]\n\nlevel = "inof"',
    '/config.toml:3: log.level: expected ("debug" | "info" | "warn") but received "inof"; did you mean "info"?',
  ],
  ["[backup]\nworkers = 0", "/config.toml:2: backup.workers: expected >=1 but received 0"],
  [
    '[backup]\nstaging-limit = "20 gigs"',
    '/config.toml:2: backup.staging-limit: expected a text such as "20GiB" (units B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB), not "20 gigs"',
  ],
  ['root = "relative"', '/config.toml:1: root: expected an absolute path, such as "/run/aeon"'],
  ['[backup.store]\ntype = "s3"', "/config.toml:1: backup.store.bucket: missing"],
  [
    '[backup.store]\ntype = "s3"\nbuckte = "b"\nbucket = "b"',
    '/config.toml:3: backup.store.buckte: unknown key; did you mean "bucket"?',
  ],
  ["log = 3", "/config.toml:1: log: expected Object but received 3"],
  ["version = 2", "/config.toml:1: version: expected 1 but received 2"],
])("%j is refused with its place", (text, message) => {
  expect(faultOf(text)).toBe(message);
});

test("every fault is listed", () => {
  expect(faultOf('root = 1\n[log]\nlevel = "x"\nleveel = 2').split("\n")).toHaveLength(3);
});

test("faults in flags and the environment name them", () => {
  expect(() => load("", { flags: { "log.leve": "x" } })).toThrow(
    /^--set log\.leve: log\.leve: unknown key; did you mean "level"\?$/,
  );
  expect(() => load("", { environment: { AEON_LOG_LEVEL: "loud" } })).toThrow(
    /^\$AEON_LOG_LEVEL: log\.level: expected/,
  );
});

test("broken TOML and absent files are named with the place", () => {
  expect(faultOf("a = 1\nb = = 2\n")).toMatch(/^\/config\.toml:2: Invalid TOML/);
  expect(() => loadConfig(schema, { file: join(folder, "absent") })).toThrow(
    expect.objectContaining({ reason: "CONFIG_UNREADABLE", message: expect.stringContaining("absent") }),
  );
});

test("__proto__ is a key like any other and unknown", () => {
  expect(faultOf("[__proto__]\npolluted = true")).toMatch(/__proto__: unknown key/);
  expect(Reflect.get({}, "polluted")).toBeUndefined();
});

test("what is printed loads to the same", () => {
  const first = load(
    'root = "/x"\n[backup]\nstaging-limit = "1.5GB"\nevery = "90s"\n[backup.store]\ntype = "posix"\n',
  );
  const text = printConfig(first.entries);
  expect(text).toContain(`root = "/x"  # ${file}:1`);
  expect(text).toContain('staging-limit = "1.5GB"');
  expect(load(text).config).toEqual(first.config);
});

test("leaves carry defaults and descriptions, for help and reference pages", () => {
  expect(leavesOf(schema)).toContainEqual(
    expect.objectContaining({ path: ["root"], default: "/var/lib/aeon", description: "durable state" }),
  );
});

test.each([
  ["0B", 0],
  ["1kB", 1000],
  ["1.5KiB", 1536],
  ["20 GiB", 21_474_836_480],
  [77, 77],
])("byte size %j", (text, bytes) => {
  expect(v.parse(byteSize(), text)).toBe(bytes);
});

test.each(["", "20", "-1GiB", "1e3B", "1gib", "9999999TiB", "1 constructor", -1, 1.5])(
  "byte size %j is refused",
  (text) => {
    expect(v.is(byteSize(), text)).toBe(false);
  },
);

test("durations", () => {
  expect(["500ms", "30s", "5m", "1h", "7d", 250].map((text) => v.parse(duration(), text))).toEqual([
    500, 30_000, 300_000, 3_600_000, 604_800_000, 250,
  ]);
});

function outcome(text: string): string {
  try {
    load(text);
    return "accepted";
  } catch (error) {
    return isAeonError(error, "invalid-argument") ? "refused" : String(error);
  }
}

test("hostile text is refused or accepted, never anything else", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(["accepted", "refused"]).toContain(outcome(text));
    }),
  );
});

test("lines are found in dotted keys, headers and inline tables", () => {
  const text = '# c\na.b = 1\n[x]\n"q" = 2\n[x.y]\nz = { in = 1 }\n[[list]]\n';
  expect(lineOfKey(text, ["a", "b"])).toBe(2);
  expect(lineOfKey(text, ["x", "q"])).toBe(4);
  expect(lineOfKey(text, ["x", "y"])).toBe(5);
  expect(lineOfKey(text, ["x", "y", "z", "in"])).toBe(6);
  expect(lineOfKey(text, ["list"])).toBe(7);
  expect(lineOfKey(text, ["absent"])).toBeUndefined();
});

const change = () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watcher = watchFile(file, resolve);
  return { promise, [Symbol.dispose]: () => watcher[Symbol.dispose]() };
};

test("a rewritten, a replaced and a re-linked file are noticed", async () => {
  writeFileSync(file, "1");
  {
    using watched = change();
    writeFileSync(file, "2");
    await expect(watched.promise).resolves.toBeUndefined();
  }
  {
    using watched = change();
    writeFileSync(`${file}.new`, "3");
    renameSync(`${file}.new`, file);
    await watched.promise;
  }
  rmSync(file);
  for (const [index, name] of ["one", "two"].entries()) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "config.toml"), String(index));
  }
  symlinkSync("one", join(folder, "..data"));
  symlinkSync("..data/config.toml", file);
  using watched = change();
  symlinkSync("two", join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  await watched.promise;
});
