import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  EvilScene,
  type Party,
  refusals,
  refuses,
  sameDevice,
  talks,
  theirsOf,
} from "./evil-scene.ts";
import type { PacketKind, PassingPacket } from "./evil-service.ts";

let scene: EvilScene;
before(async () => {
  scene = await EvilScene.open();
});
afterEach(() => scene.clear());
after(() => scene.close());

const PEER_UNKNOWN = "SECURE_PEER_UNKNOWN";
const SESSION_UNKNOWN = "SECURE_SESSION_UNKNOWN";
const NOT_OPEN = "SECURE_NOT_OPEN";
const KINDS: readonly PacketKind[] = ["offer", "accept", "confirm", "message"];

/** What has come before, once the packet that was kept back is let go. */
const saidBefore = (kind: PacketKind) => (kind === "message" ? { bob: ["early"] } : {});

describe("a service that keeps packets back", () => {
  for (const kind of KINDS) {
    test(`[SEC-24] [SEC-26] no ${kind}: nothing is said; it comes late: all goes on`, async () => {
      const scenery = await scene.stuck(kind);
      const { ann, bob, chat } = scenery;
      assert.deepEqual([...ann.device.texts, ...bob.device.texts], []);
      if (kind !== "confirm" && kind !== "message") {
        await assert.rejects(chat.send("too soon"));
      }
      if (kind === "confirm") await refuses(bob, NOT_OPEN);
      await scene.goesOn(scenery, saidBefore(kind));
    });

    test(`[SEC-22] [SEC-66] ${kind} is let go after the close: refused`, async () => {
      const { ann, bob, chat, held } = await scene.stuck(kind);
      scene.service.packets = (packet) => (packet.kind === "message" ? undefined : packet);
      await chat.close();
      await scene.release(held);
      // Who gets an offer does not know better: what it answers is refused.
      if (kind === "offer" || kind === "accept") await refuses(ann, SESSION_UNKNOWN);
      else await bob.device.until("taken", () => bob.device.messenger.chats.length === 1);
      if (kind === "message") await bob.device.until("opened", () => bob.device.texts.length === 1);
      assert.deepEqual(ann.device.messenger.chats, []);
      assert.deepEqual(bob.device.texts, kind === "message" ? ["early"] : []);
    });

    test(`[SEC-87] ${kind} expires early: lost, and the next chat is none the worse`, async () => {
      const { ann, bob, chat } = await scene.stuck(kind);
      scene.service.packets = (packet) => packet;
      if (kind === "message") {
        const couple = { ann, bob, chat, theirs: await theirsOf(bob, chat) };
        return await talks(couple);
      }
      await chat.close();
      await talks(await scene.open(ann, bob));
    });
  }

  test("[SEC-24] a message before the confirm is dropped; again after it, it opens once", async () => {
    const { ann, bob, chat, held } = await scene.stuck("confirm");
    const message = scene.last("message", bob);
    await refuses(bob, NOT_OPEN);
    scene.service.packets = (packet) => packet;
    await scene.release(message);
    await refuses(bob, NOT_OPEN, NOT_OPEN);
    assert.deepEqual(bob.device.texts, []);
    await scene.release(held);
    await scene.release(message);
    await scene.release(message);
    await refuses(bob, NOT_OPEN, NOT_OPEN, "SECURE_REPLAYED");
    const theirs = await theirsOf(bob, chat);
    await talks({ ann, bob, chat, theirs }, { bob: ["early"] });
  });

  for (const rekeyMessages of [100, 2]) {
    test(`[SEC-53] [SEC-58] any order, new keys after ${rekeyMessages}: each once`, async () => {
      const parameters = { rekeyMessages, rekeyS: 600, lifetimeS: 3600, franking: false };
      const couple = await scene.couple({ parameters });
      const { bob, chat } = couple;
      await talks(couple);
      await talks(couple, { ann: ["from bob"], bob: ["from ann"] });
      const held = scene.withhold(
        ({ kind, to }) => kind === "message" && sameDevice(to, bob.address),
      );
      const texts = ["1", "2", "3", "4", "5", "6"];
      for (const text of texts) await chat.send(text);
      await bob.device.until("all are held", () => held.length === texts.length);
      scene.service.packets = (packet) => packet;
      const order = [5, 2, 0, 4, 1, 3];
      for (const at of [...order, ...order]) await scene.release(held[at] as PassingPacket);
      await refuses(bob, ...order.map(() => "SECURE_REPLAYED"));
      const came = order.map((at) => texts[at] as string);
      const said = { ann: ["from bob", "from bob"], bob: ["from ann", "from ann", ...came] };
      await talks(couple, said);
    });
  }

  test("[SEC-53] of ten messages nine are dropped: the rest comes, and what is after it", async () => {
    const couple = await scene.couple();
    const { bob, chat } = couple;
    let count = 0;
    scene.service.packets = (packet) => {
      count += 1;
      return count % 10 === 0 ? packet : undefined;
    };
    for (let n = 1; n <= 20; n += 1) await chat.send(`${n}`);
    await bob.device.until("two texts", () => bob.device.texts.length === 2);
    assert.deepEqual([...refusals(bob), ...bob.device.texts], ["10", "20"]);
    scene.service.packets = (packet) => packet;
    await talks(couple, { bob: ["10", "20"] });
  });

  test("[SEC-66] the close is dropped: what comes for the chat is refused", async () => {
    const couple = await scene.couple();
    const { ann, bob, chat, theirs } = couple;
    await talks(couple);
    scene.withhold(({ kind }) => kind === "message");
    await chat.close();
    scene.service.packets = (packet) => packet;
    await theirs.send("is anybody there");
    await refuses(ann, SESSION_UNKNOWN);
    assert.deepEqual([ann.device.texts, bob.device.texts], [["from bob"], ["from ann"]]);
  });
});

