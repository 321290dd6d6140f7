import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { LinkKind } from "../../protocol/link.ts";
import { EvilScene, refusals, refuses, talks } from "./evil-scene.ts";
import type { PassingPacket } from "./evil-service.ts";
import { Impersonation } from "./impersonation.ts";

let scene: EvilScene;
before(async () => {
  scene = await EvilScene.open();
});
afterEach(() => scene.clear());
after(() => scene.close());

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];

for (const kind of KINDS) {
  describe(`a service that lies, over ${kind}`, () => {
    test("[SEC-30] [SEC-54] everything again, in any name: refused, and the chat goes on", async () => {
      const couple = await scene.couple({ kind });
      const { ann, bob } = couple;
      const stranger = await scene.party({ kind });
      await talks(couple);
      const said = [...scene.service.seen];
      assert.equal(said.length, 5);
      for (const packet of said) {
        await scene.release(packet);
        await scene.release(packet, { from: stranger.address });
      }
      await ann.device.until("all refused", () => refusals(ann).length === 4);
      await bob.device.until("all refused", () => refusals(bob).length === 6);
      const codes = new Set([...refusals(ann), ...refusals(bob)]);
      assert.deepEqual(codes, new Set(["SECURE_REPLAYED", "SECURE_PEER_UNKNOWN"]));
      await talks(couple, { ann: ["from bob"], bob: ["from ann"] });
    });

    test("[SEC-26] [SEC-52] a changed packet of each kind before the right one", async () => {
      for (const what of ["offer", "accept", "confirm", "message"] as const) {
        const [ann, bob] = [await scene.party({ kind }), await scene.party({ kind })];
        const stuck = await scene.stuck(what, ann, bob);
        const receiver = what === "accept" ? ann : bob;
        const early = refusals(receiver);
        await scene.release(flipped(stuck.held));
        await receiver.device.until("no", () => refusals(receiver).length === early.length + 1);
        await scene.goesOn(stuck, what === "message" ? { bob: ["early"] } : {});
      }
    });

    test("[SEC-11] other keys for a known account: told, and nothing goes", async () => {
      const couple = await scene.couple({ kind });
      const { ann, bob } = couple;
      await talks(couple);
      const between = await Impersonation.begin(scene.service, ann, bob);
      between.offer();
      await refuses(bob, "PEER_IDENTITY_CHANGED");
      await assert.rejects(couple.theirs.send("to whom"));
      assert.deepEqual(between.read, []);
    });
  });
}

function flipped(packet: PassingPacket): PassingPacket {
  const bytes = Uint8Array.from(packet.bytes);
  bytes[bytes.length - 9] = (bytes.at(-9) as number) ^ 0x10;
  return { ...packet, bytes };
}
