import { Option, type Command } from "commander";
import { addExamples, print, type CliStreams, type CommonOptions } from "../cli.ts";
import { connectAgent } from "../client.ts";
import type { Finding, Host } from "../doctor/finding.ts";
import { errors } from "../errors.ts";
import { formatTable } from "../format/table.ts";
import type { Style } from "../format/style.ts";

/** `aeonctl doctor` */
export function addDoctor(program: Command, streams: CliStreams): void {
  const doctor = program
    .command("doctor")
    .description("look for what keeps aeon from working on this host, and say how to mend it")
    .addOption(new Option("--root <folder>", "the agent's folder for durable state").default("/var/lib/aeon"))
    .addOption(new Option("--state <folder>", "the agent's folder for run-time state").default("/run/aeon"))
    .addOption(new Option("--containerd <program>", "containerd's program").default("containerd"))
    .addOption(
      new Option("--containerd-config <file>", "containerd's configuration").default(
        "/etc/containerd/config.toml",
      ),
    )
    .addOption(
      new Option("--containerd-address <socket>", "containerd's socket").default(
        "/run/containerd/containerd.sock",
      ),
    )
    .action(async (host: Host, self: Command) => {
      const findings = await examine(host, self.optsWithGlobals<CommonOptions>());
      await print(streams, self, findings, { table: findingsTable });
      const failed = findings.filter(({ level }) => level === "failure").length;
      if (failed > 0)
        throw errors.DOCTOR_FOUND(`${failed} of ${findings.length} checks failed`, { details: { failed } });
    });
  addExamples(doctor, [
    ["aeonctl doctor", "every check with its fix"],
    ["aeonctl doctor -o json | jq '.[] | select(.level != \"ok\")'", "for programs"],
  ]);
}

/** Each part is loaded on demand: other commands start without them. */
async function examine(host: Host, { address, timeout }: CommonOptions): Promise<readonly Finding[]> {
  const [{ checkKernel }, { checkFiles }, { checkSockets }, { checkContainerd }, { checkAgent }] =
    await Promise.all([
      import("../doctor/check-kernel.ts"),
      import("../doctor/check-files.ts"),
      import("../doctor/check-sockets.ts"),
      import("../doctor/check-containerd.ts"),
      import("../doctor/check-agent.ts"),
    ]);
  return [
    ...checkKernel(),
    ...checkFiles(host),
    ...(await checkContainerd(host)),
    ...(await checkSockets(host)),
    ...(await checkAgent(connectAgent(address, timeout))),
  ];
}

const paints = { ok: "good", warning: "busy", failure: "bad" } as const;

const findingsTable = (findings: readonly Finding[], style: Style): string =>
  formatTable(
    findings,
    [
      { title: "CHECK", text: ({ check }) => check },
      {
        title: "LEVEL",
        text: ({ level }) => level,
        paint: (text, { level }, own) => own[paints[level]](text),
      },
      { title: "FOUND", text: ({ found }) => found },
      { title: "FIX", text: ({ fix }) => fix },
    ],
    style,
  );
