import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SecurePacketSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { ED25519_SIGNATURE_BYTES } from "../../protocol/envelope/ed25519-form.ts";
import { EvilScene, type Party, refusals, refuses, sameDevice, talks } from "./evil-scene.ts";
import type { PacketKind, PassingPacket } from "./evil-service.ts";

let scene: EvilScene;
before(async () => {
  scene = await EvilScene.open();
});
afterEach(() => scene.clear());
after(() => scene.close());

type HandshakeKind = Exclude<PacketKind, "message">;
const HANDSHAKE: readonly HandshakeKind[] = ["offer", "accept", "confirm"];
const SIGNATURE = "SECURE_SIGNATURE_INVALID";
const TAG = "SECURE_TAG_INVALID";
const MALFORMED = "SECURE_MALFORMED";

type Parts = Record<"core" | "signature" | "tag", Uint8Array>;
type Part = keyof Parts;

/** The parts of a packet of a handshake, some of them in place of others. */
function withParts({ bytes }: PassingPacket, changed: Partial<Parts>): Uint8Array {
  const { kind } = fromBinary(SecurePacketSchema, bytes);
  assert.ok(kind.case !== undefined && kind.case !== "message");
  const changedKind = { case: kind.case, value: { ...kind.value, ...changed } } as typeof kind;
  return toBinary(SecurePacketSchema, create(SecurePacketSchema, { kind: changedKind }));
}

function partsOf({ bytes }: PassingPacket): Parts {
  const { kind } = fromBinary(SecurePacketSchema, bytes);
  return kind.value as unknown as Parts;
}

/** Which parts come from elsewhere, and what a receiver says to that. */
const SPLICES: readonly (readonly [HandshakeKind, readonly Part[], string])[] = [
  ["offer", ["signature"], SIGNATURE],
  ["accept", ["signature"], SIGNATURE],
  ["accept", ["tag"], TAG],
  ["accept", ["signature", "tag"], SIGNATURE],
  ["confirm", ["tag"], TAG],
];
/** With another core the packet is one of another handshake: of another pair, or an earlier one. */
const CORES: readonly (readonly [HandshakeKind, string, string])[] = [
  ["offer", "SECURE_PEER_UNKNOWN", "SECURE_REPLAYED"],
  ["accept", "SECURE_SESSION_UNKNOWN", "SECURE_REPLAYED"],
  ["confirm", "SECURE_SESSION_UNKNOWN", "SECURE_REPLAYED"],
];

/** Another handshake: of other people, or an earlier one of the same two. */
async function elsewhere(whose: "other" | "same", kind: PacketKind) {
  const couple = await scene.couple();
  const packet = scene.last(kind, kind === "accept" ? couple.ann : couple.bob);
  return { packet, pair: whose === "same" ? [couple.ann, couple.bob] : [] };
}

