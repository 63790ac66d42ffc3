/** Requests by endpoint and verdict, as Prometheus text; few enough that no library is needed. */
export class Counters {
  readonly #requests = new Map<string, number>();

  count(endpoint: string, verdict: string): void {
    const labels = `endpoint="${endpoint}",verdict="${verdict}"`;
    this.#requests.set(labels, (this.#requests.get(labels) ?? 0) + 1);
  }

  text(container: string, gauges: Readonly<Record<string, number>>): string {
    const who = `container="${container.replaceAll(/[^\w.-]/g, "_")}"`;
    const lines = [
      "# HELP aeon_dind_filter_requests_total Requests to the Docker socket of a container by endpoint and verdict.",
      "# TYPE aeon_dind_filter_requests_total counter",
      ...Array.from(
        this.#requests,
        ([labels, value]) => `aeon_dind_filter_requests_total{${who},${labels}} ${value}`,
      ),
    ];
    for (const [name, value] of Object.entries(gauges))
      lines.push(`# TYPE aeon_dind_filter_${name} gauge`, `aeon_dind_filter_${name}{${who}} ${value}`);
    return `${lines.join("\n")}\n`;
  }
}
