/**
 * The candidate that somebody most likely meant, to say "did you mean". A candidate that ends in
 * the name is meant first (linksMax for limits.linksMax); then the one with the fewest edits, if
 * they are few for the name's length.
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const longer = candidates.find((candidate) =>
    endsInWord({ text: candidate.toLowerCase(), end: wanted }),
  );
  if (longer !== undefined) return longer;
  let best: { readonly candidate: string; readonly edits: number } | undefined;
  for (const candidate of candidates) {
    const edits = editDistance({ from: wanted, to: candidate.toLowerCase() });
    if (best === undefined || edits < best.edits) best = { candidate, edits };
  }
  const editsMax = Math.min(EDITS_MAX, Math.ceil(wanted.length / 3));
  return best !== undefined && best.edits <= editsMax ? best.candidate : undefined;
}

const EDITS_MAX = 3;

function endsInWord({ text, end }: { readonly text: string; readonly end: string }): boolean {
  const before = text.at(-end.length - 1);
  return end !== "" && text.endsWith(end) && before !== undefined && /[^a-z0-9]/.test(before);
}

/** Levenshtein's distance, one row at a time. */
function editDistance({ from, to }: { readonly from: string; readonly to: string }): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] as number) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[to.length] as number;
}