describe("a service that puts packets together", () => {
  for (const whose of ["other", "same"] as const) {
    const of = whose === "same" ? "an earlier handshake of the two" : "another pair's handshake";
    for (const [kind, parts, code] of SPLICES) {
      test(`[SEC-15] [SEC-26] ${kind} with ${parts.join(" and ")} of ${of}`, async () => {
        const { packet, pair } = await elsewhere(whose, kind);
        const stuck = await scene.stuck(kind, ...pair);
        const there = partsOf(packet);
        const changed = Object.fromEntries(parts.map((part) => [part, there[part]]));
        await scene.release({ ...stuck.held, bytes: withParts(stuck.held, changed) });
        await refuses(kind === "accept" ? stuck.ann : stuck.bob, ...early(kind), code);
        await scene.goesOn(stuck);
      });
    }
    for (const [kind, otherPair, earlier] of CORES) {
      test(`[SEC-15] [SEC-33] ${kind} with the core of ${of}`, async () => {
        const { packet, pair } = await elsewhere(whose, kind);
        const stuck = await scene.stuck(kind, ...pair);
        const { core } = partsOf(packet);
        await scene.release({ ...stuck.held, bytes: withParts(stuck.held, { core }) });
        await scene.release({ ...stuck.held, bytes: packet.bytes });
        const code = whose === "same" ? earlier : otherPair;
        await refuses(kind === "accept" ? stuck.ann : stuck.bob, ...early(kind), code, code);
        await scene.goesOn(stuck);
      });
    }
  }

  test("[SEC-15] two pairs at once get each other's packets", async () => {
    for (const kind of HANDSHAKE) {
      const one = await scene.stuck(kind);
      const other = await scene.stuck(kind);
      const crossed = [
        { ...other.held, from: one.held.from, to: one.held.to },
        { ...one.held, from: other.held.from, to: other.held.to },
      ];
      for (const packet of crossed) await scene.release(packet);
      const code = CORES.find(([of]) => of === kind)?.[1] ?? "";
      for (const { ann, bob } of [one, other]) {
        await refuses(kind === "accept" ? ann : bob, ...early(kind), code);
      }
      await scene.goesOn(one);
      await scene.goesOn(other);
    }
  });

  for (const kind of ["offer", "accept"] as const) {
    test(`[SEC-6] ${kind} of which one half of the signature is right`, async () => {
      const { packet, pair } = await elsewhere("same", kind);
      const stuck = await scene.stuck(kind, ...pair);
      const [right, wrong] = [partsOf(stuck.held).signature, partsOf(packet).signature];
      const end = ED25519_SIGNATURE_BYTES;
      const halves = [
        [Buffer.concat([right.subarray(0, end), wrong.subarray(end)]), SIGNATURE],
        [Buffer.concat([wrong.subarray(0, end), right.subarray(end)]), SIGNATURE],
        [Buffer.concat([right.subarray(0, end), Buffer.alloc(right.length - end)]), SIGNATURE],
        [Buffer.concat([Buffer.alloc(end), right.subarray(end)]), SIGNATURE],
        [right.subarray(0, end), MALFORMED],
        [right.subarray(end), MALFORMED],
        [Buffer.alloc(0), MALFORMED],
      ] as const;
      for (const [signature] of halves) {
        await scene.release({ ...stuck.held, bytes: withParts(stuck.held, { signature }) });
      }
      const receiver = kind === "accept" ? stuck.ann : stuck.bob;
      await refuses(receiver, ...halves.map(([, code]) => code));
      await scene.goesOn(stuck);
    });
  }

  test("[SEC-31] offer of a device of its own in the name of somebody else", async () => {
    const [ann, bob, mallory] = [await scene.party(), await scene.party(), await scene.party()];
    const { held } = await scene.stuck("offer", mallory, bob);
    scene.service.packets = (packet) => packet;
    await scene.release(held, { from: ann.address });
    await refuses(bob, "SECURE_PEER_UNKNOWN");
    assert.deepEqual(bob.device.messenger.chats, []);
    await talks(await scene.open(ann, bob));
  });
});

/** Where the confirm is kept back, a message came before it. */
function early(kind: PacketKind): string[] {
  return kind === "confirm" ? ["SECURE_NOT_OPEN"] : [];
}

/** Every bit that may matter: one of each byte near the ends, and of every so many in between. */
function flips(bytes: Uint8Array): Uint8Array[] {
  const step = Math.max(1, Math.floor(bytes.length / 160));
  const ends = 48;
  return [...bytes.keys()]
    .filter((at) => at < ends || at >= bytes.length - ends || at % step === 0)
    .map((at) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << ((at * 5) % 8));
      return changed;
    });
}

function cuts(bytes: Uint8Array): Uint8Array[] {
  const ends = [1, 2, 3, 33, 65, bytes.length >> 1, bytes.length - 40, bytes.length - 1];
  return ends.map((end) => Uint8Array.from(bytes.subarray(0, end)));
}

