import fc from "fast-check";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { assert } from "../../protocol/violation.ts";
import { cuts, mutations, openingPieces, pieces } from "../links/drawn-traffic.ts";
import { FrameLog } from "../links/frame-log.ts";
import { judged } from "../links/judged.ts";
import { Rig } from "../links/rig.ts";
import { bytesOf, helloBytes, type Mutation, mutated, type Piece } from "../links/traffic.ts";
import { encodeWsFrame, OPCODE, UPGRADE, type WsFrame, WsReader } from "../links/websocket.ts";
import { WsRules } from "../links/websocket-rules.ts";
import { type Leaving, piecesOf } from "../links/wire.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";

/** What a message, or a frame beside it, has that RFC 6455 does not allow. */
type Oddity =
  | { readonly kind: "reserved"; readonly which: number; readonly bits: number }
  | { readonly kind: "opcode"; readonly which: number; readonly opcode: number }
  | { readonly kind: "unmasked"; readonly which: number }
  | { readonly kind: "announced"; readonly which: number; readonly bytes: number }
  /** A frame of its own, before one of the message's. */
  | { readonly kind: "between"; readonly which: number; readonly frame: Unmasked };
type Unmasked = Pick<WsFrame, "isFinal" | "opcode" | "payload">;

interface Message {
  readonly pieces: readonly Piece[];
  readonly mutations: readonly Mutation[];
  readonly isText: boolean;
  /** Where what should be one message is cut into several. */
  readonly borders: readonly number[];
  readonly fragments: readonly number[];
  readonly mask: Uint8Array;
  readonly lengthBytes: 0 | 2 | 8;
  readonly oddity: Oddity | null;
}

interface Case {
  readonly phase: "opening" | "joining";
  readonly messages: readonly Message[];
  readonly cuts: readonly number[];
  readonly ending: Leaving | "stay";
}

/** The frames of one message, or of several where it is cut. */
function framesOf(payload: Uint8Array, message: Message): WsFrame[] {
  const { isText, borders, fragments, mask, lengthBytes, oddity } = message;
  const first = isText ? OPCODE.text : OPCODE.binary;
  const parts = payload.length === 0 ? [payload] : piecesOf(payload, borders);
  const frames = parts.flatMap((part): WsFrame[] => {
    const cut = part.length === 0 ? [part] : piecesOf(part, fragments);
    return cut.map((fragment, index) => ({
      isFinal: index === cut.length - 1,
      opcode: index === 0 ? first : OPCODE.continuation,
      payload: fragment,
      mask,
      lengthBytes,
    }));
  });
  return oddity === null ? frames : odd(frames, oddity, mask);
}

function odd(frames: readonly WsFrame[], oddity: Oddity, mask: Uint8Array): WsFrame[] {
  const at = oddity.which % frames.length;
  const [before, frame, after] = [frames.slice(0, at), frames[at] as WsFrame, frames.slice(at + 1)];
  const { mask: _, ...unmasked } = frame;
  switch (oddity.kind) {
    case "reserved":
      return [...before, { ...frame, reserved: oddity.bits }, ...after];
    case "opcode":
      return [...before, { ...frame, opcode: oddity.opcode }, ...after];
    case "unmasked":
      return [...before, unmasked, ...after];
    case "announced":
      return [...before, { ...frame, announced: oddity.bytes }, ...after];
    case "between":
      return [...before, { ...oddity.frame, mask }, frame, ...after];
  }
}

/** The device's end: what it was sent, and the transport's own words. */
class Peer {
  readonly log = new FrameLog();
  readonly pongs: Uint8Array[] = [];
  closed: { readonly status: number } | undefined;
  readonly reader = new WsReader((frame) => this.#took(frame));

  #took({ opcode, payload, isFinal }: WsFrame): void {
    assert(isFinal && this.closed === undefined, "whole frames, and none after Close");
    if (opcode === OPCODE.binary) this.log.take(payload);
    assert(this.log.isWhole, "a message holds whole frames [LNK-5]");
    if (opcode === OPCODE.pong) this.pongs.push(payload);
    if (opcode !== OPCODE.close) return;
    this.closed = { status: payload.length === 0 ? 1005 : Buffer.from(payload).readUInt16BE() };
  }
}

