import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, open, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { PassThrough, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BaseImage, ExportCompression, ExportedImage } from "@aeon/rootfs-backup/inspect";
import { Option, type Command } from "commander";
import { addStoreOptions, hasStore, withStore } from "../../catalog.ts";
import { addExamples, askAgent, print, type CliStreams } from "../../cli.ts";
import { isOutputFormat } from "../../format/output.ts";
import { ProgressLine } from "../../format/progress-line.ts";
import { exportText, exportView } from "../../views/export.ts";

interface ExportOptions {
  readonly file?: string;
  readonly image?: string;
  readonly base?: string;
  readonly containerd?: string;
  readonly compression: ExportCompression;
}

/** `aeonctl backup export` */
export function addExport(backup: Command, streams: CliStreams): void {
  const command = addStoreOptions(
    backup
      .command("export")
      .description("write a backup with the image below it as an image that any runtime can import")
      .argument("<backup>", "id of the backup")
      .option("-f, --file <file>", "tar to write, - for standard output; --output FILE says the same")
      .option("-i, --image <name>", "name of the image (default: localhost/backup:BACKUP)")
      .option(
        "-b, --base <layout>",
        "take the image below from this OCI layout, a folder or tar, not from containerd",
      )
      .option(
        "--containerd <socket>",
        "containerd that has the image below (default: the agent's, or the usual one)",
      )
      .addOption(
        new Option("-z, --compression <kind>", "of the backup's layers; gzip for tools that do not know zstd")
          .choices(["zstd", "gzip", "none"])
          .default("zstd"),
      ),
  ).action((id: string, options: ExportOptions, self: Command) =>
    withStore(self, async ({ store, keys }, signal) => {
      const inspect = await import("@aeon/rootfs-backup/inspect");
      const { document } = await inspect.findBackup(store, id, signal);
      const wanted = inspect.baseOf(document);
      const reference = await imageName(options.image ?? `localhost/backup:${id}`);
      const file = fileOf(self, options);
      await using spool = await spoolFolder(file);
      const write = async (base: BaseImage | undefined): Promise<ExportedImage> => {
        using line = new ProgressLine(streams.stderr);
        return toFile(file, streams.stdout, signal, (output) =>
          inspect.exportImage({
            base,
            layers: inspect.exportSources(store, document, { keys, signal }),
            reference,
            compression: options.compression,
            output,
            spool: spool.path,
            signal,
            onProgress: ({ done, total }) => line.show("exporting", done, total),
          }),
        );
      };
      const image = await (async () => {
        if (wanted === undefined) return write(undefined);
        if (options.base !== undefined)
          return write(await inspect.layoutBase(resolve(options.base), wanted, spool.path));
        const address = await containerdOf(self, options);
        return inspect.withContainerdBase(
          { address, namespace: document.identity.namespace, wanted, spool: spool.path, signal },
          write,
        );
      })();
      if (file !== "-")
        await print(streams, self, exportView(image, id, resolve(file)), { table: exportText });
    }),
  );
  addExamples(command, [
    ["aeonctl backup export BACKUP --file web.tar && ctr images import web.tar", "into containerd"],
    ["aeonctl backup export BACKUP --file - --compression gzip | docker load", "into Docker"],
    ["aeonctl backup export BACKUP --file web.tar --base image.tar --store /mnt/store", "on any machine"],
  ]);
}

/** The file to write, by either option. */
function fileOf(command: Command, { file }: ExportOptions): string {
  const { output } = command.optsWithGlobals<{ output: string }>();
  const named = file ?? (isOutputFormat(output) ? undefined : output);
  if (named === undefined) command.error("error: required option '-f, --file <file>' not specified");
  return named;
}

/** The agent's containerd, unless the command line names one. */
async function containerdOf(command: Command, { containerd }: ExportOptions): Promise<string> {
  if (containerd !== undefined) return containerd;
  if (hasStore(command)) return "/run/containerd/containerd.sock";
  return (await askAgent(command, (agent) => agent.getBackupStore({}))).containerd;
}

async function imageName(name: string): Promise<string> {
  const { fullImageName } = await import("@aeon/rootfs-backup/inspect");
  return fullImageName(name);
}

/** Beside the output, where there is room for another copy, or with temporary files. */
async function spoolFolder(file: string): Promise<AsyncDisposable & { readonly path: string }> {
  const parent = file === "-" ? tmpdir() : dirname(resolve(file));
  const path = await mkdtemp(join(parent, ".aeon-export-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Gives the file its name when it is whole and on disk; after a failure nothing of it is left. */
async function toFile<T>(
  file: string,
  stdout: NodeJS.WritableStream,
  signal: AbortSignal,
  write: (output: Writable) => Promise<T>,
): Promise<T> {
  if (file === "-") {
    const through = new PassThrough();
    const [result] = await Promise.all([write(through), pipeline(through, stdout, { signal, end: false })]);
    return result;
  }
  const target = resolve(file);
  const temporary = `${target}.${randomBytes(6).toString("hex")}`;
  try {
    const result = await write(createWriteStream(temporary, { flags: "wx" }));
    {
      await using written = await open(temporary);
      await written.sync();
    }
    await rename(temporary, target);
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
