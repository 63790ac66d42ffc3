import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { run } from "@aeon/standalone";

/** What is built; the version of Debian bookworm's source package. */
export const kubernetesVersion = "v1.20.2";
export const builtPrograms = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
] as const;

/** Go with its caches below one folder, so that what was compiled is not compiled again after an interruption. */
export class Compiler {
  readonly #root: string;
  readonly #work: string;
  readonly #tree: string;
  readonly #signal: AbortSignal | undefined;

  constructor(root: string, work: string, tree: string, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#work = work;
    this.#tree = tree;
    this.#signal = signal;
  }

  go(args: readonly string[]): Promise<string> {
    return this.run(join(this.#root, "bin/go"), args);
  }

  async run(program: string, args: readonly string[]): Promise<string> {
    const { stdout } = await run(program, args, {
      cwd: this.#tree,
      env: this.#environment,
      ...(this.#signal && { signal: this.#signal }),
    });
    return stdout;
  }

  async buildAll(output: string, onProgress: (message: string) => void): Promise<void> {
    const commands = builtPrograms.map((name) => `./cmd/${name}`);
    const total = (await this.go(["list", "-deps", ...commands])).trim().split("\n").length;
    const started = performance.now();
    const child = spawn(
      join(this.#root, "bin/go"),
      ["build", "-v", "-trimpath", "-ldflags", linkerFlags, "-o", `${output}/`, ...commands],
      {
        cwd: this.#tree,
        env: this.#environment,
        stdio: ["ignore", "ignore", "pipe"],
        ...(this.#signal && { signal: this.#signal }),
      },
    );
    const ended = once(child, "close");
    const failures: string[] = [];
    let done = 0;
    for await (const line of createInterface(child.stderr)) {
      if (!/^[\w./-]+$/.test(line)) failures.push(line);
      done += 1;
      if (done % Math.ceil(total / 20) !== 0) continue;
      const minutes = (((performance.now() - started) / done) * (total - done)) / 60_000;
      onProgress(`compiled ${done} of ${total} packages, about ${Math.ceil(minutes)} minutes left`);
    }
    await ended;
    if (child.exitCode !== 0)
      throw new Error(`Kubernetes does not compile: ${failures.slice(0, 20).join("\n")}`);
  }

  get #environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      GOROOT: this.#root,
      GOPATH: join(this.#work, "go"),
      GOCACHE: join(this.#work, "cache"),
      GOENV: "off",
      GOFLAGS: "",
      GO111MODULE: "off",
      CGO_ENABLED: "0",
    };
  }
}

const linkerFlags = [
  "-s -w",
  ...["component-base/version", "client-go/pkg/version"].flatMap((path) =>
    Object.entries({
      gitVersion: kubernetesVersion,
      gitMajor: "1",
      gitMinor: "20",
      gitTreeState: "clean",
    }).map(([key, value]) => `-X k8s.io/kubernetes/vendor/k8s.io/${path}.${key}=${value}`),
  ),
].join(" ");
