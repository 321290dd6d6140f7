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
    const body = new GrowingBytes();
    const late = setTimeout(() => fail("late"), bodyMs);
    const fail = (failure: BodyFailure) => {
      clearTimeout(late);
      request.off("data", gather);
      request.resume();
      resolve(failure);
    };
    const gather = (chunk: Buffer) => {
      if (body.length + chunk.length > bodyBytesMax) return fail("large");
      body.add(chunk);
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
      resolve(body.bytes);
    });
  });
}

/** The least that is taken for a body of several chunks. */
const GROWN_BYTES_MIN = 1024;

/**
 * What has come of a body, in one piece: a chunk may hold a single byte, and an object of its own
 * for each costs hundreds, which whoever sends them does not pay for. [LNK-11] [SVC-10]
 */
class GrowingBytes {
  #room: Uint8Array = new Uint8Array(0);
  length = 0;

  /** Without a copy where all has come at once. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.length);
  }

  add(chunk: Uint8Array): void {
    const length = this.length + chunk.length;
    if (this.length === 0) this.#room = chunk;
    else {
      // The room of a first chunk ends with it, so that what comes behind never writes into it.
      if (length > this.#room.length) this.#grow(Math.max(GROWN_BYTES_MIN, 2 * length));
      this.#room.set(chunk, this.length);
    }
    this.length = length;
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(bytes);
    grown.set(this.bytes);
    this.#room = grown;
  }
}
