import { resolve } from "node:path";
import { writeFile } from "node:fs/promises";
import { buildDindImage } from "@aeon/dind";
import { InvalidArgumentError, type Command } from "commander";
import { addExamples, askDind, print, type CliStreams } from "../cli.ts";

interface BuildOptions {
  readonly file: string;
  readonly name: string;
  readonly suite?: string;
  readonly archives?: string;
  readonly sbom?: string;
  readonly epoch: number;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError("Expected seconds since 1970.");
  return value;
}

/** `aeonctl dind image build|import` */
export function addDindImage(group: Command, streams: CliStreams): void {
  const image = group.command("image").description("the image that DinD containers run");
  const build = image
    .command("build")
    .description("build the image from Debian packages; the same packages give the same digest")
    .requiredOption("-f, --file <file>", "archive to write (an OCI image layout as tar)")
    .option("--name <name>", "name of the image", "docker.io/library/aeon-dind:latest")
    .option(
      "--suite <suite>",
      "Debian release to take packages from; one whose Docker has the fixes when absent",
    )
    .option(
      "--archives <folder>",
      "take the .deb files in this folder, which is filled where it does not exist",
    )
    .option("--sbom <file>", "also write the bill of materials (SPDX) to this file")
    .option("--epoch <seconds>", "time of everything in the image, since 1970", seconds, 0)
    .action(async ({ file, sbom, epoch, ...options }: BuildOptions, self: Command) => {
      const built = await buildDindImage({
        ...options,
        file: resolve(file),
        epoch,
        onProgress: (message) => void streams.stderr.write(`${message}\n`),
      });
      if (sbom !== undefined) await writeFile(sbom, built.sbom);
      const { sbom: _text, ...view } = built;
      await print(streams, self, view, {
        table: ({ name, digest, engine, runc }) => `${name} ${digest}\ndocker ${engine}, runc ${runc}\n`,
      });
    });
  addExamples(build, [
    ["aeonctl dind image build --file dind.tar", "from the mirror of this machine's apt"],
    [
      "aeonctl dind image build -f dind.tar --archives ./debs --sbom dind.spdx.json",
      "from files, without a network",
    ],
  ]);

  const load = image
    .command("import")
    .description("give containerd the image; its versions are checked first")
    .argument("<file>", "archive that image build wrote, on the agent's host")
    .option("-n, --namespace <namespace>", "containerd namespace that gets it", "default")
    .action(async (file: string, { namespace }: { namespace: string }, self: Command) => {
      const { name, digest } = await askDind(self, (client) =>
        client.importDindImage({ namespace, file: resolve(file) }),
      );
      await print(streams, self, { name, digest }, { table: (view) => `${view.name} ${view.digest}\n` });
    });
  addExamples(load, [["aeonctl dind image import dind.tar -n k8s.io", "for the pods of Kubernetes"]]);
}
