import { expect, test } from "vitest";
import { createMetrics } from "./create-metrics.ts";

test("a name declared twice is the same metric; as another kind it is refused", async () => {
  const metrics = await createMetrics();
  const options = { name: "calls_total", help: "Calls.", labels: ["method"] as const };
  metrics.counter(options).inc({ method: "a" });
  metrics.counter(options).inc({ method: "a" });
  expect(await metrics.text()).toContain('aeon_calls_total{method="a"} 2');
  expect(() => metrics.gauge(options)).toThrow(/another kind/);
});

test("histograms take buckets, registries do not share", async () => {
  const [first, second] = [await createMetrics(), await createMetrics()];
  first.histogram({ name: "wait_seconds", help: "Wait.", buckets: [0.1, 1] }).observe(0.5);
  expect(await first.text()).toContain('aeon_wait_seconds_bucket{le="1"} 1');
  expect(await second.text()).not.toContain("wait_seconds");
});

test("process metrics on request", async () => {
  const metrics = await createMetrics({ process: true });
  expect(await metrics.text()).toMatch(/process_resident_memory_bytes \d+/);
  expect(await metrics.text()).toMatch(/nodejs_eventloop_lag_p99_seconds/);
});

test("the event loop's lag is what a timer was late, not the pause between samples", async () => {
  const metrics = await createMetrics({ process: true });
  const lag = async (): Promise<number> =>
    Number(/^aeon_event_loop_lag_seconds (\S+)$/m.exec(await metrics.text())?.[1]);
  await new Promise((resolve) => setTimeout(resolve, 450));
  const until = performance.now() + 700;
  while (performance.now() < until);
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(await lag()).toBeGreaterThan(0.4);
  await expect.poll(lag, { interval: 450, timeout: 8000 }).toBeLessThan(0.15);
});
