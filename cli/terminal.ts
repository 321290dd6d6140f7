/** How text is set off; plain where nobody looks at it. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  warning(text: string): string;
}

/** Escape sequences on a terminal that wants them, nothing anywhere else (no-color.org). */
export function styleFor(
  stream: { readonly isTTY?: boolean | undefined },
  env: Readonly<Record<string, string | undefined>>,
): Style {
  const plain = stream.isTTY !== true || Boolean(env.NO_COLOR) || env.TERM === "dumb";
  const between =
    ([on, off]: readonly [number, number]) =>
    (text: string) =>
      plain ? text : `\u001b[${on}m${text}\u001b[${off}m`;
  return { bold: between([1, 22]), dim: between([2, 22]), warning: between([33, 39]) };
}

/** Label and text in two columns, one line each, set in by two. */
export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}\n`).join("");
}
