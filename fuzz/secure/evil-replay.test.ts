import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { SecureChat } from "../../client/secure/chat.ts";
import { type Couple, EvilScene, refusals, refuses, talks, theirsOf } from "./evil-scene.ts";
import type { PacketKind } from "./evil-service.ts";

let scene: EvilScene;
before(async () => {
  scene = await EvilScene.open();
});
afterEach(() => scene.clear());
after(() => scene.close());

const SESSION_UNKNOWN = "SECURE_SESSION_UNKNOWN";
const REPLAYED = "SECURE_REPLAYED";
const KINDS: readonly PacketKind[] = ["offer", "accept", "confirm", "message"];
const IDS = { offer: "SEC-28", accept: "SEC-30", confirm: "SEC-30", message: "SEC-54" } as const;

/** Who gets packets of a kind. */
function receiverOf(kind: PacketKind, { ann, bob }: Couple) {
  return kind === "accept" ? ann : bob;
}

describe("a service that says things again", () => {
  for (const kind of KINDS) {
    test(`[${IDS[kind]}] ${kind} twice at once: the second is refused`, async () => {
      const { service } = scene;
      const repeat = new Set<string>();
      service.packets = (packet) => {
        if (packet.kind === kind && !repeat.has(kind)) {
          repeat.add(kind);
          void scene.release(packet);
        }
        return packet;
      };
      const couple = await scene.couple();
      if (kind === "message") await talks(couple);
      // An offer that is answered already has its answer again, which Ann refuses then.
      const told = () => [...refusals(couple.ann), ...refusals(couple.bob)];
      await couple.ann.device.until("refused", () => told().length > 0);
      assert.deepEqual(told(), [REPLAYED]);
      if (kind !== "offer") await refuses(receiverOf(kind, couple), REPLAYED);
      await talks(couple, kind === "message" ? { ann: ["from bob"], bob: ["from ann"] } : {});
    });

    test(`[${IDS[kind]}] ${kind} again when the chat is older: refused`, async () => {
      const parameters = { rekeyMessages: 2, rekeyS: 600, lifetimeS: 3600, franking: false };
      const couple = await scene.couple({ parameters });
      await talks(couple);
      const packet = scene.last(kind, receiverOf(kind, couple));
      const said = { ann: ["from bob"], bob: ["from ann"] };
      // Two epochs on, the chain of the packet is still there.
      for (let round = 0; round < 3; round += 1) {
        await talks(couple, said);
        said.ann.push("from bob");
        said.bob.push("from ann");
      }
      await scene.release(packet);
      await scene.release(packet);
      await refuses(receiverOf(kind, couple), REPLAYED, REPLAYED);
      await talks(couple, said);
    });

    test(`[${IDS[kind]}] [SEC-64] ${kind} again after the close: refused`, async () => {
      const couple = await scene.couple();
      const { ann, bob, chat, theirs } = couple;
      await talks(couple);
      const packet = scene.last(kind, receiverOf(kind, couple));
      await chat.close();
      await bob.device.until("closed", () => theirs.state === "closed");
      await scene.release(packet);
      const code = { offer: REPLAYED, message: "SECURE_NOT_OPEN" }[kind as string];
      await refuses(receiverOf(kind, couple), code ?? SESSION_UNKNOWN);
      assert.deepEqual([ann.device.messenger.chats, bob.device.messenger.chats], [[], []]);
      const said = { ann: ["from bob"], bob: ["from ann"] };
      await talks(await scene.open(ann, bob), said);
    });
  }

  for (const kind of ["accept", "confirm", "message"] as const) {
    test(`[SEC-33] ${kind} again after a restart: refused`, async () => {
      const couple = await scene.couple();
      await talks(couple);
      const packet = scene.last(kind, receiverOf(kind, couple));
      const ann = await scene.restart(couple.ann);
      const bob = await scene.restart(couple.bob);
      await scene.release(packet);
      await refuses(kind === "accept" ? ann : bob, SESSION_UNKNOWN);
      assert.deepEqual([...ann.device.texts, ...bob.device.texts], []);
      if (kind !== "message") return await talks(await scene.open(ann, bob));
      // As if Ann had gone on in the session that was lost: it is she who hears of it.
      await bob.device.until("a chat anew", () => bob.device.messenger.chats.length === 1);
      const chat = bob.device.messenger.chats[0] as SecureChat;
      await chat.settled();
      await talks({ ann: bob, bob: ann, chat, theirs: await theirsOf(ann, chat) });
    });
  }

  test("[SEC-30] offer again after a restart: answered, and never confirmed", async () => {
    const couple = await scene.couple();
    await talks(couple);
    const packets = KINDS.map((kind) => scene.last(kind, receiverOf(kind, couple)));
    const bob = await scene.restart(couple.bob);
    for (const packet of packets) await scene.release(packet);
    // The accept is a fresh one: whoever offered has agreed to another one, and says so to nobody.
    await refuses(couple.ann, REPLAYED, REPLAYED);
    await refuses(bob, "SECURE_TAG_INVALID", "SECURE_NOT_OPEN");
    assert.deepEqual(
      bob.device.messenger.chats.map(({ state }) => state),
      ["accepted"],
    );
    assert.deepEqual(bob.device.texts, []);
    await talks(await scene.open(couple.ann, bob), { ann: ["from bob"] });
  });

  test("[SEC-30] everything that was ever said, again: nothing is opened twice", async () => {
    const couple = await scene.couple();
    const { ann, bob, chat, theirs } = couple;
    const said = { ann: ["a", "b", "c"], bob: ["1", "2", "3"] };
    for (const text of said.bob) await chat.send(text);
    for (const text of said.ann) await theirs.send(text);
    await ann.device.until("all", () => ann.device.texts.length === 3);
    await bob.device.until("all", () => bob.device.texts.length === 3);
    const all = [...scene.service.seen];
    assert.equal(all.length, 9);
    for (const packet of all) await scene.release(packet);
    await bob.device.until("all refused", () => refusals(bob).length === 5);
    await ann.device.until("all refused", () => refusals(ann).length === 4);
    assert.deepEqual(new Set([...refusals(ann), ...refusals(bob)]), new Set([REPLAYED]));
    await talks(couple, said);
  });
});
