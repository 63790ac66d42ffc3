import type { IncomingMessage } from "node:http";
import { Refusal } from "../refusal.ts";
import { formatPath } from "../routes/table.ts";
import type { StepContext } from "../steps/step.ts";
import { asRefusal } from "./answer.ts";
import { parseHead, type Head, type OutgoingHeaders, type ParseContext } from "./parse-request.ts";
import { checkFraming } from "./read-body.ts";
import { formatQuery } from "./request-target.ts";
import type { UpstreamRequest } from "./upstream.ts";

/** What calls are decided with, and who is told what was decided. */
export interface ServiceContext extends StepContext {
  parseContext(): Promise<ParseContext>;
  decided(entry: Decision): void;
}

export interface Decision {
  readonly method: string;
  readonly target: string;
  readonly head: Head | undefined;
  readonly refusal: Refusal | undefined;
  readonly status: number;
  readonly started: number;
}

/** One call of a client, from its request line to what was decided on it; reported once. */
export class Call {
  readonly #context: ServiceContext;
  readonly #request: IncomingMessage;
  readonly #started = performance.now();
  #head: Head | undefined;

  constructor(context: ServiceContext, request: IncomingMessage) {
    this.#context = context;
    this.#request = request;
  }

  get method(): string {
    return this.#request.method ?? "GET";
  }

  /** Decides on everything but the body. Throws a {@link Refusal}. */
  async open(): Promise<{ readonly head: Head; readonly parse: ParseContext }> {
    checkFraming(this.#request.headers);
    const parse = await this.#context.parseContext();
    const head = parseHead(this.method, this.#target, parse);
    this.#head = head;
    return { head, parse };
  }

  passed(status: number): void {
    this.#tell(undefined, status);
  }

  /** Anything thrown on the way as what the client is told; only the report has the details of a failure in here. */
  failed(error: unknown): Refusal {
    const refusal = asRefusal(error);
    this.#tell(refusal.rule === "internal" ? internal(error) : refusal, refusal.status);
    return refusal;
  }

  #tell(refusal: Refusal | undefined, status: number): void {
    const head = this.#head;
    const { method } = this;
    this.#context.decided({ method, target: this.#target, head, refusal, status, started: this.#started });
  }

  get #target(): string {
    return this.#request.url ?? "/";
  }
}

const internal = (error: unknown): Refusal =>
  new Refusal(500, "internal", "", error instanceof Error ? (error.stack ?? error.message) : String(error));

/** The request for dockerd, from checked values only. */
export const upstreamRequest = (head: Head, headers: OutgoingHeaders): UpstreamRequest => ({
  method: head.method,
  path: `/v${head.version}/${formatPath(head.route, head.parameters)}${formatQuery(head.query)}`,
  headers,
});
