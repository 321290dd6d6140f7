interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** The one label, whose values are of a closed set. */
  readonly label?: string;
  /** Upper bounds of a histogram, rising. */
  readonly buckets?: readonly number[];
}

/** Everything that is measured. */
const FAMILIES = {
  posthorn_links: { type: "gauge", help: "Links open." },
  posthorn_sessions: { type: "gauge", help: "Sessions attached, by kind of link.", label: "link" },
  posthorn_attaches_total: { type: "counter", help: "Sessions attached so far.", label: "link" },
  posthorn_closes_total: { type: "counter", help: "Links ended, by cause.", label: "code" },
  posthorn_violations_total: {
    type: "counter",
    help: "Links ended because a peer broke a requirement.",
    label: "requirement",
  },
  posthorn_sealed_links_total: {
    type: "counter",
    help: "Links whose envelope's handshake was completed, by suite.",
    label: "suite",
  },
  posthorn_failures_total: {
    type: "counter",
    help: "Failures that are no peer's doing, by where they were met.",
    label: "where",
  },
  posthorn_refusals_total: {
    type: "counter",
    help: "What was asked for too often, by what there was no more of.",
    label: "kind",
  },
  posthorn_http_calls_total: {
    type: "counter",
    help: "Calls over HTTP, by what they were answered with.",
    label: "code",
  },
  posthorn_signals_total: {
    type: "counter",
    help: "Signals of devices, by what became of them.",
    label: "fate",
  },
  posthorn_hints_total: {
    type: "counter",
    help: "Hints for devices, by what became of them.",
    label: "fate",
  },
  posthorn_submits_total: { type: "counter", help: "Submits that became durable." },
  posthorn_deliveries_total: { type: "counter", help: "Events read to be delivered." },
  posthorn_webhook_requests_total: {
    type: "counter",
    help: "Requests to receivers of webhooks, by what came of them.",
    label: "outcome",
  },
  posthorn_webhook_behind: {
    type: "gauge",
    help: "Events that a webhook's receiver has not taken yet.",
    label: "webhook",
  },
  posthorn_store_puts_total: { type: "counter", help: "Records that became durable." },
  posthorn_store_group_requests: {
    type: "histogram",
    help: "Requests that became durable together.",
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096],
  },
  posthorn_store_group_seconds: {
    type: "histogram",
    help: "Time from writing a group to its being durable.",
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5],
  },
} as const satisfies Readonly<Record<string, Family>>;

type NameOf<Type> = {
  [Name in keyof typeof FAMILIES]: (typeof FAMILIES)[Name]["type"] extends Type ? Name : never;
}[keyof typeof FAMILIES];
export type CounterName = NameOf<"counter">;
export type GaugeName = NameOf<"gauge">;
export type HistogramName = NameOf<"histogram">;

interface Histogram {
  readonly counts: number[];
  sum: number;
}

/**
 * What one node counts, in Prometheus' text format. The names are a closed table and a label's
 * values of a closed set: a peer can never make it grow.
 */
export class Metrics {
  readonly #values = new Map<string, Map<string, number>>();
  readonly #histograms = new Map<string, Histogram>();

  /** @param label the value of the family's label, where it has one */
  add(name: CounterName | GaugeName, count: number, label = ""): void {
    const values = this.#valuesOf(name);
    values.set(label, (values.get(label) ?? 0) + count);
  }

  gauge(name: GaugeName, value: number, label = ""): void {
    this.#valuesOf(name).set(label, value);
  }

  observe(name: HistogramName, value: number): void {
    const { buckets } = FAMILIES[name];
    const known = this.#histograms.get(name);
    const histogram = known ?? { counts: Array(buckets.length + 1).fill(0), sum: 0 };
    if (known === undefined) this.#histograms.set(name, histogram);
    const above = buckets.findIndex((bound) => value <= bound);
    const at = above === -1 ? buckets.length : above;
    histogram.counts[at] = (histogram.counts[at] as number) + 1;
    histogram.sum += value;
  }

  /** A group of the store became durable. */
  groupWritten(group: {
    readonly requests: number;
    readonly puts: number;
    readonly ms: number;
  }): void {
    this.add("posthorn_store_puts_total", group.puts);
    this.observe("posthorn_store_group_requests", group.requests);
    this.observe("posthorn_store_group_seconds", group.ms / 1000);
  }

  /** The text exposition format, version 0.0.4. Families without a value yet are left out. */
  render(): string {
    const lines = Object.entries<Family>(FAMILIES).flatMap(([name, family]) => {
      const samples = this.#samplesOf(name, family);
      if (samples.length === 0) return [];
      return [`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`, ...samples];
    });
    return lines.map((line) => `${line}\n`).join("");
  }

  #valuesOf(name: string): Map<string, number> {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const values = new Map<string, number>();
    this.#values.set(name, values);
    return values;
  }

  #samplesOf(name: string, { label, buckets }: Family): readonly string[] {
    const histogram = this.#histograms.get(name);
    if (buckets !== undefined && histogram !== undefined) {
      return histogramSamples(name, buckets, histogram);
    }
    const values = [...(this.#values.get(name) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return values.map(([of, value]) => {
      return `${name}${label === undefined ? "" : `{${label}="${of}"}`} ${value}`;
    });
  }
}

function histogramSamples(
  name: string,
  buckets: readonly number[],
  { counts, sum }: Histogram,
): readonly string[] {
  let count = 0;
  const cumulative = counts.map((inBucket, at) => {
    count += inBucket;
    return `${name}_bucket{le="${buckets[at] ?? "+Inf"}"} ${count}`;
  });
  return [...cumulative, `${name}_sum ${sum}`, `${name}_count ${count}`];
}
