import { InvalidArgumentError, Option, type Command } from "commander";
import { addExamples, show, type CliStreams } from "../cli.ts";
import {
  hookExplanationTable,
  hookExplanationView,
  hookRuleTable,
  hookRuleView,
  hookStatusText,
  hookStatusView,
} from "../views/hook.ts";
import { hookRunTable, hookRunView } from "../views/hook-run.ts";

/** `aeonctl hooks …` */
export function addHooks(program: Command, streams: CliStreams): void {
  const hooks = program.command("hooks").description("look at the hooks that containers get");
  addRules(hooks, streams);
  addExplain(hooks, streams);
  addLog(hooks, streams);
}

function addRules(hooks: Command, streams: CliStreams): void {
  const ls = hooks
    .command("ls")
    .description("list the rules in force, in their order")
    .option("-q, --quiet", "print only names, one per line", false)
    .action((_options: object, self: Command) =>
      show(streams, self, {
        read: async (agent) => (await agent.listHookRules({})).rules.map(hookRuleView),
        table: hookRuleTable,
        names: (views) => views.map(({ name }) => name),
      }),
    );
  addExamples(ls, [["aeonctl hooks ls", "all rules"]]);
  const status = hooks
    .command("status")
    .description("tell how hooks are injected, and which containers missed theirs")
    .action((_options: object, self: Command) =>
      show(streams, self, {
        read: async (agent) => hookStatusView(await agent.listHookRules({})),
        table: hookStatusText,
      }),
    );
  addExamples(status, [["aeonctl hooks status", "is the runtime connected?"]]);
}

interface ExplainOptions {
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
  readonly image?: string;
  readonly command?: string;
  readonly runtimeHandler?: string;
  readonly role?: string;
  readonly annotation: readonly string[];
  readonly label: readonly string[];
  readonly bindMounts?: boolean;
}

function addExplain(hooks: Command, streams: CliStreams): void {
  const explain = hooks
    .command("explain")
    .description("tell which rules a container would get, and why")
    .option("-n, --namespace <namespace>", "Kubernetes namespace")
    .option("--pod <name>", "name of the pod")
    .option("--container <name>", "name of the container in its pod")
    .option("--image <name>", "name of the image")
    .option("--command <word>", "first word of the command line")
    .option("--runtime-handler <name>", "runtime handler of the pod")
    .addOption(new Option("--role <role>", "kind of container").choices(["container", "sandbox"]))
    .option("--annotation <key=value>", "an annotation; can be repeated", pair, [])
    .option("--label <key=value>", "a label; can be repeated", pair, [])
    .option("--bind-mounts", "the container has bind mounts")
    .option("--no-bind-mounts", "the container has no bind mounts")
    .action((options: ExplainOptions, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const { annotation, label, bindMounts, ...facts } = options;
          const { explanations } = await agent.explainHooks({
            ...facts,
            ...(bindMounts !== undefined && { hasBindMounts: bindMounts }),
            annotations: pairsOf(annotation),
            labels: pairsOf(label),
          });
          return explanations.map(hookExplanationView);
        },
        table: hookExplanationTable,
      }),
    );
  addExamples(explain, [
    ["aeonctl hooks explain -n shop --label app=web", "what would such a container get?"],
  ]);
}

interface LogOptions {
  readonly rule: string;
  readonly container: string;
  readonly failed: boolean;
  readonly last: number;
}

function addLog(hooks: Command, streams: CliStreams): void {
  const log = hooks
    .command("log")
    .description("show how hooks ran, the latest first: those of rules that record")
    .option("--rule <name>", "only of this rule", "")
    .option("--container <id>", "only of this container", "")
    .option("--failed", "only those that failed", false)
    .option("--last <count>", "at most so many; 0 for all that are kept", count, 20)
    .action(({ rule, container, failed, last }: LogOptions, self: Command) =>
      show(streams, self, {
        read: async (agent) => {
          const { runs } = await agent.listHookRuns({ rule, containerId: container, failed, limit: last });
          return runs.map(hookRunView);
        },
        table: hookRunTable,
      }),
    );
  addExamples(log, [
    ["aeonctl hooks log --failed", "what went wrong?"],
    ["aeonctl hooks log --rule scan -o json", "with all that the hooks wrote"],
  ]);
}

function pair(text: string, values: readonly string[]): readonly string[] {
  if (!/^[^=]+=/.test(text)) throw new InvalidArgumentError("Expected key=value.");
  return [...values, text];
}

const pairsOf = (pairs: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    pairs.map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]),
  );

function count(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("Expected a count.");
  return Number(text);
}
