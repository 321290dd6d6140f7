/**
 * Makes an input smaller for as long as it keeps what it is kept for: without ranges of it, each
 * half as long as the one before, then with zeros for its bytes.
 *
 * @param triesMax how often `holds` is asked at most
 * @returns an input that holds, at worst the one given
 */
export async function minimise(
  input: Uint8Array,
  holds: (candidate: Uint8Array) => Promise<boolean>,
  triesMax: number,
): Promise<Uint8Array> {
  let smallest = input;
  let tries = 0;
  const accept = async (candidate: Uint8Array): Promise<boolean> => {
    if (tries >= triesMax) return false;
    tries += 1;
    if (!(await holds(candidate))) return false;
    smallest = candidate;
    return true;
  };
  const removeRanges = async (length: number): Promise<boolean> => {
    const before = smallest.length;
    let at = 0;
    while (at < smallest.length && tries < triesMax) {
      const parts = [smallest.subarray(0, at), smallest.subarray(at + length)];
      if (!(await accept(new Uint8Array(Buffer.concat(parts))))) at += length;
    }
    return smallest.length < before;
  };
  let length = input.length;
  while (length >= 1) {
    const isSmaller = await removeRanges(length);
    // What went lately may be what kept an earlier byte: single bytes are tried until all stay.
    if (length > 1 || !isSmaller) length = Math.floor(length / 2);
  }
  for (let at = 0; at < smallest.length && tries < triesMax; at += 1) {
    if (smallest[at] !== 0) await accept(smallest.with(at, 0));
  }
  return smallest;
}
