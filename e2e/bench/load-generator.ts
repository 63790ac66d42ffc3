import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { buildGoProgram } from "../go/programs.ts";

/** What the Go load generator can be asked; see `go/load`. */
export interface LoadRequest {
  readonly do: "chain" | "cycles" | "populate" | "stat" | "list" | "clear" | "cleanup";
  /** Layers, cycles, snapshots or calls. */
  readonly count?: number;
  readonly workers?: number;
}

export interface LoadResult {
  readonly totalMicroseconds: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  /** Median microseconds of each call of a cycle. */
  readonly p50OfCalls?: Readonly<Record<string, number>>;
  readonly count: number;
}

/** containerd's Go client in a process of its own, connected to one snapshotter. */
export interface LoadGenerator extends AsyncDisposable {
  ask(request: LoadRequest): Promise<LoadResult>;
}

export async function startLoad(socket: string): Promise<LoadGenerator> {
  const child = spawn(await buildGoProgram("load"), ["--socket", socket], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { done, value } = await answers.next();
      if (done === true) throw new Error(`the load generator ended while asked for ${request.do}`);
      const { error, ...result } = JSON.parse(value) as LoadResult & { error?: string };
      if (error !== undefined) throw new Error(`${request.do}: ${error}`);
      return result;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited;
    },
  };
}
