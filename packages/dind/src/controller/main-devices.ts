import { readFileSync } from "node:fs";
import type { RuntimeSpec } from "@aeon/oci";
import type { DeviceConfig } from "../filter/filter-config.ts";
import type { MountCopy } from "../system/namespace-worker.ts";
import { inside } from "./places.ts";

/** Vendor and class of the main container's GPUs in CDI. */
const kind = "aeon.io/gpu";
/** Nodes of one GPU each, by the name that `--gpus device=NAME` has. */
const gpuNode = /^\/dev\/(?:nvidia(\d+)|dri\/(renderD\d+)|accel\/(accel\d+)|(dxg))$/;
/** Nodes that all GPUs of a kind share. */
const sharedNode =
  /^\/dev\/(?:nvidiactl|nvidia-modeset|nvidia-uvm|nvidia-uvm-tools|nvidia-caps\/.+|kfd|dri\/card\d+)$/;
/** What container runtimes mount from the host's driver. */
const driverFile =
  /\/(?:lib(?:nvidia|cuda|nvcuvid|nvoptix|EGL_nvidia|GLX_nvidia|GLES\w*_nvidia|vdpau_nvidia)[\w.-]*\.so[\w.]*|nvidia-(?:smi|debugdump|persistenced|cuda-mps-control|cuda-mps-server))$/;
/** More than any driver has. */
const mostDriverFiles = 256;

const pathsOf = (spec: RuntimeSpec | undefined): readonly string[] =>
  (spec?.linux?.devices ?? []).map(({ path }) => path);

const gpusOf = (paths: readonly string[]): readonly { readonly name: string; readonly path: string }[] =>
  paths.flatMap((path) => {
    const name = gpuNode
      .exec(path)
      ?.slice(1)
      .find((part) => part !== undefined);
    return name === undefined ? [] : [{ name, path }];
  });

/** What inner containers may have of a main container's devices: its own, under their own names. */
export function devicesOf(spec: RuntimeSpec | undefined): DeviceConfig {
  const nodes = pathsOf(spec);
  return { nodes, gpus: gpusOf(nodes).map(({ name }) => `${kind}=${name}`) };
}

/** Files of the GPU driver that a runtime mounted into a process's container, by their mount points. */
export const driverFilesOf = (pid: number): readonly string[] =>
  readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => driverFile.test(point))
    .slice(0, mostDriverFiles);

/** Where D has them, by number: a path in the clone of M's tree could be led elsewhere by M. */
const driverPlace = (index: number): string => `${inside.drivers}/${index}`;

export const driverCopies = (files: readonly string[]): readonly MountCopy[] =>
  files.map((file, index) => ({ source: file.slice(1), target: driverPlace(index), recursive: false }));

/** A library is looked for under its main version, which the driver's installer links to it. */
const mainVersion = (file: string): readonly string[] => {
  const [, name] = /^(.+\.so)\.\d+\.[\d.]+$/.exec(file) ?? [];
  return name === undefined ? [] : [`${name}.1`];
};

const nodes = (list: readonly string[]) => list.map((path) => ({ path }));

/** The CDI specification by which `--gpus` gives an inner container GPUs of the main one; undefined without any. */
export function cdiSpecOf(spec: RuntimeSpec | undefined, drivers: readonly string[]): string | undefined {
  const paths = pathsOf(spec);
  const gpus = gpusOf(paths);
  if (gpus.length === 0) return undefined;
  const mounts = drivers.flatMap((file, index) =>
    [file, ...mainVersion(file)].map((containerPath) => ({
      hostPath: driverPlace(index),
      containerPath,
      options: ["ro", "nosuid", "nodev", "bind"],
    })),
  );
  return JSON.stringify({
    cdiVersion: "0.5.0",
    kind,
    containerEdits: { deviceNodes: nodes(paths.filter((path) => sharedNode.test(path))), mounts },
    devices: gpus.map(({ name, path }) => ({ name, containerEdits: { deviceNodes: nodes([path]) } })),
  });
}