async function play(rig: Rig, given: Case, seen: Seen): Promise<void> {
  const sender = { userId: rig.freshUser(), deviceId: "d" };
  const peer = new Peer();
  const { log, reader } = peer;
  const wire = await rig.doors.wire((bytes) => reader.take(bytes));
  wire.write(UPGRADE);
  await wire.changes.until(() => reader.isUpgraded, "the upgrade");
  const send = (payload: Uint8Array) => {
    wire.write(encodeWsFrame({ isFinal: true, opcode: OPCODE.binary, payload, mask: MASK }));
  };
  if (given.phase === "joining") {
    send(helloBytes(sender));
    await wire.changes.until(() => log.last("welcome") !== undefined, "Welcome");
  }
  const rules = new WsRules(given.phase);
  const standing = { next: 1 };
  const frames = given.messages.flatMap((message) => {
    const payload = mutated(bytesOf(message.pieces, sender, standing), message.mutations);
    return framesOf(payload, message);
  });
  for (const frame of frames) rules.take(frame);
  await wire.writeCut(Buffer.concat(frames.map(encodeWsFrame)), given.cuts);
  if (given.ending !== "stay") {
    wire.leave(given.ending);
    if (given.ending === "finish") await wire.untilEnded("the service's end of a finished link");
    return seen(given.ending);
  }
  const link = {
    log,
    changes: wire.changes,
    get isOver() {
      return peer.closed !== undefined || wire.ended;
    },
    send,
  };
  await closedRightly(peer, rules, { link, seen });
  if (peer.closed === undefined) return;
  const answer = { isFinal: true, opcode: OPCODE.close, payload: Buffer.alloc(0), mask: MASK };
  wire.write(encodeWsFrame(answer));
  await wire.untilEnded("the end of the connection when both have closed");
}

interface Judging {
  readonly link: Parameters<typeof judged>[0];
  readonly seen: Seen;
}

/** Close says why and the transport's status says it again; or only the transport, of its own. */
async function closedRightly(peer: Peer, rules: WsRules, { link, seen }: Judging): Promise<void> {
  const { log, pongs } = peer;
  const isClosed = () => peer.closed !== undefined;
  if (rules.status !== undefined) {
    await link.changes.until(() => isClosed() || link.isOver, "a Close of the transport");
  }
  const isOfTransport = rules.status !== undefined && peer.closed?.status === rules.status;
  if (isOfTransport) {
    seen(`status ${rules.status}`);
    assert(log.close === undefined, "the transport broke off by itself");
  } else {
    const ending = await judged(link, rules.stream, seen);
    const status = peer.closed?.status ?? 0;
    if (ending === "goodbye") {
      assert(status === 1000 || (status >= 4000 && status <= 4999), `status ${status} [LNK-5]`);
    } else if (ending !== "open") {
      assert(status === 4000 + Number(ending), `status ${status} for ${codeText(Number(ending))}`);
    }
    if (ending === "open") assert(pongs.length === rules.pings.length, "each ping is answered");
  }
  const isSame = pongs.every((pong, at) => Buffer.from(rules.pings[at] ?? []).equals(pong));
  assert(isSame && pongs.length <= rules.pings.length, "a pong says what its ping said");
}

