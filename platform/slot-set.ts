/** A set of slots, which are small numbers: one bit each, at most as many again when it grows. */
export class SlotSet {
  #bits = new Uint8Array(64);

  has(slot: number): boolean {
    return ((this.#bits[slot >>> 3] ?? 0) & bitOf(slot)) !== 0;
  }

  add(slot: number): void {
    const at = slot >>> 3;
    if (at >= this.#bits.length) this.#grow(at + 1);
    this.#bits[at] = (this.#bits[at] as number) | bitOf(slot);
  }

  /** @returns whether it was there */
  delete(slot: number): boolean {
    if (!this.has(slot)) return false;
    const at = slot >>> 3;
    this.#bits[at] = (this.#bits[at] as number) & ~bitOf(slot);
    return true;
  }

  /** The greatest; -1: there is none. */
  get last(): number {
    const at = this.#bits.findLastIndex((byte) => byte !== 0);
    return at < 0 ? -1 : at * 8 + 31 - Math.clz32(this.#bits[at] as number);
  }

  /** Some slots as bits, the first in the lowest one. @param firstSlot a multiple of 8 */
  setBits(firstSlot: number, bits: Uint8Array): void {
    const end = (firstSlot >>> 3) + bits.length;
    if (end > this.#bits.length) this.#grow(end);
    this.#bits.set(bits, firstSlot >>> 3);
  }

  #grow(byteCount: number): void {
    const grown = new Uint8Array(Math.max(byteCount, this.#bits.length * 2));
    grown.set(this.#bits);
    this.#bits = grown;
  }
}

/** The bit of a slot in its byte. */
export function bitOf(slot: number): number {
  return 1 << (slot & 7);
}
