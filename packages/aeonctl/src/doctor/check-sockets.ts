import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { errorMessage } from "@aeon/core";
import { failure, good, warning, type Finding, type Host } from "./finding.ts";

const answerMs = 2_000;

/** Whether somebody listens where containerd and programs look, and nobody else may. */
export async function checkSockets({ state, containerdAddress }: Host): Promise<readonly Finding[]> {
  const start = "systemctl start aeon, and see journalctl -u aeon";
  return [
    ...(await socket("sockets.snapshotter", join(state, "snapshotter.sock"), start)),
    ...(await socket("sockets.admin", join(state, "admin.sock"), start)),
    ...(await socket("sockets.containerd", containerdAddress, "systemctl start containerd")),
    ...(existsSync("/var/run/nri/nri.sock")
      ? [good("sockets.nri", "/var/run/nri/nri.sock is there")]
      : [
          warning(
            "sockets.nri",
            "there is no NRI socket: pods get hooks and sockets only through the runtime handler",
            "aeon host configure",
          ),
        ]),
  ];
}

async function socket(check: string, path: string, fix: string): Promise<readonly Finding[]> {
  const connection = connect(path);
  try {
    await once(connection, "connect", { signal: AbortSignal.timeout(answerMs) });
  } catch (error) {
    return [failure(check, `nobody answers at ${path}: ${errorMessage(error)}`, fix)];
  } finally {
    connection.destroy();
  }
  const { mode, uid } = statSync(path);
  return [
    (mode & 0o007) === 0
      ? good(check, `${path} answers`)
      : failure(
          check,
          `any user may connect to ${path} (${(mode & 0o777).toString(8)}, user ${uid})`,
          `chmod 0600 ${path}`,
        ),
  ];
}
