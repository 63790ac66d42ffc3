import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildImage, ImageLayout, packLayout, type LayerEntry } from "@aeon/oci";
import { fetchPackages } from "./debian-packages.ts";
import { run } from "./run.ts";

export interface BusyboxOptions {
  /** Cache folder for the package. */
  readonly cache: string;
  /** The tar to write, an OCI image layout. */
  readonly file: string;
  /** Name of the image; {@link busyboxName} when absent. */
  readonly name?: string;
  /** More layers on top of busybox. */
  readonly layers?: readonly (readonly LayerEntry[])[];
  readonly gzip?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

/** How the image is called unless another name is given. */
export const busyboxName = "localhost/busybox:latest";

/** A built image. */
export interface BuiltImage {
  readonly name: string;
  /** OCI image layout as a tar, for `ctr images import`. */
  readonly file: string;
}

/** Builds a small Linux image from Debian's busybox-static; the same options give the same bytes. */
export async function buildBusyboxImage(options: BusyboxOptions): Promise<BuiltImage> {
  const { file, name = busyboxName, layers = [] } = options;
  const base = await busyboxLayer(options);
  const folder = await mkdtemp(join(tmpdir(), "aeon-image-"));
  try {
    const layout = await ImageLayout.create(folder);
    await buildImage(layout, {
      name,
      layers: [base, ...layers],
      process: { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"], WorkingDir: "/" },
      ...(options.gzip !== undefined && { gzip: options.gzip }),
    });
    await packLayout(layout, file);
    return { name, file };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function busyboxLayer({ cache, signal, onProgress }: BusyboxOptions): Promise<readonly LayerEntry[]> {
  const [unpacked] = await fetchPackages({
    cache,
    packages: ["busybox-static"],
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  const program = join(unpacked?.root ?? "", "bin/busybox");
  const { stdout } = await run(program, ["--list"]);
  const applets = stdout
    .split("\n")
    .filter((applet) => /^[a-z[][\w[-]*$/.test(applet) && applet !== "busybox");
  return [
    ...["bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr", "usr/share", "var", "var/lib"].map(
      (path): LayerEntry => ({ type: "directory", path }),
    ),
    { type: "directory", path: "tmp", mode: 0o1777 },
    { type: "file", path: "bin/busybox", mode: 0o755, content: await readFile(program) },
    ...applets.map((applet): LayerEntry => ({ type: "symlink", path: `bin/${applet}`, target: "busybox" })),
    {
      type: "file",
      path: "etc/passwd",
      content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    },
    { type: "file", path: "etc/group", content: "root:x:0:\nnogroup:x:65534:\n" },
    { type: "file", path: "etc/motd", content: "A small Linux, built on this machine.\n" },
    { type: "directory", path: "usr/share/doc" },
    {
      type: "file",
      path: "usr/share/doc/readme",
      content: "Files of the image; a container may change them.\n",
    },
  ];
}
