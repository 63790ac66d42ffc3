import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackages, run, withFileLock, type UnpackedPackage } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";

/** Debian suite whose containerd (1.7) and Go compiler are used; both run on any newer or older glibc. */
const suite = "trixie";
const compiler = ["golang-1.24-go", "golang-1.24-src"];
/** containerd's sources and what its snapshotter, its suite and its clients import. */
const libraries = [
  "golang-github-containerd-containerd-dev",
  "golang-github-containerd-continuity-dev",
  "golang-github-containerd-errdefs-dev",
  "golang-github-containerd-log-dev",
  "golang-github-containerd-ttrpc-dev",
  "golang-github-containerd-typeurl-dev",
  "golang-github-coreos-bbolt-dev",
  "golang-github-davecgh-go-spew-dev",
  "golang-github-gogo-protobuf-dev",
  "golang-github-golang-protobuf-1-5-dev",
  "golang-github-google-go-cmp-dev",
  "golang-github-hashicorp-errwrap-dev",
  "golang-github-hashicorp-go-multierror-dev",
  "golang-github-moby-sys-dev",
  "golang-github-opencontainers-go-digest-dev",
  "golang-github-pmezard-go-difflib-dev",
  "golang-github-sirupsen-logrus-dev",
  "golang-github-stretchr-testify-dev",
  "golang-golang-x-net-dev",
  "golang-golang-x-sync-dev",
  "golang-golang-x-sys-dev",
  "golang-golang-x-text-dev",
  "golang-google-genproto-dev",
  "golang-google-grpc-dev",
  "golang-google-protobuf-dev",
  "golang-gopkg-yaml.v3-dev",
];

/**
 * The Go programs beside this file: `suite` runs containerd's snapshotter suite, `peer` serves containerd's
 * overlayfs snapshotter, `load` measures a snapshotter.
 */
export type GoProgram = "suite" | "peer" | "load";

/**
 * Builds a Go program against Debian's packages of containerd's sources and answers its path. Packages and
 * results are cached; the first call on a machine downloads about 90 MB and takes a minute or two.
 */
export async function buildGoProgram(
  program: GoProgram,
  onProgress: (message: string) => void = () => {},
): Promise<string> {
  const packages = await fetchPackages({
    cache: testCache,
    suite,
    packages: [...compiler, ...libraries],
    onProgress,
  });
  const versions = packages.map(({ name, version }) => `${name}=${version}`).join("\n");
  const folder = join(testCache, "go", fingerprint(versions));
  const source = join(import.meta.dirname, program);
  const target = join(folder, "bin", `${program}-${fingerprint(await sourceOf(source))}`);
  await withFileLock(join(folder, ".lock"), async () => {
    await once(join(folder, "tree"), (partial) => merge(packages, partial));
    await once(target, async (partial) => {
      onProgress(`compiling ${program}`);
      await compile(program, source, folder, partial);
    });
  });
  return target;
}

/** Makes `path` by filling a neighbour and renaming it, unless it is there. */
async function once(path: string, fill: (partial: string) => Promise<unknown>): Promise<void> {
  const present = await access(path).then(
    () => true,
    () => false,
  );
  if (present) return;
  const partial = `${path}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(join(path, ".."), { recursive: true });
  await fill(partial);
  await rename(partial, path);
}

/** Go wants the compiler's packages under one root; hard links make that one without another copy. */
async function merge(packages: readonly UnpackedPackage[], target: string): Promise<void> {
  await mkdir(target);
  for (const { root } of packages) await run("cp", ["-al", `${root}/.`, `${target}/`]);
}

async function compile(program: GoProgram, source: string, folder: string, output: string): Promise<void> {
  const goRoot = join(folder, "tree/usr/lib/go-1.24");
  const action = program === "suite" ? ["test", "-c"] : ["build"];
  await run(join(goRoot, "bin/go"), [...action, "-trimpath", "-o", output, "."], {
    cwd: source,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      GOROOT: goRoot,
      GOPATH: join(folder, "tree/usr/share/gocode"),
      GOCACHE: join(testCache, "go", "build-cache"),
      GOENV: "off",
      GOFLAGS: "",
      GO111MODULE: "off",
      GOTOOLCHAIN: "local",
      CGO_ENABLED: "0",
    },
  });
}

async function sourceOf(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".go")).toSorted();
  return (
    await Promise.all(names.map(async (name) => `${name}\n${await readFile(join(folder, name), "utf8")}`))
  ).join("\n");
}

const fingerprint = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);
