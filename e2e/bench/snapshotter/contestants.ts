import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { aeonServer, goPeer } from "../../servers/commands.ts";
import { startServer, type ServerCommand, type ServerProcess } from "../../servers/server-process.ts";
import { startLoad, type LoadGenerator } from "../load-generator.ts";

/** A running snapshotter and the client that drives it. */
export interface Contestant extends AsyncDisposable {
  readonly server: ServerProcess;
  readonly load: LoadGenerator;
}

/** aeon and its peer, each with an empty root in the folder. */
export interface Contest extends AsyncDisposable {
  readonly aeon: Contestant;
  readonly peer: Contestant;
  /** Runs `work` on both, in an order that changes from round to round. */
  round<T>(number: number, work: (contestant: Contestant) => Promise<T>): Promise<{ aeon: T; peer: T }>;
}

export async function startContest(folder: string): Promise<Contest> {
  const stack = new AsyncDisposableStack();
  try {
    const aeon = stack.use(await enter(await aeonServer(), join(folder, "aeon")));
    const peer = stack.use(await enter(await goPeer(), join(folder, "peer")));
    return {
      aeon,
      peer,
      async round(number, work) {
        if (number % 2 === 1) {
          const first = await work(aeon);
          return { aeon: first, peer: await work(peer) };
        }
        const first = await work(peer);
        return { aeon: await work(aeon), peer: first };
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Starts a server on a folder, which may hold the root of an earlier one, and a client for it. */
export async function enter(command: ServerCommand, folder: string): Promise<Contestant> {
  await mkdir(folder, { recursive: true });
  const server = await startServer(command, { root: join(folder, "root"), socket: join(folder, "s.sock") });
  const load = await startLoad(server.socket);
  return {
    server,
    load,
    async [Symbol.asyncDispose]() {
      await load[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