describe("a service that delivers to others", () => {
  /** What another device than the right one says to a packet. */
  const CODES = {
    offer: PEER_UNKNOWN,
    accept: SESSION_UNKNOWN,
    confirm: SESSION_UNKNOWN,
    message: SESSION_UNKNOWN,
  } as const;

  for (const kind of KINDS) {
    test(`[SEC-17] [SEC-33] ${kind} to another device, or user: refused there`, async () => {
      const scenery = await scene.stuck(kind);
      const { ann, bob, held } = scenery;
      const right = kind === "accept" ? ann : bob;
      const stranger = await scene.party();
      const tablet = await tabletOf(right);
      scene.service.packets = (packet) => packet;
      for (const other of [stranger, tablet]) {
        await scene.release(held, { to: other.address });
        await refuses(other, CODES[kind]);
        assert.deepEqual(other.device.messenger.chats, []);
        assert.deepEqual(other.device.texts, []);
      }
      // Whose it is gets it all the same.
      await scene.goesOn(scenery, saidBefore(kind));
    });

    test(`[SEC-31] ${kind} in the name of another user, or device: refused`, async () => {
      const scenery = await scene.stuck(kind);
      const { ann, bob, held } = scenery;
      const [right, sender] = kind === "accept" ? [ann, bob] : [bob, ann];
      const stranger = await scene.party();
      const tablet = await tabletOf(sender);
      const before = refusals(right);
      const names = [stranger.address, tablet.address, right.address];
      for (const from of names) await scene.release(held, { from });
      await refuses(right, ...before, ...names.map(() => PEER_UNKNOWN));
      assert.deepEqual(right.device.texts, []);
      await scene.goesOn(scenery, saidBefore(kind));
    });

    test(`[SEC-17] [SEC-47] ${kind} back to its sender: refused`, async () => {
      const scenery = await scene.stuck(kind);
      const { ann, bob, held } = scenery;
      const [right, sender] = kind === "accept" ? [ann, bob] : [bob, ann];
      await scene.release(held, { to: sender.address, from: right.address });
      const codes = {
        offer: PEER_UNKNOWN,
        accept: SESSION_UNKNOWN,
        confirm: "SECURE_REPLAYED",
        message: "SECURE_TAG_INVALID",
      };
      await refuses(sender, codes[kind]);
      await scene.goesOn(scenery, saidBefore(kind));
    });
  }

  test("[SEC-47] a message of one chat as one of another of the same devices", async () => {
    const first = await scene.couple();
    const second = await scene.open(first.ann, first.bob);
    const { bob } = first;
    await talks(first);
    await talks(second, { ann: ["from bob"], bob: ["from ann"] });
    const said = { ann: ["from bob", "from bob"], bob: ["from ann", "from ann"] };
    const held = scene.withhold(
      ({ to, kind }) => kind === "message" && sameDevice(to, bob.address),
    );
    await first.chat.send("of the first");
    await second.chat.send("of the second");
    await bob.device.until("both are held", () => held.length === 2);
    scene.service.packets = (packet) => packet;
    const [one, other] = held as [PassingPacket, PassingPacket];
    await scene.release(renamed(one, second.chat.sessionId));
    await scene.release(renamed(other, first.chat.sessionId));
    await refuses(bob, "SECURE_TAG_INVALID", "SECURE_TAG_INVALID");
    await scene.release(other);
    await scene.release(one);
    await bob.device.until("both", () => bob.device.texts.length === 4);
    said.bob.push("of the second", "of the first");
    await talks(first, said);
    said.ann.push("from bob");
    said.bob.push("from ann");
    await talks(second, said);
  });
});

/** A message with another session's id in its header. */
function renamed(packet: PassingPacket, sessionId: Uint8Array): PassingPacket {
  const bytes = Uint8Array.from(packet.bytes);
  // The packet's tag and a length of two bytes, the header's length, version, type, flags.
  bytes.set(sessionId, 3 + 2 + 4);
  return { ...packet, bytes };
}

/** One more device of somebody. */
async function tabletOf({ address: { userId } }: Party): Promise<Party> {
  return await scene.party({ userId, deviceId: "tablet" });
}