function extensions(bytes: Uint8Array): Uint8Array[] {
  const tails = [
    [0],
    [0x0a, 0],
    [0x22, 0],
    [0xfa, 0x01, 0],
    [...bytes.subarray(0, 64)],
    [...bytes],
  ];
  return tails.map((tail) => Uint8Array.from([...bytes, ...tail]));
}

const TAMPERED = new Set([
  MALFORMED,
  SIGNATURE,
  TAG,
  "SECURE_PEER_UNKNOWN",
  "SECURE_SESSION_UNKNOWN",
  "SECURE_NOT_OPEN",
  "SECURE_EXPIRED",
  "SECURE_KEY_INVALID",
  // Offers that wait for the directory side by side are as many as may be half open.
  "SECURE_HALF_OPEN",
  "SECURE_OUT_OF_WINDOW",
  "SECURE_REPLAYED",
]);

const BATCH = 16;

/** Gives a device everything that can become of a packet; it refuses each. @returns how many */
async function tamperWith(packet: PassingPacket, receiver: Party): Promise<number> {
  const before = refusals(receiver).length;
  const { bytes } = packet;
  const changed = [...flips(bytes), ...cuts(bytes), ...extensions(bytes)];
  // Lies are larger than what they take the place of: a few at a time keep to the device's credit.
  for (let at = 0; at < changed.length; at += BATCH) {
    const batch = changed.slice(at, at + BATCH);
    await Promise.all(batch.map((wrong) => scene.release({ ...packet, bytes: wrong })));
    const isThere = () => refusals(receiver).length - before >= at + batch.length;
    await receiver.device.until("all are refused", isThere);
  }
  const codes = refusals(receiver).slice(before);
  assert.equal(codes.length, changed.length);
  assert.deepEqual(
    codes.filter((code) => !TAMPERED.has(code)),
    [],
  );
  return codes.length;
}

describe("a service that turns bits over, cuts and adds", () => {
  for (const kind of [...HANDSHAKE, "message"] as const) {
    test(`[SEC-14] [SEC-26] [SEC-52] ${kind}: each is refused, and the right one works`, async (t) => {
      const stuck = await scene.stuck(kind);
      const receiver = kind === "accept" ? stuck.ann : stuck.bob;
      const count = await tamperWith(stuck.held, receiver);
      t.diagnostic(`${count} changed packets`);
      await scene.goesOn(stuck, kind === "message" ? { bob: ["early"] } : {});
    });
  }

  for (const [step, giver] of [
    ["key", "ann"],
    ["ciphertext", "bob"],
  ] as const) {
    test(`[SEC-52] [SEC-58] message with a ${step} of the ratchet`, async (t) => {
      const parameters = { rekeyMessages: 1, rekeyS: 600, lifetimeS: 3600, franking: false };
      const couple = await scene.couple({ parameters });
      const { ann, bob, chat, theirs } = couple;
      await talks(couple);
      const to = giver === "ann" ? bob : ann;
      // The answer to the key is due from the other side.
      if (giver === "bob") {
        await chat.send("with a key");
        await bob.device.until("the key", () => bob.device.texts.length === 2);
      }
      const held = scene.withhold(({ to: device }) => sameDevice(device, to.address));
      await (giver === "ann" ? chat : theirs).send("with a step");
      await to.device.until("it is held", () => held.length > 0);
      const packet = held[0] as PassingPacket;
      assert.ok(packet.bytes.length > 1_400, "a step is in it");
      t.diagnostic(`${await tamperWith(packet, to)} changed packets`);
      scene.service.packets = (passing) => passing;
      for (const one of held) await scene.release(one);
      await to.device.until("the right one", () => to.device.texts.includes("with a step"));
      const said = { ann: [...ann.device.texts], bob: [...bob.device.texts] };
      assert.deepEqual(said, {
        ann: giver === "ann" ? ["from bob"] : ["from bob", "with a step"],
        bob: giver === "ann" ? ["from ann", "with a step"] : ["from ann", "with a key"],
      });
      await talks(couple, said);
    });
  }
});
