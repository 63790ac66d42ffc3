import { Command } from "commander";
import { version } from "../version.ts";
import type { RunKubectl } from "./run-kubectl.ts";

const apiVersion = "backup.container.io/v1alpha1";
const tools = "/run/aeon/bin";

interface Where {
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

/** The commands of `kubectl aeon`: what people outside of the cluster may do with their own rights in it. */
export function kubectlProgram(run: RunKubectl): Command {
  const program = new Command("kubectl aeon")
    .description("Backups, restores and Docker of pods, with the rights that you have in the cluster.")
    .version(version, "-V, --version")
    .option("-n, --namespace <namespace>", "namespace of the pod")
    .option("--context <context>", "context of the kubeconfig")
    .option("--kubeconfig <file>", "the kubeconfig; $KUBECONFIG when absent")
    .exitOverride();
  const call = async (args: readonly string[], input?: string): Promise<void> => {
    const given = Object.entries(program.opts<Where>()).map(([name, value]) => `--${name}=${value}`);
    // Before `--`, behind which everything belongs to a container.
    process.exitCode = await run([...given, ...args], input);
  };
  const make = (kind: string, name: string, spec: object): Promise<void> =>
    call(["create", "-f", "-"], JSON.stringify({ apiVersion, kind, metadata: { name }, spec }));

  program
    .command("status")
    .argument("<pod>")
    .option("-c, --container <name>", "the container that is asked")
    .description("show each container of a pod that may ask the agent, with its last backup")
    .action((pod: string, { container }: { container?: string }) =>
      call(["exec", pod, ...chosen(container), "--", `${tools}/aeonctl`, "status"]),
    );
  program
    .command("backups")
    .argument("[pod]")
    .description("list the backups of the namespace, or of one pod")
    .action((pod?: string) =>
      call([
        "get",
        "rootfsbackups",
        "--sort-by=.metadata.creationTimestamp",
        ...(pod === undefined ? [] : [`--selector=backup.container.io/pod=${pod}`]),
      ]),
    );
  program
    .command("backup")
    .argument("<pod>")
    .requiredOption("-c, --container <name>", "the container whose files are backed up")
    .option("--name <name>", "name of the RootfsBackup")
    .description("take a backup of a running container")
    .action((pod: string, { container, name }: { container: string; name?: string }) =>
      make("RootfsBackup", name ?? nameFor(pod), { pod, container }),
    );
  program
    .command("restore")
    .argument("<pod>")
    .argument("<backup>")
    .requiredOption("-c, --container <name>", "the container that gets the files")
    .option("--name <name>", "name of the RootfsRestore")
    .description("let the next start of a container have the files of a backup")
    .action((pod: string, backup: string, { container, name }: { container: string; name?: string }) =>
      make("RootfsRestore", name ?? nameFor(pod), { pod, container, backup }),
    );
  program
    .command("docker")
    .argument("<pod>")
    .argument("<action>", "start, stop, restart, status or show-config")
    .option("-c, --container <name>", "the container whose Docker it is")
    .description("steer the Docker of a container")
    .action((pod: string, action: string, { container }: { container?: string }) =>
      call(["exec", pod, ...chosen(container), "--", `${tools}/dockerctl`, action]),
    );
  program
    .command("logs")
    .option("--agents <namespace>", "namespace of the agents", "aeon-system")
    .option("-f, --follow", "go on")
    .description("show what the agents say")
    .action(({ agents, follow }: { agents: string; follow?: boolean }) => {
      const selector = "--selector=app.kubernetes.io/name=aeon";
      const going = follow === true ? ["--follow"] : [];
      return call(["logs", `--namespace=${agents}`, selector, "--prefix", ...going]);
    });
  return program;
}

const chosen = (container: string | undefined): readonly string[] =>
  container === undefined ? [] : ["-c", container];

/** Names of objects may be longer than this, and pods' names are at most 253 characters. */
const nameFor = (pod: string): string =>
  `${pod.slice(0, 200)}-${new Date()
    .toISOString()
    .replaceAll(/[-:]|\.\d+/g, "")
    .toLowerCase()}`;
