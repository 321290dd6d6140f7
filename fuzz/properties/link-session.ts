import assert from "node:assert/strict";
import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { LinkKind } from "../../protocol/link.ts";
import type { Wish } from "../links/expected.ts";
import { LIMITS } from "../links/limits.ts";
import { ModelDevice } from "../links/model-device.ts";
import { LINK_KINDS, type RawLink } from "../links/raw-link.ts";
import { Rig } from "../links/rig.ts";
import type { Leaving } from "../links/wire.ts";
import { property, type Seen } from "../property.ts";

type Command =
  | { readonly do: "submit"; readonly wish: Wish }
  | { readonly do: "repeat"; readonly which: number }
  | { readonly do: "cut"; readonly leaving: Leaving }
  | { readonly do: "break"; readonly leaving: Leaving; readonly at: number }
  | { readonly do: "attach" | "hello" | "race"; readonly kind: LinkKind }
  | { readonly do: "ack" | "ping" | "settle" | "goodbye" };

const LEAVINGS: readonly Leaving[] = ["destroy", "reset", "finish"];
const one = <const Value>(value: Value) => fc.constant(value);
const leaving = fc.constantFrom(...LEAVINGS);
const kind = fc.constantFrom(...LINK_KINDS);
/** One in ten is as long as may be, or a byte more or less. */
const text = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({ text: fc.string({ unit: "grapheme", maxLength: 40 }), copies: one(1) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      text: one("x"),
      copies: fc.integer({ min: LIMITS.contentBytes - 1, max: LIMITS.contentBytes + 1 }),
    }),
  },
);
const nonsense = fc.constantFrom(
  Uint8Array.of(),
  Uint8Array.of(0xff),
  Uint8Array.of(0x0a, 0x05),
  // A kind that there is not: field 100.
  Uint8Array.of(0xa2, 0x06, 0x00),
);
const receiver = fc.constantFrom(..."self self self peer peer nobody".split(" "));
const wish: fc.Arbitrary<Wish> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({ to: receiver as fc.Arbitrary<"self" | "peer" | "nobody">, said: text }),
  },
  { weight: 1, arbitrary: fc.record({ to: one("nonsense"), bytes: nonsense }) },
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: one("submit"), wish }) },
  { weight: 2, arbitrary: fc.record({ do: one("repeat"), which: fc.nat(15) }) },
  { weight: 2, arbitrary: fc.record({ do: one("cut"), leaving }) },
  { weight: 2, arbitrary: fc.record({ do: one("break"), leaving, at: fc.nat(400) }) },
  { weight: 3, arbitrary: fc.record({ do: one("attach"), kind }) },
  { weight: 1, arbitrary: fc.record({ do: one("hello"), kind }) },
  { weight: 1, arbitrary: fc.record({ do: one("race"), kind }) },
  { weight: 2, arbitrary: fc.record({ do: one("ack") }) },
  { weight: 1, arbitrary: fc.record({ do: one("ping") }) },
  { weight: 1, arbitrary: fc.record({ do: one("settle") }) },
  { weight: 1, arbitrary: fc.record({ do: one("goodbye") }) },
);

/** Which link each attach of a run takes. */
type Routes = (drawn: LinkKind) => LinkKind;

/** What came of a script: must be the same whatever links it took. (P5) */
interface Transcript {
  readonly results: readonly object[];
  readonly cursor: number;
  readonly events: readonly object[];
}

class Run {
  readonly #device: ModelDevice;
  readonly #rig: Rig;
  readonly #routes: Routes;
  readonly #seen: Seen;
  readonly #userId: string;
  readonly #peerId: string;

