import type { IncomingMessage } from "node:http";

export interface BodyBounds {
  /** From now to its last byte. [LNK-6] */
  readonly bodyMs: number;
  readonly bodyBytesMax: number;
}

/** Why a body was not read to its end. */
export type BodyFailure = "late" | "large";

/**
 * Reads a request's body within a time and a size; what is beyond is not kept. Rejects when the
 * request breaks off.
 */
export function readBody(
  request: IncomingMessage,
  { bodyMs, bodyBytesMax }: BodyBounds,
): Promise<Uint8Array | BodyFailure> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const late = setTimeout(() => fail("late"), bodyMs);
    const fail = (failure: BodyFailure) => {
      clearTimeout(late);
      request.off("data", gather);
      request.resume();
      resolve(failure);
    };
    const gather = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bodyBytesMax) return fail("large");
      chunks.push(chunk);
    };
    request.on("data", gather);
    const broken = (error?: Error) => {
      clearTimeout(late);
      reject(error ?? new Error("the request broke off"));
    };
    request.once("error", broken);
    // HTTP/2 tells of a reset stream in this way only.
    request.once("aborted", broken);
    request.once("end", () => {
      clearTimeout(late);
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    });
  });
}
