import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { InvalidArgumentError, Option, type Command } from "commander";

interface BuildFlags {
  readonly file: string;
  readonly name: string;
  readonly agent: string;
  readonly aeonctl: string;
  readonly suite?: string;
  readonly archives?: string;
  readonly sbom?: string;
  readonly epoch: number;
}

/** The bundle that runs now. */
const ownFolder = dirname(resolve(process.argv[1] ?? ""));

function tell(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** `aeon image build` */
export function addImage(program: Command): void {
  const image = program.command("image").description("the agent as a container image");
  image
    .command("build")
    .description("build the image that the DaemonSet runs; the same inputs give the same digest")
    .requiredOption("-f, --file <file>", "archive to write (an OCI image layout as tar)")
    .option("--name <name>", "name of the image", "localhost/aeon:latest")
    .addOption(new Option("--agent <folder>", "bundled agent").default(ownFolder, "the one that runs"))
    .addOption(
      new Option("--aeonctl <folder>", "bundled aeonctl").default(
        join(ownFolder, "../../../aeonctl/dist/bin"),
        "the one beside it in the workspace",
      ),
    )
    .option("--suite <suite>", "Debian release to take packages from", "trixie")
    .option(
      "--archives <folder>",
      "take the .deb files in this folder, which is filled where it does not exist",
    )
    .option("--sbom <file>", "also write the bill of materials (SPDX) to this file")
    .option("--epoch <seconds>", "time of everything in the image, since 1970", seconds, 0)
    .action(async ({ file, sbom, ...flags }: BuildFlags) => {
      const { buildAgentImage } = await import("../image/build-agent-image.ts");
      const built = await buildAgentImage({ ...flags, file: resolve(file), onProgress: tell });
      if (sbom !== undefined) await writeFile(sbom, built.sbom);
      process.stdout.write(`${built.name} ${built.digest}\n`);
    });
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError("Expected seconds since 1970.");
  return value;
}
