import { INNER_BYTES_MAX, PADDING_STEP_BYTES } from "./limits.ts";

/**
 * How long content of a length becomes with its type and its padding: multiples of 64 bytes, then
 * Padmé, which leaks O(log log) of a length and costs at most 12 %. [ENV-9]
 *
 * Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
 * PURBs", PETS 2019, algorithm 1.
 */
export function paddedBytes(contentBytes: number): number {
  const bytes = contentBytes + 1;
  if (bytes <= 1024) return Math.ceil(bytes / PADDING_STEP_BYTES) * PADDING_STEP_BYTES;
  const exponent = 31 - Math.clz32(bytes);
  const kept = 32 - Math.clz32(exponent);
  const step = 2 ** (exponent - kept);
  return Math.min(Math.ceil(bytes / step) * step, INNER_BYTES_MAX);
}

/**
 * Where content ends and its type stands: the last byte that is not zero. [ENV-8]
 *
 * @returns -1 when there is none
 */
export function typeIndex(inner: Uint8Array): number {
  let at = inner.length - 1;
  while (at >= 0 && inner[at] === 0) at -= 1;
  return at;
}
