// SPDX-License-Identifier: Apache-2.0
// Prometheus' text format, as far as a dashboard needs it.

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const row of text.split("\n")) {
    const found = row.startsWith("#") ? null : line.exec(row);
    if (!found) continue;
    const value = found[3] === "+Inf" ? Infinity : Number(found[3]);
    if (Number.isNaN(value)) continue;
    const labels = Object.fromEntries(Array.from((found[2] ?? "").matchAll(label), (one) => [one[1]!, one[2]!]));
    samples.push({ name: found[1]!, labels, value });
  }
  return samples;
}

/** What /deepwell/status says, as far as it is used here. */
export interface Status {
  uptime_seconds: number;
  memory: { process_bytes: number };
  models: {
    running?: number; // this and what follows: once it is loaded
    waiting?: number;
    cache?: { pages: number; pages_used: number; disk_bytes: number };
    totals?: Record<
      "cancelled" | "failed" | "prompt_tokens" | "generated_tokens" | "prefix_asked_tokens" | "prefix_found_tokens" | "preemptions",
      number
    >;
  }[];
}

/** The same figures by the names they have in /metrics. */
export function samplesOf(status: Status): Sample[] {
  const samples: Sample[] = [];
  const add = (name: string, value: number) => samples.push({ name, labels: {}, value });
  add("process_start_time_seconds", Date.now() / 1000 - status.uptime_seconds);
  add("process_resident_memory_bytes", status.memory.process_bytes);
  for (const { running, waiting, cache, totals } of status.models) {
    if (!cache || !totals) continue;
    add("vllm:num_requests_running", running ?? 0);
    add("vllm:num_requests_waiting", waiting ?? 0);
    add("vllm:kv_cache_usage_perc", cache.pages > 0 ? cache.pages_used / cache.pages : 0);
    add("deepwell:prefix_disk_bytes", cache.disk_bytes);
    add("vllm:generation_tokens_total", totals.generated_tokens);
    add("vllm:prompt_tokens_total", totals.prompt_tokens);
    add("vllm:prefix_cache_queries_total", totals.prefix_asked_tokens);
    add("vllm:prefix_cache_hits_total", totals.prefix_found_tokens);
    add("vllm:num_preemptions_total", totals.preemptions);
    add("deepwell:requests_cancelled_total", totals.cancelled);
    add("deepwell:requests_failed_total", totals.failed);
  }
  return samples;
}

/** All series of a name together. */
export function total(samples: Sample[], name: string): number {
  return samples.reduce((sum, one) => (one.name === name ? sum + one.value : sum), 0);
}

/** Cumulative counts by upper bound, all series together, bounds rising. */
export function histogram(samples: Sample[], name: string): [bound: number, count: number][] {
  const counts = new Map<number, number>();
  for (const one of samples) {
    if (one.name !== `${name}_bucket`) continue;
    const bound = one.labels.le === "+Inf" ? Infinity : Number(one.labels.le);
    counts.set(bound, (counts.get(bound) ?? 0) + one.value);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/** What is new between two readings of a histogram; all of it where there is no earlier one. */
export function since(now: [number, number][], before: [number, number][]): [number, number][] {
  const old = new Map(before);
  return now.map(([bound, count]) => [bound, count - (old.get(bound) ?? 0)]);
}

/** The value below which `part` of the observations lie, even within its bucket; null where there are none. */
export function quantile(buckets: [number, number][], part: number): number | null {
  const count = buckets.at(-1)?.[1] ?? 0;
  if (count <= 0) return null;
  const rank = part * count;
  let [below, from] = [0, 0];
  for (const [bound, upTo] of buckets) {
    if (upTo >= rank) {
      if (bound === Infinity) return from;
      return from + ((bound - from) * (rank - below)) / Math.max(1e-9, upTo - below);
    }
    [below, from] = [upTo, bound];
  }
  return from;
}
