import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "smol-toml";
import { temporaryFolder } from "@aeon/testkit";
import { describe, expect, test } from "vitest";
import { runCtk } from "../src/ctk/run.ts";

const path = "/usr/bin/container-hooks-runtime";
const newHandler = {
  privileged_without_host_devices: false,
  runtime_engine: "",
  runtime_root: "",
  runtime_type: "io.containerd.runc.v2",
};
const criTwo = "io.containerd.grpc.v1.cri";
const runcTwo = { runtime_type: "io.containerd.runc.v2", options: { SystemdCgroup: true } };
const handlerTwo = { ...runcTwo, options: { ...runcTwo.options, BinaryName: path } };
const two = `version = 2
[plugins."${criTwo}".containerd]
  default_runtime_name = "runc"
  [plugins."${criTwo}".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."${criTwo}".containerd.runtimes.runc.options]
      SystemdCgroup = true
`;
const crioRunc = { runtime_path: "/usr/bin/runc", runtime_root: "/run/runc" };
const crio = `[crio.runtime.runtimes.runc]\nruntime_path = "/usr/bin/runc"\nruntime_root = "/run/runc"\n`;

interface Case {
  readonly title: string;
  readonly runtime: string;
  readonly before: string | undefined;
  readonly isDefault: boolean;
  /** What container-hooks-toolkit's program writes for the same command, read as its engine reads it. */
  readonly configured: object;
  /** What stays after `unconfigure`; undefined: no file. Its own bugs are not repeated, see the comments. */
  readonly unconfigured: object | undefined;
}

const cases: readonly Case[] = [
  {
    title: "docker, no file",
    runtime: "docker",
    before: undefined,
    isDefault: false,
    configured: { runtimes: { "container-hooks-runtime": { path, runtimeArgs: [] } } },
    // The toolkit leaves a file with `{}`.
    unconfigured: undefined,
  },
  {
    title: "docker, another runtime is the default",
    runtime: "docker",
    before: '{"b":1,"default-runtime":"crun","runtimes":{"crun":{"path":"/usr/bin/crun"}}}',
    isDefault: true,
    configured: {
      b: 1,
      "default-runtime": "container-hooks-runtime",
      runtimes: { "container-hooks-runtime": { path, runtimeArgs: [] }, crun: { path: "/usr/bin/crun" } },
    },
    // The toolkit forgets the former default and writes "runc".
    unconfigured: { b: 1, "default-runtime": "crun", runtimes: { crun: { path: "/usr/bin/crun" } } },
  },
  {
    title: "containerd, no file",
    runtime: "containerd",
    before: undefined,
    isDefault: false,
    configured: {
      version: 2,
      plugins: {
        [criTwo]: {
          containerd: {
            runtimes: { "container-hooks-runtime": { ...newHandler, options: { BinaryName: path } } },
          },
        },
      },
    },
    unconfigured: undefined,
  },
  {
    title: "containerd, version 2 with runc",
    runtime: "containerd",
    before: two,
    isDefault: true,
    configured: {
      version: 2,
      plugins: {
        [criTwo]: {
          containerd: {
            default_runtime_name: "container-hooks-runtime",
            runtimes: { "container-hooks-runtime": handlerTwo, runc: runcTwo },
          },
        },
      },
    },
    // The toolkit takes the default away instead of giving the former one back.
    unconfigured: {
      version: 2,
      plugins: { [criTwo]: { containerd: { default_runtime_name: "runc", runtimes: { runc: runcTwo } } } },
    },
  },
  {
    title: "containerd, version 1",
    runtime: "containerd",
    before: 'version = 1\nroot = "/x"\n',
    isDefault: true,
    configured: {
      version: 1,
      root: "/x",
      plugins: {
        cri: {
          containerd: {
            default_runtime_name: "container-hooks-runtime",
            runtimes: {
              "container-hooks-runtime": { ...newHandler, options: { BinaryName: path, Runtime: path } },
            },
          },
        },
      },
    },
    unconfigured: { version: 1, root: "/x" },
  },
  {
    title: "CRI-O, with runc",
    runtime: "crio",
    before: crio,
    isDefault: true,
    configured: {
      crio: {
        runtime: {
          default_runtime: "container-hooks-runtime",
          runtimes: {
            "container-hooks-runtime": { ...crioRunc, runtime_path: path, runtime_type: "oci" },
            runc: crioRunc,
          },
        },
      },
    },
    unconfigured: { crio: { runtime: { runtimes: { runc: crioRunc } } } },
  },
  {
    title: "CRI-O, no file",
    runtime: "crio",
    before: undefined,
    isDefault: false,
    configured: {
      crio: {
        runtime: { runtimes: { "container-hooks-runtime": { runtime_path: path, runtime_type: "oci" } } },
      },
    },
    unconfigured: undefined,
  },
];

describe("the files are those of container-hooks-toolkit for the same commands", () => {
  test.each(cases)("$title", async ({ runtime, before, isDefault, configured, unconfigured }) => {
    await using folder = await temporaryFolder("parity");
    const file = join(folder.path, "config");
    if (before !== undefined) await writeFile(file, before);
    const said: string[] = [];
    const ctk = (...args: readonly string[]) =>
      runCtk(["--prefix", folder.path, "runtime", ...args, "--runtime", runtime, "--config-file", file], {
        node: process.execPath,
        folder: folder.path,
        searchPath: "",
        print: (text) => void said.push(text),
        complain: (text) => void said.push(text),
      });
    const read = async (): Promise<unknown> => {
      const text = await readFile(file, "utf8");
      return runtime === "docker" ? JSON.parse(text) : parse(text);
    };
    expect(await ctk("configure", ...(isDefault ? ["--default"] : []))).toBe(0);
    expect(await read()).toEqual(configured);
    const log = said.join("");
    expect(log).toMatch(
      before === undefined
        ? /level=info msg="Config file does not exist; using empty config"/
        : /level=info msg="Loading config from \S+config"/,
    );
    expect(log).toMatch(/level=info msg="Wrote updated config to \S+config"\n/);
    expect(log).toMatch(
      new RegExp(`level=info msg="It is recommended that ${runtime} daemon be restarted\\."\n$`, "i"),
    );
    expect(await ctk("unconfigure")).toBe(0);
    const left = await readFile(file, "utf8").catch(() => undefined);
    expect(left).toBe(before);
    expect(left === undefined ? undefined : await read()).toEqual(unconfigured);
  });
});
