import { createHash } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackages, run, withFileLock, type UnpackedPackage } from "@aeon/standalone";
import { testCache } from "@aeon/testkit";

/** Debian suites by the containerd whose sources they carry, and what only that release line has. */
const releases = {
  "1.7": { suite: "trixie", own: [] },
  "2.1": {
    suite: "forky",
    own: ["golang-github-containerd-containerd-api-dev", "golang-github-opencontainers-image-spec-dev"],
  },
} as const;
/** A Go compiler that runs on any newer or older glibc. */
const compilerSuite = "trixie";
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
 * results are cached; the first call on a machine downloads about 90 MB and takes a minute or two. `containerd` is the release
 * line whose sources are used.
 */
export async function buildGoProgram(
  program: GoProgram,
  onProgress: (message: string) => void = () => {},
  containerd: keyof typeof releases = "1.7",
): Promise<string> {
  const cache = testCache;
  const { suite, own } = releases[containerd];
  const packages = [
    ...(await fetchPackages({ cache, suite: compilerSuite, packages: compiler, onProgress })),
    ...(await fetchPackages({ cache, suite, packages: [...libraries, ...own], onProgress })),
  ];
  const versions = packages.map(({ name, version }) => `${name}=${version}`).join("\n");
  const folder = join(testCache, "go", fingerprint(versions));
  const source = join(import.meta.dirname, program);
  const target = join(folder, "bin", `${program}-${fingerprint(await sourceOf(source))}`);
  await withFileLock(join(folder, ".lock"), async () => {
    await once(join(folder, "tree"), (partial) => merge(packages, partial));
    await once(target, async (partial) => {
      onProgress(`compiling ${program}`);
      await compile({ program, source, folder, output: partial, containerd });
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

interface Compilation {
  readonly program: GoProgram;
  readonly source: string;
  readonly folder: string;
  readonly output: string;
  readonly containerd: keyof typeof releases;
}

async function compile({ program, source, folder, output, containerd }: Compilation): Promise<void> {
  // Release lines 2.x have other import paths.
  const tags = containerd === "1.7" ? [] : ["-tags", "containerd2"];
  const goRoot = join(folder, "tree/usr/lib/go-1.24");
  const action = program === "suite" ? ["test", "-c"] : ["build"];
  await run(join(goRoot, "bin/go"), [...action, ...tags, "-trimpath", "-o", output, "."], {
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
