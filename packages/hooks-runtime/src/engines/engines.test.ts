import {
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  existsSync,
  mkdirSync,
  chmodSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { configureEngine, unconfigureEngine } from "./configure.ts";
import { containerdEngine } from "./containerd-engine.ts";
import { crioEngine } from "./crio-engine.ts";
import type { Engine } from "./engine.ts";
import { errors } from "../errors.ts";
import { dockerEngine } from "./json-config.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "aeon-engines-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const handler = {
  name: "container-hooks-runtime",
  path: "/usr/bin/container-hooks-runtime",
  asDefault: true,
};
const table = (text: string): Record<string, unknown> => parse(text);

const containerdTwo = `# our containerd
version = 2
oom_score = -999 # low

[plugins]
  # pods
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "pause"
    [plugins."io.containerd.grpc.v1.cri".containerd]
      snapshotter = "overlayfs" # fast
      default_runtime_name = "runc"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          SystemdCgroup = true
# the end
`;

describe("containerd", () => {
  test("version 2: a copy of runc's table, comments and order stay", () => {
    const text = containerdEngine.configure(containerdTwo, handler, "f");
    const cri = {
      plugins: {
        "io.containerd.grpc.v1.cri": {
          containerd: {
            default_runtime_name: handler.name,
            runtimes: {
              runc: { runtime_type: "io.containerd.runc.v2", options: { SystemdCgroup: true } },
              [handler.name]: {
                runtime_type: "io.containerd.runc.v2",
                options: { SystemdCgroup: true, BinaryName: handler.path },
              },
            },
          },
        },
      },
    };
    expect(table(text)).toMatchObject(cri);
    for (const line of containerdTwo.split("\n").filter((each) => !each.includes("default_runtime_name")))
      expect(text.split("\n")).toContain(line);
    expect(containerdEngine.defaultOf(containerdTwo, "f")).toBe("runc");
    const back = containerdEngine.unconfigure(text, { name: handler.name, previousDefault: "runc" }, "f");
    expect(table(back)).toEqual(table(containerdTwo));
    expect(back).toContain("# the end");
  });

  test.each([
    ["", 2, "io.containerd.grpc.v1.cri"],
    ["version = 2\n", 2, "io.containerd.grpc.v1.cri"],
    ["version = 3\n", 3, "io.containerd.cri.v1.runtime"],
    ["version = 4\n", 4, "io.containerd.cri.v1.runtime"],
    ['[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "x"\n', undefined, "io.containerd.grpc.v1.cri"],
  ])("%j", (text, version, id) => {
    const result = containerdEngine.configure(text, handler, "f");
    const runtimes = {
      [handler.name]: { runtime_type: "io.containerd.runc.v2", options: { BinaryName: handler.path } },
    };
    expect(table(result)).toMatchObject({
      plugins: { [id]: { containerd: { default_runtime_name: handler.name, runtimes } } },
    });
    expect(table(result)["version"]).toBe(version);
    expect(containerdEngine.configure(result, handler, "f")).toBe(result);
    const back = containerdEngine.unconfigure(result, { name: handler.name }, "f");
    expect(back === "" ? {} : table(back)).toEqual(
      text.startsWith("version") || text === "" ? {} : table(text),
    );
  });

  test("version 1 and inline tables", () => {
    const one = containerdEngine.configure('[plugins.cri.containerd]\nsnapshotter = "x"\n', handler, "f");
    expect(table(one)).toMatchObject({
      plugins: {
        cri: {
          containerd: {
            snapshotter: "x",
            runtimes: { [handler.name]: { options: { BinaryName: handler.path, Runtime: handler.path } } },
          },
        },
      },
    });
    const inline =
      'version = 2\nplugins = { "io.containerd.grpc.v1.cri" = { containerd = { snapshotter = "x" } } } # all\n';
    const result = containerdEngine.configure(inline, handler, "f");
    expect(table(result)).toMatchObject({
      plugins: {
        "io.containerd.grpc.v1.cri": { containerd: { snapshotter: "x", runtimes: { [handler.name]: {} } } },
      },
    });
  });

  test("large numbers, dates and texts over several lines that look like headers keep their meaning", () => {
    const odd =
      'version = 2\nbig = 9223372036854775807\nwhen = 2026-01-02T03:04:05Z\ntext = """\n[plugins.x]\n"""\n';
    const result = containerdEngine.configure(odd, handler, "f");
    expect(result.startsWith(odd)).toBe(true);
    const back = containerdEngine.unconfigure(result, { name: handler.name }, "f");
    expect(parse(back, { integersAsBigInt: true })).toEqual(parse(odd, { integersAsBigInt: true }));
  });

  test.each([
    ["version = 7\n", "ENGINE_CONFIG_UNSUPPORTED"],
    ["a = = 1", "ENGINE_CONFIG_INVALID"],
    ["version = 2\nplugins = 3\n", "ENGINE_CONFIG_INVALID"],
  ])("%j is refused with %s", (text, reason) => {
    expect(() => containerdEngine.configure(text, handler, "f")).toThrow(expect.objectContaining({ reason }));
  });

  test("a file beside the main one, where version 3 imports a folder", () => {
    const main =
      'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]\nruntime_type = "x"\n';
    expect(containerdEngine.dropIn?.(main, "f", "n")).toBe("/etc/containerd/conf.d/99-n.toml");
    expect(containerdEngine.dropIn?.(main.replace("3", "2"), "f", "n")).toBeUndefined();
    expect(table(containerdEngine.configure("", handler, "f", main))).toEqual({
      version: 3,
      plugins: {
        "io.containerd.cri.v1.runtime": {
          containerd: {
            default_runtime_name: handler.name,
            runtimes: { [handler.name]: { runtime_type: "x", options: { BinaryName: handler.path } } },
          },
        },
      },
    });
  });
});

describe("docker", () => {
  test("a new file", () => {
    const text = dockerEngine.configure("", handler, "f");
    expect(JSON.parse(text)).toEqual({
      runtimes: { [handler.name]: { path: handler.path, runtimeArgs: [] } },
      "default-runtime": handler.name,
    });
    expect(dockerEngine.unconfigure(text, { name: handler.name }, "f")).toBe("");
  });

  test("everything else stays to the byte", () => {
    const before =
      '{\n  "registry-mirrors": ["https://a/?x=<&>"],\n  "max": 12345678901234567890,\n  "default-runtime": "crun",\n  "runtimes": {"crun": {"path": "/c"}}\n}';
    const text = dockerEngine.configure(before, handler, "f");
    expect(text).toContain('"registry-mirrors": ["https://a/?x=<&>"],\n  "max": 12345678901234567890,');
    expect(JSON.parse(text)).toMatchObject({
      runtimes: { crun: { path: "/c" }, [handler.name]: { path: handler.path } },
    });
    expect(dockerEngine.defaultOf(before, "f")).toBe("crun");
    const back = dockerEngine.unconfigure(text, { name: handler.name, previousDefault: "crun" }, "f");
    expect(JSON.parse(back)).toEqual(JSON.parse(before));
  });

  test.each([
    '{"runtimes":null}',
    '{"runtimes":[]}',
    "\uFEFF{}",
    "{} {}",
    "{",
    "[]",
    '{"default-runtime":3}',
    "nonsense",
  ])("%j is refused", (text) => {
    expect(() => dockerEngine.configure(text, handler, "daemon.json")).toThrow(
      expect.objectContaining({
        reason: "ENGINE_CONFIG_INVALID",
        message: expect.stringMatching(/^daemon\.json:1:\d+: /),
      }),
    );
  });
});

describe("CRI-O", () => {
  test("a copy of runc's table; without it a table of its own", () => {
    const main =
      '# ours\n[crio.runtime]\ndefault_runtime = "runc"\n[crio.runtime.runtimes.runc]\nruntime_path = "/usr/bin/runc"\nmonitor_path = "/usr/bin/conmon"\n';
    const text = crioEngine.configure(main, handler, "f");
    const entry = { runtime_path: handler.path, runtime_type: "oci", monitor_path: "/usr/bin/conmon" };
    expect(table(text)).toMatchObject({
      crio: { runtime: { default_runtime: handler.name, runtimes: { [handler.name]: entry } } },
    });
    expect(text).toContain("# ours");
    expect(table(crioEngine.unconfigure(text, { name: handler.name, previousDefault: "runc" }, "f"))).toEqual(
      table(main),
    );
    const beside = crioEngine.configure("", handler, "f", main);
    expect(table(beside)).toEqual({
      crio: { runtime: { default_runtime: handler.name, runtimes: { [handler.name]: entry } } },
    });
    expect(crioEngine.unconfigure(beside, { name: handler.name }, "f")).toBe("");
  });
});

const starts: [string, Engine, string][] = [
  ["daemon.json", dockerEngine, '{ "default-runtime":"crun",\t"runtimes" : {} }'],
  ["config.toml", containerdEngine, containerdTwo],
  ["crio.conf", crioEngine, "# nothing but a comment\n[crio.runtime]\n  default_runtime = 'crun' # ours\n"],
];
describe.each(starts)("%s", (name, engine, text) => {
  const options = () => ({ engine, file: join(folder, name), originals: join(folder, "originals") });
  const read = () => readFileSync(join(folder, name), "utf8");

  test("unconfigure gives the original bytes and mode back", async () => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o640);
    await configureEngine(options(), { ...handler, asDefault: false });
    await configureEngine(options(), handler);
    await configureEngine(options(), { ...handler, name: "second" });
    expect(read()).not.toBe(text);
    await unconfigureEngine(options(), handler.name);
    expect(engine.defaultOf(read(), "f")).toBe("second");
    await configureEngine(options(), handler);
    await unconfigureEngine(options(), "second");
    await unconfigureEngine(options(), handler.name);
    expect(engine.defaultOf(read(), "f")).toBe(engine.defaultOf(text, "f"));
    writeFileSync(join(folder, name), text);
    await configureEngine(options(), handler);
    await unconfigureEngine(options(), handler.name);
    expect(read()).toBe(text);
    expect(statSync(join(folder, name)).mode & 0o777).toBe(0o640);
  });

  test("what somebody changed meanwhile stays, and the former default comes back", async () => {
    writeFileSync(join(folder, name), text);
    await configureEngine(options(), handler);
    const changed = read().replace(/^(?=[{#])/, engine === dockerEngine ? " " : "# later\n");
    writeFileSync(join(folder, name), changed);
    await unconfigureEngine(options(), handler.name);
    expect(read().slice(0, 3)).toBe(changed.slice(0, 3));
    expect(read()).not.toContain(handler.name);
    expect(engine.defaultOf(read(), "f")).toBe(engine.defaultOf(text, "f"));
  });

  test("what somebody changed between two configurations stays too", async () => {
    writeFileSync(join(folder, name), text);
    await configureEngine(options(), { ...handler, asDefault: false });
    writeFileSync(join(folder, name), read().replace("crun", "other").replace("overlayfs", "other"));
    await configureEngine(options(), handler);
    await unconfigureEngine(options(), handler.name);
    expect(read()).toContain("other");
    expect(read()).not.toContain(handler.name);
  });

  test("a file that was not there goes again", async () => {
    const made = await configureEngine(options(), handler);
    expect(made).toMatchObject({ existed: false, removed: false });
    expect(await unconfigureEngine(options(), handler.name)).toMatchObject({ removed: true });
    expect(existsSync(join(folder, name))).toBe(false);
    expect(await unconfigureEngine(options(), handler.name).catch(() => "nothing to do")).toBeDefined();
  });

  test("a dry run changes nothing", async () => {
    writeFileSync(join(folder, name), text);
    const { mtimeMs } = statSync(join(folder, name));
    const change = await configureEngine({ ...options(), dryRun: true }, handler);
    expect(change.after).toContain(handler.path);
    expect(statSync(join(folder, name)).mtimeMs).toBe(mtimeMs);
    expect(existsSync(join(folder, "originals"))).toBe(false);
  });

  test("a change that the engine reads otherwise is taken back", async () => {
    writeFileSync(join(folder, name), text);
    const verify = async () => {
      expect(read()).toContain(handler.path);
      throw errors.ENGINE_CONFIG_REJECTED("no");
    };
    await expect(configureEngine({ ...options(), verify }, handler)).rejects.toThrow("no");
    expect(read()).toBe(text);
    await unconfigureEngine(options(), handler.name);
    expect(read()).toBe(text);
  });

  test("twenty at once end with all twenty", async () => {
    writeFileSync(join(folder, name), text);
    const names = Array.from({ length: 20 }, (_, index) => `handler-${index}`);
    await Promise.all(
      names.map((each) => configureEngine(options(), { ...handler, name: each, asDefault: false })),
    );
    for (const each of names) expect(read()).toContain(each);
    await Promise.all(names.map((each) => unconfigureEngine(options(), each)));
    expect(read()).toBe(text);
  });

  test("a link stays a link", async () => {
    mkdirSync(join(folder, "real"));
    writeFileSync(join(folder, "real", name), text);
    symlinkSync(`real/${name}`, join(folder, name));
    await configureEngine(options(), handler);
    expect(readFileSync(join(folder, "real", name), "utf8")).toContain(handler.path);
    await unconfigureEngine(options(), handler.name);
    expect(readFileSync(join(folder, "real", name), "utf8")).toBe(text);
  });
});
