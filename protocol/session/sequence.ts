/** What a numbered item is, given how far its receiver already is. */
export type SequenceVerdict = "next" | "duplicate" | "gap";

/**
 * Decides what a numbered item is. [SEQ-2]
 *
 * Pure and role-blind: submits, deliveries and repeats all pass through here, so that no counter
 * can follow rules of its own. Never by count, never by time (P16).
 *
 * @param seq      1 to 2^53-1 (decoding guarantees it)
 * @param through  the last number received in order, inclusive; 0 before the first
 *
 * Source: RFC 9293 section 3.10.7.4; the three-way comparison of MTProto updates.
 */
export function classify(seq: number, through: number): SequenceVerdict {
  if (seq === through + 1) return "next";
  return seq <= through ? "duplicate" : "gap";
}
