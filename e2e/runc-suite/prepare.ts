import { access, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fetchPackages, fetchPackageTree, fetchSource, run, withFileLock } from "@aeon/standalone";
import { debianFile, temporaryFolder, testCache } from "@aeon/testkit";
import { enterRoot } from "../servers/enter-root.ts";
import { suiteTree } from "./suite-tree.ts";

/** The suite's own helper programs, which stand beside it. */
const helpers = ["recvtty", "sd-helper", "seccompagent"];

/**
 * Gives runc's source of the machine's Debian, of the version of its runc, with the helpers compiled and the images
 * that the tests unpack, made once per machine.
 */
export async function prepareRuncSuite(onProgress: (message: string) => void = () => {}): Promise<string> {
  const parent = join(testCache, "runc-suite", process.arch);
  const [runc] = await fetchPackages({ cache: testCache, packages: ["runc"] });
  const folder = join(parent, encodeURIComponent(runc?.version ?? ""));
  await mkdir(parent, { recursive: true });
  await withFileLock(join(parent, ".lock"), async () => {
    if (await exists(folder)) return;
    const partial = join(parent, ".partial");
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    await unpackSource(partial, onProgress);
    await writeImages(join(partial, "tests/integration"), onProgress);
    await compileHelpers(partial, onProgress);
    await rename(partial, folder);
  });
  return folder;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function unpackSource(target: string, onProgress: (message: string) => void): Promise<void> {
  await using source = await fetchSource({ name: "runc", onProgress });
  const archive = source.files.find((file) => /\.orig\.tar\.\w+$/.test(file));
  if (archive === undefined) throw new Error(`the source package ${source.version} has no upstream tar`);
  await run("tar", ["-xf", archive, "-C", target, "--strip-components=1"]);
}

/** The suite would download images; these are made of Debian's packages, and the script that names them says so. */
async function writeImages(suite: string, onProgress: (message: string) => void): Promise<void> {
  onProgress("making the images of runc's suite");
  await using folder = await temporaryFolder("images");
  const busybox = join(folder.path, "busybox");
  for (const name of ["bin", "etc", "dev", "proc", "sys", "tmp", "root", "home", "usr/bin", "var"])
    await mkdir(join(busybox, name), { recursive: true });
  await run("cp", [await debianFile("busybox-static", "bin/busybox"), join(busybox, "bin/busybox")]);
  await run("chroot", [busybox, "/bin/busybox", "--install", "-s", "/bin"]);
  const users = ["root:x:0:0:root:/root:/bin/sh", "daemon:x:1:1:daemon:/usr/sbin:/bin/false"];
  await writeFile(join(busybox, "etc/passwd"), `${users.join("\n")}\n`);
  await writeFile(join(busybox, "etc/group"), "root:x:0:\ndaemon:x:1:\n");
  const { root } = await fetchPackageTree({
    cache: testCache,
    name: "coreutils",
    with: ["bash", "dash", "base-files", "libc-bin", "grep", "sed"],
  });
  const images = { BUSYBOX_IMAGE: busybox, DEBIAN_IMAGE: await withShell(root, join(folder.path, "debian")) };
  const lines = [];
  for (const [name, tree] of Object.entries(images)) {
    const file = `testdata/${name.toLowerCase()}.tar`;
    await run("tar", ["-C", tree, "-cf", join(suite, file), "."]);
    lines.push(`echo "${name}=$(dirname "$(readlink -f "$0")")/${file}"`);
  }
  await writeFile(join(suite, "get-images.sh"), `#!/bin/sh\n${lines.join("\n")}\n`, { mode: 0o755 });
}

async function withShell(tree: string, target: string): Promise<string> {
  await run("cp", ["-a", tree, target]);
  for (const name of ["proc", "dev", "sys", "tmp"]) await mkdir(join(target, name), { recursive: true });
  await rm(join(target, "bin/sh"), { force: true });
  await symlink("dash", join(target, "bin/sh"));
  return target;
}

async function compileHelpers(source: string, onProgress: (message: string) => void): Promise<void> {
  onProgress("compiling the helpers of runc's suite");
  await using folder = await temporaryFolder("helpers");
  const tree = await suiteTree();
  const place = join(folder.path, "go/src/github.com/opencontainers");
  await mkdir(place, { recursive: true });
  await symlink(source, join(place, "runc"));
  const shared = [source, join(folder.path, "go")];
  const command = `cd "$GOPLACE/runc/contrib/cmd/$1" && exec go build -tags seccomp -o "$1" .`;
  const variables = [
    `GOPATH=${join(folder.path, "go")}:/usr/share/gocode`,
    `GOCACHE=${join(folder.path, "go/cache")}`,
    `GOPLACE=${place}`,
    "GOFLAGS=",
  ];
  const enter = enterRoot({ tree, folder: folder.path, shared });
  const [unshare = "", ...words] = enter;
  for (const name of helpers)
    await run(unshare, [...words, "env", ...variables, "/bin/sh", "-c", command, "sh", name]);
}

/** The test files of a prepared suite, without their ending. */
export const suiteFiles = async (source: string): Promise<readonly string[]> =>
  (await readdir(join(source, "tests/integration")))
    .filter((name) => name.endsWith(".bats"))
    .map((name) => name.slice(0, -".bats".length))
    .toSorted();
