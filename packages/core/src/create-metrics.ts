import { monitorEventLoopDelay } from "node:perf_hooks";
import type * as prometheus from "prom-client";
import type { Counter, Gauge, Histogram, Metric, Registry } from "prom-client";
import type { MetricOptions, Metrics } from "./metrics.ts";

/** The metrics of a process and their text form. */
export interface MetricsRegistry extends Metrics {
  readonly contentType: string;
  /** Prometheus' text exposition format. */
  text(): Promise<string>;
}

export interface MetricsRegistryOptions {
  /** Adds CPU, memory, descriptors, garbage collection and event loop delay of this process. Default false. */
  readonly process?: boolean;
}

/** How often the event loop's delay is sampled, milliseconds: seldom, since each sample wakes an idle process. */
const delaySampleMs = 200;

/** A registry of its own, so that several can live in one process. prom-client is loaded here, since it costs 13 MB. */
export async function createMetrics({
  process = false,
}: MetricsRegistryOptions = {}): Promise<MetricsRegistry> {
  const client = await import("prom-client");
  const registry = new client.Registry();
  if (process) {
    client.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: delaySampleMs });
    watchEventLoop(client, registry);
  }
  return new PrometheusMetrics(client, registry);
}

/** prom-client's own gauges hold the pause between samples too, which would hide what matters. */
function watchEventLoop(client: Pick<typeof prometheus, "Gauge">, registry: Registry): void {
  const delays = monitorEventLoopDelay({ resolution: delaySampleMs });
  delays.enable();
  const gauge = new client.Gauge({
    name: "aeon_event_loop_lag_seconds",
    help: "How late a timer came at worst since the last scrape, by sampling.",
    registers: [registry],
    collect() {
      gauge.set(Math.max(0, delays.max / 1e9 - delaySampleMs / 1e3));
      delays.reset();
    },
  });
}

class PrometheusMetrics implements MetricsRegistry {
  readonly #client: Pick<typeof prometheus, "Counter" | "Gauge" | "Histogram">;
  readonly #registry: Registry;
  readonly #declared = new Map<string, Metric>();

  constructor(client: Pick<typeof prometheus, "Counter" | "Gauge" | "Histogram">, registry: Registry) {
    this.#client = client;
    this.#registry = registry;
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label> {
    return this.#once(
      options.name,
      this.#client.Counter<Label>,
      () => new this.#client.Counter<Label>(this.#configuration(options)),
    );
  }

  gauge<Label extends string = never>(options: MetricOptions<Label>): Gauge<Label> {
    return this.#once(
      options.name,
      this.#client.Gauge<Label>,
      () => new this.#client.Gauge<Label>(this.#configuration(options)),
    );
  }

  histogram<Label extends string = never>(
    options: MetricOptions<Label> & { readonly buckets?: readonly number[] },
  ): Histogram<Label> {
    return this.#once(
      options.name,
      this.#client.Histogram<Label>,
      () =>
        new this.#client.Histogram<Label>({
          ...this.#configuration(options),
          ...(options.buckets !== undefined && { buckets: [...options.buckets] }),
        }),
    );
  }

  #configuration<Label extends string>({ name, help, labels = [] }: MetricOptions<Label>) {
    return { name: `aeon_${name}`, help, labelNames: [...labels], registers: [this.#registry] };
  }

  #once<T extends Metric>(name: string, kind: new (...values: never[]) => T, declare: () => T): T {
    const known = this.#declared.get(name);
    if (known instanceof kind) return known;
    if (known !== undefined) throw new TypeError(`metric aeon_${name} is declared as another kind`);
    const metric = declare();
    this.#declared.set(name, metric);
    return metric;
  }
}
