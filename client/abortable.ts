/** Waits for a result or the signal, and leaves nothing behind at a signal that lives on. */
export async function orAborted<Result>(
  result: Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  if (signal === undefined) return await result;
  let abandon = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abandon = () => reject(signal.reason);
    signal.addEventListener("abort", abandon, { once: true });
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", abandon);
  }
}
