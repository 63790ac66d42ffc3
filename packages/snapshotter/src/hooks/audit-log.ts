import { once } from "node:events";
import sonicBoom, { type SonicBoom } from "sonic-boom";
import {
  errorMessage,
  silentLogger,
  type Logger,
  type Metrics,
  type SnapshotHook,
  type SnapshotOperation,
} from "@aeon/core";
import { errors } from "../errors.ts";
import { builtinOrders } from "./builtin-orders.ts";
import { afterEach, type CallEnd } from "./every-operation.ts";
import { operationNames } from "./operations.ts";

/** Bytes of lines that may wait for the disk; lines beyond are dropped and counted. */
const bufferLimit = 4 * 1024 * 1024;
/** Milliseconds the last lines get on dispose. */
const closeLimitMs = 2000;
/** Characters of a key that are written; containerd's are far shorter. */
const keyLimit = 1024;

const readOnly: ReadonlySet<SnapshotOperation> = new Set(["stat", "list", "usage"]);

/**
 * One line of the audit log: a JSON object with these keys in this order, absent ones left out.
 */
export interface AuditLine {
  /** End of the call, RFC 3339 in UTC with milliseconds. */
  readonly time: string;
  readonly operation: SnapshotOperation;
  /** The snapshot's key at the backend, cut at 1024 characters; absent for list and cleanup. */
  readonly key?: string;
  /** Commit only: the name that the snapshot gets. */
  readonly name?: string;
  readonly parent?: string;
  /** The caller's containerd namespace; containerd's garbage collector sends none. */
  readonly namespace?: string;
  readonly lease?: string;
  /** Milliseconds from arrival to outcome, hooks included; three decimals. */
  readonly ms: number;
  /** `ok` or the error code. */
  readonly code: string;
  /** Of a failed call, such as `SNAPSHOT_NOT_FOUND`. */
  readonly reason?: string;
}

export interface AuditLogOptions {
  /** The file; lines are appended, mode 0600 when made. Its folder must exist. */
  readonly path: string;
  /** Write stat, list and usage too; kubelet alone causes several a second. Default false. */
  readonly reads?: boolean;
  readonly log?: Logger;
  readonly metrics?: Metrics;
}

/** Where a snapshotter's calls are written down. */
export interface AuditLog extends AsyncDisposable {
  /** To be registered with the hook pipeline; never fails or delays a call. */
  readonly hook: SnapshotHook;
  /** Lines lost so far because the disk did not keep up or refused them. */
  readonly dropped: number;
  /** Opens the path anew, after the file was renamed by a log rotation. */
  reopen(): void;
}

/** Opens the audit log; throws `AUDIT_LOG_UNUSABLE` when the file cannot be opened. */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { path } = options;
  const file = new sonicBoom.SonicBoom({
    dest: path,
    append: true,
    mode: 0o600,
    sync: false,
    maxLength: bufferLimit,
  });
  try {
    await once(file, "ready");
  } catch (error) {
    throw errors.AUDIT_LOG_UNUSABLE(`cannot open audit log ${path}: ${errorMessage(error)}`, {
      cause: error,
      details: { path },
    });
  }
  return new FileAuditLog(file, options);
}

class FileAuditLog implements AuditLog {
  readonly hook: SnapshotHook;
  readonly #file: SonicBoom;
  readonly #path: string;
  readonly #log: Logger;
  #dropped = 0;
  #failing = false;
  #closing: Promise<void> | undefined;

  constructor(file: SonicBoom, { path, reads = false, log = silentLogger, metrics }: AuditLogOptions) {
    this.#file = file;
    this.#path = path;
    this.#log = log;
    const dropped = metrics?.counter({
      name: "snapshot_audit_lines_dropped_total",
      help: "Lines of the audit log lost because the disk did not keep up or refused them.",
    });
    file.on("drop", () => {
      this.#dropped += 1;
      dropped?.inc();
    });
    file.on("error", (error: Error) => this.#failed(error));
    file.on("write", () => (this.#failing = false));
    const operations = reads ? operationNames : operationNames.filter((name) => !readOnly.has(name));
    this.hook = {
      name: "audit-log",
      order: builtinOrders.audit,
      timeoutMs: 1000,
      onFailure: "ignore",
      ...afterEach(operations, (end) => this.#write(end)),
    };
  }

  get dropped(): number {
    return this.#dropped;
  }

  reopen(): void {
    if (this.#closing === undefined) this.#file.reopen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closing ??= this.#close());
  }

  #write(end: CallEnd): void {
    if (this.#closing === undefined) this.#file.write(`${JSON.stringify(auditLine(end))}\n`);
  }

  #failed(error: Error): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#log.error({ path: this.#path, error: errorMessage(error) }, "audit log cannot be written");
  }

  async #close(): Promise<void> {
    const closed = once(this.#file, "close", { signal: AbortSignal.timeout(closeLimitMs) });
    this.#file.end();
    await closed.catch(() => this.#file.destroy());
  }
}

/** What is written of a call. */
export function auditLine({ operation, request, error, context, milliseconds }: CallEnd): AuditLine {
  const { namespace, lease } = context.caller;
  return {
    time: new Date().toISOString(),
    operation,
    ...keysOf(operation, request),
    ...(namespace !== undefined && { namespace }),
    ...(lease !== undefined && { lease }),
    ms: Math.round(milliseconds * 1000) / 1000,
    code: error?.code ?? "ok",
    ...(error !== undefined && { reason: error.reason }),
  };
}

const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value.slice(0, keyLimit) : undefined;

function keysOf(operation: SnapshotOperation, request: unknown): Pick<AuditLine, "key" | "name" | "parent"> {
  if (typeof request !== "object" || request === null) return {};
  const fields: Readonly<Record<string, unknown>> = { ...request };
  const name = text(fields["name"]);
  const key = operation === "update" ? name : text(fields["key"]);
  const parent = text(fields["parent"]);
  return {
    ...(key !== undefined && { key }),
    ...(operation === "commit" && name !== undefined && { name }),
    ...(parent !== undefined && { parent }),
  };
}
