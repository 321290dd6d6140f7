/** Counters and gauges of one node, printed in Prometheus' text format. */
export class Metrics {
  readonly #values = new Map<string, { readonly type: "counter" | "gauge"; value: number }>();

  add(name: string, count = 1): void {
    const known = this.#values.get(name);
    if (known === undefined) this.#values.set(name, { type: "counter", value: count });
    else known.value += count;
  }

  gauge(name: string, value: number): void {
    this.#values.set(name, { type: "gauge", value });
  }

  /** A group of the store became durable. */
  groupWritten(group: {
    readonly requests: number;
    readonly puts: number;
    readonly ms: number;
  }): void {
    this.add("posthorn_store_groups_total");
    this.add("posthorn_store_requests_total", group.requests);
    this.add("posthorn_store_puts_total", group.puts);
    this.add("posthorn_store_write_milliseconds_total", group.ms);
  }

  /** Names may carry labels, as in `name{code="IDLE"}`. */
  render(): string {
    const lines: string[] = [];
    const typed = new Set<string>();
    for (const [name, { type, value }] of [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const family = name.split("{")[0] as string;
      if (!typed.has(family)) lines.push(`# TYPE ${family} ${type}`);
      typed.add(family);
      lines.push(`${name} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
