import { once } from "node:events";
import { connect } from "node:net";

/** Whether something accepts connections on a port of the loopback interface, or on a Unix socket. */
export async function opens(target: number | string): Promise<boolean> {
  const socket = connect(typeof target === "number" ? { port: target, host: "127.0.0.1" } : { path: target });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
