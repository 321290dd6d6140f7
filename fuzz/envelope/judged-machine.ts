import { deepEqual, equal, ok } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ClientEnvelope, ClientEnvelopeEffect } from "../../protocol/envelope/client.ts";
import type { Established } from "../../protocol/envelope/established.ts";
import { clearRecord, encodeHeader } from "../../protocol/envelope/records.ts";
import type { ServerEnvelope, ServerEnvelopeEffect } from "../../protocol/envelope/server.ts";
import { suiteOf } from "../../protocol/envelope/suites.ts";
import type { Violation } from "../../protocol/violation.ts";
import type { Choices } from "../coverage/choices.ts";
import type { Side } from "./pair.ts";
import { WrittenRecords } from "./written-records.ts";

const TAG_BYTES = 16;
const STEPS_MAX = 64;
const CLEAR_TYPES = ["clientHello", "serverHello", "clientFinished", "alert"] as const;

type Effect = ClientEnvelopeEffect | ServerEnvelopeEffect;
/** What is the business of one role. */
export type RoleEffect<Any extends Effect> = Exclude<
  Any,
  { readonly kind: "write" | "frames" | "close" | "established" }
>;

/** What both roles take. */
type Driver = Pick<
  ClientEnvelope & ServerEnvelope,
  "closed" | "received" | "write" | "updateKeys" | "close" | "ended" | "elapsed"
>;

/** What a machine may be driven with. */
export interface Driven<Any extends Effect> {
  readonly side: Side;
  readonly machine: Driver & { effects(): Any[] };
  /** Whole records of an honest other side. */
  readonly honest: readonly Uint8Array[];
  /** Codes with which it may end. */
  readonly codes: readonly ErrorCode[];
  /** Answers an effect of the role, judged. */
  obey(effect: RoleEffect<Any>): void;
  /** Judges what is known once the handshake is over. */
  established(link: Established): void;
}

/**
 * Bytes that were made up, into one real machine; whatever they are it does not throw, writes only
 * what it may, and ends once, with one typed code. [ENV-11] [ENV-20] [ENV-49] [ENV-50] [ENV-51]
 */
export class JudgedMachine<Any extends Effect> {
  readonly #driven: Driven<Any>;
  readonly #written: WrittenRecords;
  #link: Established | undefined;
  #end: { readonly because: Violation; readonly by: "us" | "peer" } | undefined;
  #nowMs = 0;
  /** Of the records that are made up for it with the numbers that are due. */
  #epoch = 1;
  #seq = 0;

  constructor(driven: Driven<Any>) {
    this.#driven = driven;
    this.#written = new WrittenRecords(driven.side);
    this.#obeyAll();
  }

  run(choices: Choices): void {
    for (let step = 0; step < STEPS_MAX && !choices.isEmpty; step += 1) {
      this.#step(choices);
      this.#obeyAll();
    }
    this.#driven.machine.ended();
    this.#obeyAll();
    ok(this.#end !== undefined, "every link ends");
  }

  #step(choices: Choices): void {
    const { machine, honest } = this.#driven;
    switch (choices.byte() % 8) {
      case 0:
        return this.#received(choices.take(choices.byte() + 256 * (choices.byte() % 8)));
      case 1:
        return this.#received(choices.pick(honest));
      case 2: {
        const type = choices.pick(CLEAR_TYPES);
        return this.#received(clearRecord(type, choices.take(choices.byte())));
      }
      case 3:
        return this.#received(this.#sealed(choices));
      case 4:
        return machine.write(choices.take(choices.byte() % 80));
      case 5:
        return machine.updateKeys();
      case 6:
        // Most of the time too little for anything to be late.
        this.#nowMs += choices.byte() < 200 ? 1 : 20_000;
        return machine.elapsed(this.#nowMs);
      default:
        return choices.byte() % 2 === 0 ? machine.close() : machine.ended();
    }
  }

  #received(bytes: Uint8Array): void {
    this.#driven.machine.received(bytes, this.#nowMs);
  }

  /** With the numbers that are due, and any content and type. */
  #sealed(choices: Choices): Uint8Array {
    const type = choices.byte();
    const inner = Buffer.concat([choices.take(choices.byte() % 80), Uint8Array.of(type)]);
    const bodyBytes = inner.length + TAG_BYTES;
    const numbers = { epoch: this.#epoch, seq: this.#seq };
    this.#seq += 1;
    if (type === 2) {
      this.#epoch += 1;
      this.#seq = 0;
    }
    const header = encodeHeader({ type: "sealed", ...numbers, bodyBytes });
    return Buffer.concat([header, inner, new Uint8Array(TAG_BYTES)]);
  }

  #obeyAll(): void {
    for (let round = 0; round < STEPS_MAX; round += 1) {
      const effects = this.#driven.machine.effects();
      if (effects.length === 0) break;
      for (const effect of effects) this.#obey(effect);
    }
    equal(this.#driven.machine.closed, this.#end !== undefined, "it says when it has ended");
  }

  #obey(effect: Any): void {
    switch (effect.kind) {
      case "write":
        equal(this.#end, undefined, "nothing is written after the end");
        return this.#written.take(effect.bytes);
      case "frames":
        ok(this.#link !== undefined, "nothing is read before the confirm [ENV-17] [ENV-18]");
        equal(this.#end, undefined, "nothing is read after the end [ENV-50]");
        return ok(effect.bytes.length > 0);
      case "established":
        equal(this.#link, undefined, "one handshake [ENV-11]");
        this.#link = effect.link;
        this.#judgeLink(effect.link);
        return this.#driven.established(effect.link);
      case "close":
        equal(this.#end, undefined, "one end");
        this.#end = effect;
        return this.#judgeEnd(effect);
      default:
        this.#driven.obey(effect as RoleEffect<Any>);
    }
  }

  #judgeLink({ policy, suite, linkId, channelBinding, serverId }: Established): void {
    equal(suiteOf(suite.number), suite, "a suite of the table [ENV-26]");
    const promised = suiteOf(policy.minSuite);
    ok(promised !== undefined && suite.strength >= promised.strength, "its promise [ENV-34]");
    ok(policy.rekeyRecords >= 2 && policy.rekeyRecords <= 2 ** 20, "[ENV-37]");
    ok(policy.rekeyBytes >= 2 ** 21 && policy.rekeyBytes <= 2 ** 30, "[ENV-37]");
    ok(policy.lifetimeS >= 1 && policy.lifetimeS <= 86_400, "[ENV-41]");
    deepEqual([linkId.length, channelBinding.length, serverId.length], [16, 32, 32]);
  }

  #judgeEnd({ because, by }: { readonly because: Violation; readonly by: "us" | "peer" }): void {
    const { code } = because;
    ok(this.#driven.codes.includes(code), `ends with ${code}: ${because.detail}`);
    const { end } = this.#written;
    if (by === "peer") return equal(end, undefined, "the other side's end is not answered");
    if (this.#link === undefined) return equal(end, "alert 40", "one clear alert [ENV-20]");
    const isInOrder = code === ErrorCode.GOODBYE || because.requirement === "ENV-41";
    const isSpent = because.requirement === "ENV-40";
    equal(end, isInOrder || isSpent ? "close" : "alert 20", `${because.detail} [ENV-50] [ENV-51]`);
  }
}
