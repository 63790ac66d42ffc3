import type { Counter, Gauge, Histogram } from "prom-client";

export interface MetricOptions<Label extends string> {
  /** Without the `aeon_` prefix; with the unit as suffix (`_seconds`, `_bytes`, `_total`). */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Label[];
}

/** Where a package declares its Prometheus metrics. Declaring a name twice gives the same metric. */
export interface Metrics {
  counter<Label extends string = never>(options: MetricOptions<Label>): Counter<Label>;
  gauge<Label extends string = never>(options: MetricOptions<Label>): Gauge<Label>;
  histogram<Label extends string = never>(
    options: MetricOptions<Label> & { readonly buckets?: readonly number[] },
  ): Histogram<Label>;
}
