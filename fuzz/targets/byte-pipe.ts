import { deepEqual, equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { PipeReceiver, PipeSender } from "../../protocol/byte-pipe.ts";
import { Choices } from "../coverage/choices.ts";

const FAR = [0, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64, Number.NaN] as const;
const STEPS_MAX = 256;

/**
 * Both halves of a pipe do what a plain byte array would, whatever is written, acknowledged,
 * repeated and made up. [LNK-7] [LNK-8] [LNK-9] [LNK-12]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const pipe = new Pipe();
  for (let step = 0; step < STEPS_MAX && !choices.isEmpty; step += 1) pipe.step(choices);
  pipe.finish();
}

interface Request {
  readonly offset: number;
  readonly data: Uint8Array;
}

class Pipe {
  readonly #sender = new PipeSender();
  readonly #receiver = new PipeReceiver();
  readonly #written: number[] = [];
  readonly #received: number[] = [];
  readonly #requests: Request[] = [];
  #base = 0;

  step(choices: Choices): void {
    switch (choices.byte() % 7) {
      case 0:
        this.#write(choices.take(choices.byte() % 48));
        break;
      case 1:
        this.#peek(1 + choices.byte());
        break;
      case 2:
        this.#request(1 + (choices.byte() % 64));
        break;
      case 3:
        this.#acknowledge(this.#base + choices.byte() - 8);
        break;
      case 4:
        this.#acknowledge(choices.pick(FAR));
        break;
      case 5:
        this.#repeat(choices.byte());
        break;
      case 6:
        this.#take(this.#madeUp(choices));
        break;
    }
    equal(this.#sender.base, this.#base);
    equal(this.#sender.end, this.#written.length);
    equal(this.#sender.waitingBytes, this.#written.length - this.#base);
    equal(this.#receiver.received, this.#received.length);
  }

  /** Whatever came before, the rest arrives; but what a liar acknowledged is gone. */
  finish(): void {
    if (this.#base > this.#received.length) return;
    while (this.#received.length < this.#written.length) {
      this.#acknowledge(Math.max(this.#base, this.#received.length));
      this.#request(32);
    }
    deepEqual(this.#received, this.#written);
  }

  #write(bytes: Uint8Array): void {
    this.#sender.write(bytes);
    this.#written.push(...bytes);
  }

  #peek(bytesMax: number): Uint8Array {
    const peeked = this.#sender.peek(bytesMax);
    deepEqual([...peeked], this.#written.slice(this.#base, this.#base + bytesMax));
    return peeked;
  }

  /** What the sender would send now arrives. */
  #request(bytesMax: number): void {
    const request = { offset: this.#base, data: this.#peek(bytesMax).slice() };
    this.#requests.push(request);
    this.#take(request);
  }

  #repeat(index: number): void {
    const request = this.#requests[index % Math.max(1, this.#requests.length)];
    if (request !== undefined) this.#take(request);
  }

  #acknowledge(offset: number): void {
    const fault = this.#sender.acknowledged(offset);
    const isCounter = Number.isSafeInteger(offset) && offset >= 0;
    const isLegal = isCounter && offset >= this.#base && offset <= this.#written.length;
    if (isLegal) this.#base = offset;
    const illegal = isCounter ? ErrorCode.OFFSET_INVALID : ErrorCode.COUNTER_OUT_OF_RANGE;
    equal(fault?.code, isLegal ? undefined : illegal);
  }

  #take({ offset, data }: Request): void {
    const taken = this.#receiver.take(offset, data);
    const isCounter = Number.isSafeInteger(offset) && offset >= 0;
    if (!isCounter || !Number.isSafeInteger(offset + data.length)) {
      ok("code" in taken && taken.code === ErrorCode.COUNTER_OUT_OF_RANGE);
      return;
    }
    ok(!("code" in taken), "a possible offset is no violation");
    const known = this.#received.length - offset;
    const expected = known < 0 ? [] : [...data.subarray(known)];
    deepEqual([...taken], expected);
    this.#received.push(...taken);
  }

  /** Beyond a gap, impossible, or other bytes for a part that was received before. */
  #madeUp(choices: Choices): Request {
    const count = this.#received.length;
    const offset = choices.pick([...FAR, count + 1]);
    const data = choices.take(choices.byte() % 8);
    const isKnown = offset >= 0 && offset <= count;
    return { offset, data: isKnown ? data.slice(0, Math.floor(count - offset)) : data };
  }
}
