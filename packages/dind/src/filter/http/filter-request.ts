import { IncomingMessage } from "node:http";
import { matchRoute } from "../routes/table.ts";
import { hasBody } from "../streams/payload.ts";
import { parseTarget } from "./request-target.ts";

/** A request, which may take its connection for itself. */
export class FilterRequest extends IncomingMessage {
  #takes: "stream" | "upload" | undefined;
  #isDecided = false;

  /**
   * `stream`: asks for a connection of its own where the route has one; with Upgrade anywhere else it stays an ordinary
   * request. `upload`: its body goes to dockerd as it comes.
   */
  get takes(): "stream" | "upload" | undefined {
    if (!this.#isDecided) {
      this.#takes = this.#decide();
      this.#isDecided = true;
    }
    return this.#takes;
  }

  /** Node asks once it has read the head, and then leaves the rest of the connection alone. What it thinks itself is not asked. */
  get upgrade(): boolean {
    return this.method === "CONNECT" || this.takes !== undefined;
  }
  set upgrade(_byNode: boolean | null) {}

  #decide(): "stream" | "upload" | undefined {
    const { headers, method = "" } = this;
    const asks = headers.upgrade !== undefined && /\bupgrade\b/i.test(headers.connection ?? "");
    if (!asks && !hasBody(headers)) return undefined;
    try {
      const { route } = matchRoute(method, parseTarget(this.url ?? "").segments);
      if (route.body.kind === "stream") return hasBody(headers) ? "upload" : undefined;
      return asks && (route.answer === "hijack" || route.answer === "tunnel") ? "stream" : undefined;
    } catch {
      return undefined;
    }
  }
}