const MASK = Uint8Array.of(0xa5, 0, 0x5a, 0xff);
const one = <const Value>(value: Value) => fc.constant(value);
const which = fc.nat(9);
const payload = fc.uint8Array({ maxLength: 12 });
const MESSAGE_BYTES_MAX = 4 * 64 * 1024;
const between: fc.Arbitrary<Unmasked> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      isFinal: one(true),
      opcode: fc.constantFrom(OPCODE.ping, OPCODE.pong),
      payload: fc.oneof(payload, fc.uint8Array({ minLength: 124, maxLength: 126, size: "max" })),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      isFinal: one(true),
      opcode: one(OPCODE.close),
      payload: fc.oneof(
        payload,
        fc.constantFrom(0, 999, 1000, 1004, 1006, 1011, 1015, 2999, 3000, 4999, 5000).map(status),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      isFinal: fc.boolean(),
      opcode: fc.constantFrom(...Object.values(OPCODE)),
      payload,
    }),
  },
);
const oddity: fc.Arbitrary<Oddity> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: one("between" as const), which, frame: between }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one("reserved" as const),
      which,
      bits: fc.integer({ min: 1, max: 7 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: one("opcode" as const), which, opcode: fc.nat(15) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: one("unmasked" as const), which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: one("announced" as const),
      which,
      bytes: fc.constantFrom(MESSAGE_BYTES_MAX + 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 60),
    }),
  },
);
const few = (arbitrary: fc.Arbitrary<number[]>) =>
  fc.oneof({ weight: 20, arbitrary: one<number[]>([]) }, { weight: 1, arbitrary });
const rarely = (arbitrary: fc.Arbitrary<boolean>) =>
  fc.oneof({ weight: 40, arbitrary: one(false) }, { weight: 1, arbitrary });
const positions = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 4 });
const messageOf = (content: fc.Arbitrary<Piece[]>): fc.Arbitrary<Message> =>
  fc.record({
    pieces: content,
    mutations: fc.oneof(
      { weight: 20, arbitrary: one<Mutation[]>([]) },
      { weight: 1, arbitrary: mutations },
    ),
    isText: rarely(one(true)),
    borders: few(positions),
    fragments: fc.oneof(one<number[]>([]), positions),
    mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    lengthBytes: fc.constantFrom(0, 0, 0, 2, 8),
    oddity: fc.oneof({ weight: 5, arbitrary: one(null) }, { weight: 1, arbitrary: oddity }),
  });
const readied = pieces.map((rest): Piece[] => [{ kind: "ready" }, ...rest]);

/** WebSocket as RFC 6455 draws it, and as it does not. */
export const linkWebSocket = property<Case>({
  name: "link-websocket",
  title:
    "[LNK-5] [LNK-14] [FRM-1] [FRM-9] whatever messages are made of, however they are cut and " +
    "what stands between them, a WebSocket link ends with the code and status that the rules name",
  smokeRuns: 150,
  kinds: [
    ..."open goodbye destroy reset finish".split(" "),
    ...[1002, 1005, 1007, 1009, 1000, 3000].map((status) => `status ${status}`),
    codeText(ErrorCode.FRAME_MALFORMED),
    codeText(ErrorCode.SEQUENCE_GAP),
    codeText(ErrorCode.FRAME_TOO_LARGE),
  ],
  arbitrary: fc
    .constantFrom("opening" as const, "joining" as const, "joining" as const)
    .chain((phase) =>
      fc.record({
        phase: one(phase),
        messages: fc
          .tuple(
            messageOf(phase === "opening" ? openingPieces : readied),
            fc.array(messageOf(pieces), { maxLength: 2 }),
          )
          .map(([first, rest]) => [first, ...rest]),
        cuts,
        ending: fc.oneof(
          { weight: 8, arbitrary: one("stay" as const) },
          { weight: 1, arbitrary: fc.constantFrom<Leaving[]>("destroy", "reset", "finish") },
        ),
      }),
    ),
  start: async (seen) => {
    const rig = await Rig.start();
    return {
      check: (given) => rig.run(() => play(rig, given, seen)),
      stop: () => rig.stop(),
    };
  },
});

function status(number: number): Uint8Array {
  return Uint8Array.of(number >> 8, number & 0xff);
}
