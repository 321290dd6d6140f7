import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { CALLS_WAITING_MAX } from "../protocol/limits.ts";
import type { AskedCall, AskedCalls, CallAnswer } from "../protocol/session/calls.ts";
import { orAborted } from "./abortable.ts";
import { RefusedError } from "./results.ts";

interface Waiting {
  resolve(response: Uint8Array): void;
  reject(error: Error): void;
}

/** The calls of an application that wait for their answers. */
export class Calls {
  readonly #asked: Pick<AskedCalls, "ask" | "forget" | "count">;
  readonly #pump: () => void;
  readonly #waiting = new Map<AskedCall, Waiting>();

  constructor(asked: Pick<AskedCalls, "ask" | "forget" | "count">, pump: () => void) {
    this.#asked = asked;
    this.#pump = pump;
  }

  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    signal: AbortSignal | undefined,
  ): Promise<MessageShape<O>> {
    signal?.throwIfAborted();
    if (this.#asked.count >= CALLS_WAITING_MAX) throw new RefusedError(ErrorCode.CALL_FAILED);
    const asked = {
      method: `${method.parent.typeName}/${method.name}`,
      request: toBinary(method.input, create(method.input, request)),
    };
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.set(asked, { resolve, reject });
    });
    this.#asked.ask(asked);
    this.#pump();
    try {
      return responseIn(method, await orAborted(answer, signal));
    } finally {
      if (this.#waiting.delete(asked)) this.#asked.forget(asked);
    }
  }

  answered({ asked, code, response, retryAfterMs }: CallAnswer): void {
    const waiting = this.#waiting.get(asked);
    this.#waiting.delete(asked);
    if (code === ErrorCode.UNSPECIFIED) waiting?.resolve(response);
    else waiting?.reject(new RefusedError(code, retryAfterMs));
  }

  /** No answer will come any more. */
  end(reason: Error): void {
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** @throws RefusedError CALL_FAILED when the service's bytes are no response */
function responseIn<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  response: Uint8Array,
): MessageShape<O> {
  try {
    return fromBinary(method.output, response);
  } catch {
    throw new RefusedError(ErrorCode.CALL_FAILED);
  }
}
