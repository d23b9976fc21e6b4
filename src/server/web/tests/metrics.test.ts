// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";

import { histogram, parseMetrics, quantile, samplesOf, since, total } from "../src/lib/metrics";

const text = `# HELP x y
a_total{model="m, \\"1\\"",n="2"} 3
a_total{model="m2"} 4.5e1
h_bucket{le="0.1"} 2
h_bucket{le="1"} 4
h_bucket{le="+Inf"} 4
broken{ 1
plain 7
`;

test("samples are read, broken lines are skipped", () => {
  const samples = parseMetrics(text);
  expect(samples[0]).toEqual({ name: "a_total", labels: { model: 'm, \\"1\\"', n: "2" }, value: 3 });
  expect(total(samples, "a_total")).toBe(48);
  expect(total(samples, "plain")).toBe(7);
  expect(total(samples, "nothing")).toBe(0);
});

test("quantiles lie where the observations are", () => {
  const buckets = histogram(parseMetrics(text), "h");
  expect(buckets).toEqual([[0.1, 2], [1, 4], [Infinity, 4]]);
  expect(quantile(buckets, 0.5)).toBeCloseTo(0.1);
  expect(quantile(buckets, 0.75)).toBeCloseTo(0.55);
  expect(quantile(since(buckets, buckets), 0.5)).toBeNull();
  expect(quantile([], 0.5)).toBeNull();
  expect(quantile([[1, 0], [Infinity, 5]], 0.5)).toBe(1);
});

test("a status tells the same figures; models that are not loaded add none", () => {
  const totals = { cancelled: 1, failed: 2, prompt_tokens: 30, generated_tokens: 4, prefix_asked_tokens: 30, prefix_found_tokens: 20, preemptions: 0 };
  const loaded = { running: 2, waiting: 1, cache: { pages: 8, pages_used: 2, disk_bytes: 9 }, totals };
  const samples = samplesOf({ uptime_seconds: 5, memory: { process_bytes: 7 }, models: [loaded, {}, loaded] });
  expect(total(samples, "vllm:num_requests_running")).toBe(4);
  expect(total(samples, "vllm:generation_tokens_total")).toBe(8);
  expect(total(samples, "vllm:kv_cache_usage_perc")).toBe(0.5);
  expect(total(samples, "process_resident_memory_bytes")).toBe(7);
});
