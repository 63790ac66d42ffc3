import { readFileSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";
import type { Server } from "node:http";
import type { DaemonConfig, FilterConfig, FilterStatus } from "./filter-config.ts";
import type { ParseContext } from "./http/parse-request.ts";
import { createFilterServer, type Activity } from "./http/server.ts";
import type { Decision, ServiceContext } from "./http/call.ts";
import { Upstream } from "./http/upstream.ts";
import { Pins } from "./paths/pins.ts";
import { Sweeper } from "./paths/sweeper.ts";
import { AuditLog } from "./policy/audit.ts";
import { Counters } from "./policy/counters.ts";
import { noPolicy, readPolicy, type Policy } from "./policy/policy-file.ts";
import { settingsOf, type FilterSettings } from "./settings.ts";

/** One pod's filter: everything but the process around it. */
export class Filter implements ServiceContext, Disposable {
  readonly pins: Pins;
  readonly upstream: Upstream;
  readonly activity: Activity = { connections: 0, requests: 0, streams: 0 };
  readonly #since = Date.now();
  readonly #counters = new Counters();
  readonly #audit: AuditLog | undefined;
  readonly #sweeper: Sweeper;
  readonly #file: string;
  #config: FilterConfig;
  #settings: FilterSettings;
  #policy: Policy = noPolicy;
  #policyError: string | undefined;
  #watcher: FSWatcher | undefined;
  draining = false;

  constructor(file: string) {
    this.#file = file;
    this.#config = readConfig(file);
    this.#settings = settingsOf(this.#config);
    const { container, auditFile, auditLimit, stateFolder, upstream } = this.#config;
    this.pins = new Pins(stateFolder, () => this.#settings.limits.pins);
    this.upstream = new Upstream(upstream);
    this.#audit =
      auditFile === undefined
        ? undefined
        : new AuditLog(auditFile, { container: container.id, namespace: container.namespace }, auditLimit);
    this.#sweeper = new Sweeper(this.pins, this.upstream);
    if (this.#config.daemon !== undefined) this.pins.resume(this.#config.daemon);
    this.#readPolicy();
    this.#watchPolicy();
  }

  get config(): FilterConfig {
    return this.#config;
  }

  get settings(): FilterSettings {
    return this.#settings;
  }

  createServer(): Server {
    return createFilterServer(this, this.activity);
  }

  async parseContext(): Promise<ParseContext> {
    return {
      settings: this.#settings,
      ceiling: await this.upstream.ceiling(),
      rules: (endpoint) => this.#policy.rulesFor(endpoint),
    };
  }

  decided({ method, target, head, refusal, status, started }: Decision): void {
    const verdict = refusal === undefined ? "allow" : refusal.status >= 500 ? "fail" : "deny";
    const endpoint = head?.route.name ?? "-";
    this.#counters.count(endpoint, verdict);
    if (refusal?.rule === "dockerd-down") this.upstream.forget();
    if (head?.route.name === "ContainerCreate" || head?.route.name === "VolumeCreate") this.#sweeper.watch();
    this.#audit?.add({
      method,
      // Without the query, which can hold credentials of registries and contexts.
      endpoint: head === undefined ? (target.split("?", 1)[0]?.slice(0, 200) ?? "") : endpoint,
      verdict,
      status,
      ...(refusal !== undefined && {
        rule: refusal.rule,
        field: refusal.field,
        message: refusal.message.slice(0, 500),
      }),
      ms: Math.round((performance.now() - started) * 10) / 10,
    });
  }

  /** Puts all pins into a new D. */
  async useDaemon(daemon: DaemonConfig): Promise<{ pins: number; lost: readonly string[] }> {
    this.upstream.forget();
    const lost = await this.pins.use(daemon);
    return { pins: this.pins.size, lost };
  }

  /** Reads configuration and policy again; the listeners and files stay as they are. */
  reload(): void {
    this.#config = readConfig(this.#file);
    this.#settings = settingsOf(this.#config);
    this.#readPolicy();
  }

  status(): FilterStatus {
    const { version } = this.upstream;
    return {
      pid: process.pid,
      since: this.#since,
      ...this.activity,
      pins: this.pins.size,
      ...(version !== undefined && { apiVersion: version }),
      ...(this.#policyError !== undefined && { policyError: this.#policyError }),
      draining: this.draining,
    };
  }

  metrics(): string {
    return this.#counters.text(this.#config.container.id, { ...this.activity, pins: this.pins.size });
  }

  #readPolicy(): void {
    const { policyFile, container } = this.#config;
    if (policyFile === undefined) {
      this.#policy = noPolicy;
      return;
    }
    try {
      this.#policy = readPolicy(
        policyFile,
        { namespace: container.namespace, class: container.class ?? "" },
        (endpoint, field, reason) => this.#observed(endpoint, field, reason),
      );
      this.#policyError = undefined;
    } catch (error) {
      // The last good policy stays; without one nothing that a policy could deny may pass.
      this.#policyError = error instanceof Error ? error.message : String(error);
      if (this.#policy === noPolicy) this.#policy = closed(this.#policyError);
    }
  }

  #observed(endpoint: string, field: string, reason: string): void {
    this.#counters.count(endpoint, "observed");
    this.#audit?.add({
      method: "",
      endpoint,
      verdict: "allow",
      status: 0,
      rule: "observed",
      field,
      message: reason,
      ms: 0,
    });
  }

  /** The folder, since editors and ConfigMaps replace the file. */
  #watchPolicy(): void {
    const { policyFile } = this.#config;
    if (policyFile === undefined) return;
    const names = new Set([basename(policyFile), "..data"]);
    this.#watcher = watch(dirname(policyFile), (_event, name) => {
      if (name === null || names.has(name)) this.#readPolicy();
    });
    this.#watcher.on("error", (error) => (this.#policyError = `the policy is not watched: ${error.message}`));
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#sweeper[Symbol.dispose]();
    this.pins[Symbol.dispose]();
    this.#audit?.[Symbol.dispose]();
  }
}

/** In force while the policy file was never readable. */
const closed = (reason: string): Policy => ({
  mode: "enforce",
  rulesFor: (endpoint) => ({
    fields: () => undefined,
    ...(endpoint !== "SystemPing" &&
      endpoint !== "SystemVersion" && { denied: `the policy file cannot be used (${reason})` }),
  }),
});

function readConfig(file: string): FilterConfig {
  const config: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!isConfig(config)) throw new Error(`${file} is no configuration of a filter`);
  return config;
}

/** Written by the controller of the same version. */
const isConfig = (value: unknown): value is FilterConfig =>
  typeof value === "object" &&
  value !== null &&
  "version" in value &&
  value.version === 1 &&
  "controlSocket" in value &&
  "upstream" in value &&
  "network" in value;
