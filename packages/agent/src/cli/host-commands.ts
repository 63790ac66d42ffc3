import { existsSync } from "node:fs";
import { arch } from "node:os";
import { isAbsolute, join } from "node:path";
import { InvalidArgumentError, type Command } from "commander";
import { loadAgentConfig } from "../config/load-agent-config.ts";
import { errors } from "../errors.ts";
import { snapshotterFacts } from "../host-setup/snapshotter-facts.ts";
import { addConfigOptions, sourcesOf, type ConfigOptions } from "./config-options.ts";

interface HostFlags extends ConfigOptions {
  readonly containerdConfig: string;
  readonly containerd: string;
  readonly restart: string | false;
  readonly allPods: boolean;
  readonly nri: boolean;
  readonly launcher?: string;
  readonly hostProcess?: string;
  readonly dryRun: boolean;
}

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

const options = (command: Command): Command =>
  addConfigOptions(command)
    .option("--containerd-config <file>", "containerd's configuration", "/etc/containerd/config.toml")
    .option("--containerd <program>", "containerd's program", "containerd")
    .option("--restart <command>", "how containerd is restarted", "systemctl restart containerd")
    .option("--no-restart", "leave the restart to somebody else")
    .option(
      "--host-process <pid>",
      "run containerd and the restart where this process lives; 1 in a pod with the host's processes",
      processId,
    )
    .option("--dry-run", "change nothing, and print what would be written", false);

/** `aeon host configure|unconfigure` */
export function addHost(program: Command): void {
  const host = program.command("host").description("set this host's containerd up for aeon");
  options(host.command("configure"))
    .description(
      "add snapshotter, unpacking, runtime handler and NRI; restarts containerd only when something changes",
    )
    .option("--no-all-pods", "only pods with the runtime class use aeon's snapshotter")
    .option("--no-nri", "leave NRI as it is")
    .option(
      "--launcher <file>",
      "runtime for pods with the runtime class, which adds hooks; container-hooks-ctk install makes it (default: that one where it is installed)",
    )
    .action(async (flags: HostFlags) => {
      const { configureHost } = await import("../host-setup/configure-host.ts");
      const change = await configureHost(await hostOptions(flags));
      report(flags, change.file, change.before !== change.after, change.after);
    });
  options(host.command("unconfigure"))
    .description("give containerd its configuration back; refuses while containers use aeon's snapshotter")
    .action(async (flags: HostFlags) => {
      const { unconfigureHost } = await import("../host-setup/configure-host.ts");
      const changes = await unconfigureHost(await hostOptions({ ...flags, allPods: true, nri: true }));
      for (const { file, after } of changes) report(flags, file, true, after);
      if (changes.length === 0) process.stdout.write("nothing of aeon is configured\n");
    });
}

async function hostOptions(flags: HostFlags) {
  const { agent, plugins } = await loadAgentConfig(sourcesOf(flags));
  const { socket, root } = snapshotterFacts(agent, plugins);
  return {
    name: "aeon",
    socket,
    root,
    architecture: architectures[arch()] ?? arch(),
    allPods: flags.allPods,
    nri: flags.nri,
    launcher: launcherOf(flags.launcher, flags.hostProcess),
    file: flags.containerdConfig,
    containerd: flags.containerd,
    originals: join(agent.root, "originals"),
    address: agent.containerd.address,
    enter: enterWords(flags.hostProcess),
    restart: flags.restart === false ? [] : flags.restart.split(" "),
    dryRun: flags.dryRun,
  };
}

function processId(text: string): string {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("Expected the id of a process.");
  return text;
}

const enterWords = (pid: string | undefined): readonly string[] =>
  pid === undefined ? [] : ["nsenter", "--target", pid, "--mount", "--uts", "--ipc", "--net", "--"];

/** Where `container-hooks-ctk install` puts it. */
const installedLauncher = "/usr/bin/container-hooks-runtime";

function launcherOf(named: string | undefined, pid: string | undefined): string | undefined {
  const isThere = (file: string): boolean =>
    existsSync(join(pid === undefined ? "/" : `/proc/${pid}/root`, file));
  if (named === undefined) return isThere(installedLauncher) ? installedLauncher : undefined;
  if (isAbsolute(named) && isThere(named)) return named;
  throw errors.HOST_LAUNCHER_MISSING(
    `${named} is not the absolute path of a program; name the one that container-hooks-ctk install made`,
  );
}

function report({ dryRun }: HostFlags, file: string, isChanged: boolean, text: string): void {
  if (dryRun) process.stdout.write(`# ${file}\n${text}`);
  else process.stdout.write(isChanged ? `${file} is changed\n` : `${file} is as it has to be\n`);
}