  constructor(rig: Rig, routes: Routes, seen: Seen) {
    this.#rig = rig;
    this.#routes = routes;
    this.#seen = seen;
    this.#userId = rig.freshUser();
    this.#peerId = rig.freshUser();
    const who = { userId: this.#userId, deviceId: "d", peerId: this.#peerId };
    this.#device = new ModelDevice(rig.doors, who);
  }

  async play(commands: readonly Command[]): Promise<Transcript> {
    const nobodyElse = { userId: this.#peerId, deviceId: "d", peerId: "" };
    await new ModelDevice(this.#rig.doors, nobodyElse).attach("tcp");
    await this.#attach("tcp");
    for (const given of commands) {
      if (await this.#do(given)) this.#seen(given.do);
    }
    if (!this.#device.isAttached) await this.#attach("websocket");
    await this.#device.settle();
    await this.#read(this.#userId, this.#device.expected.events);
    await this.#read(this.#peerId, this.#device.expected.peerEvents);
    return this.#transcript();
  }

  /** @returns false where there is nothing to do it with */
  async #do(given: Command): Promise<boolean> {
    const device = this.#device;
    switch (given.do) {
      case "submit":
        device.submit(given.wish);
        return true;
      case "repeat":
        return device.repeat(given.which);
      case "ack":
        return device.ack();
      case "ping":
        return await device.ping();
      case "settle":
        if (!device.isAttached) return false;
        await device.settle();
        return true;
      case "cut":
        return device.leave(given.leaving) !== undefined;
      case "break":
        return device.leave(given.leaving, given.at) !== undefined;
      case "goodbye":
        return await device.goodbye();
      case "attach":
        device.leave("destroy");
        await this.#attach(given.kind);
        return true;
      case "hello":
        // Gone before Welcome, or before it was read.
        device.leave("destroy");
        await device.hello(this.#routes(given.kind));
        device.leave("reset");
        return true;
      case "race":
        return await this.#race(given.kind);
    }
  }

  async #attach(drawn: LinkKind): Promise<void> {
    const taken = this.#routes(drawn);
    await this.#device.attach(taken);
    this.#seen(`attached over ${taken}`);
  }

  /** A second attachment while the first one lives; both are surely in force. [SES-6] */
  async #race(drawn: LinkKind): Promise<boolean> {
    if (!this.#device.isAttached) return false;
    await this.#sayAndSettle("one");
    const older = this.#device.link as RawLink;
    await this.#attach(drawn);
    await this.#sayAndSettle("two");
    await older.changes.until(() => older.isOver, "the end of the older link");
    assert.equal(older.log.close?.code, ErrorCode.SUPERSEDED, "the older link is told [SES-6]");
    return true;
  }

  async #sayAndSettle(said: string): Promise<void> {
    this.#device.submit({ to: "self", said: { text: said, copies: 1 } });
    await this.#device.settle();
  }

  /** A device that was never there before is delivered the whole timeline. */
  async #read(userId: string, events: readonly object[]): Promise<void> {
    const who = { userId, deviceId: "reader", peerId: "" };
    const added = { addedDeviceId: who.deviceId };
    const reader = new ModelDevice(this.#rig.doors, who, [...events, added] as never);
    await reader.attach(this.#routes("longpoll"));
    await reader.settle();
    reader.leave("destroy");
  }

  #transcript(): Transcript {
    const names = (name: string) =>
      name.replace(this.#userId, "user").replace(this.#peerId, "peer");
    const { results, cursor, expected } = this.#device;
    return {
      results: results.map(({ code, conversationSeq }) => ({ code, conversationSeq })),
      cursor,
      events: expected.events.map((event) => ({
        ...event,
        conversationId: names(names(event.conversationId)),
        senderUserId: names(event.senderUserId),
      })),
    };
  }
}

/** One script, by each link alone and by all in turn, at the same time. */
async function play(rig: Rig, commands: readonly Command[], seen: Seen): Promise<void> {
  const routes: readonly Routes[] = [...LINK_KINDS.map((only) => () => only), (drawn) => drawn];
  const transcripts = await Promise.all(
    routes.map((route) => new Run(rig, route, seen).play(commands)),
  );
  for (const transcript of transcripts) assert.deepEqual(transcript, transcripts[0]);
}

/** The whole service over loopback, opposite devices that are written a second time. */
export const linkSession = property<Command[]>({
  name: "link-session",
  title:
    "[LNK-1] [LNK-12] [LNK-14] [SEQ-4] [SEQ-10] [SES-6] [RES-1] [RES-14] one script gives " +
    "the same results, cursors and events over every link, and what the rules say " +
    "(P4, P5, P9, P12, P19)",
  smokeRuns: 25,
  kinds: [
    ..."submit repeat ack ping settle cut break attach hello race goodbye".split(" "),
    ...LINK_KINDS.map((name) => `attached over ${name}`),
  ],
  arbitrary: fc.array(command, { minLength: 1, maxLength: 30, size: "max" }),
  start: async (seen) => {
    const rig = await Rig.start();
    return {
      check: (commands) => rig.run(() => play(rig, commands, seen)),
      stop: () => rig.stop(),
    };
  },
});
