/** Reads decisions from an input, front to back. After its end everything is 0. */
export class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  /** Copies: what is read stays what it is, and is no Buffer. */
  constructor(bytes: Uint8Array) {
    this.#bytes = new Uint8Array(bytes);
  }

  get isEmpty(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte;
  }

  /** One of a list of 1 to 256. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.byte() % items.length] as Item;
  }

  /** At most so many bytes. */
  take(count: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length);
  }
}
