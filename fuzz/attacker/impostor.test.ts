import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import type { Dialer } from "../../client/dialer.ts";
import type { KnownService } from "../../client/known-service.ts";
import { sealed } from "../../client/links/sealed.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import type { ServiceMemory } from "../../client/service-envelope.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { alertsOf, serverCoreOf } from "./hellos.ts";
import { Impostor } from "./impostor.ts";
import { type Passing, pass, type RelayedLink } from "./relay.ts";
import { type Device, Scene, until } from "./scene.ts";

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];
const CHANGED = "SERVER_IDENTITY_CHANGED";
const TOKEN = "a-token-that-nobody-else-may-see";

function memory(): ServiceMemory {
  let known: KnownService | undefined;
  return {
    load: () => known,
    save: (now) => {
      known = now;
    },
  };
}

for (const kind of KINDS) {
  describe(`somebody in between with a key of their own on ${kind}`, () => {
    let scene: Scene;
    let impostor: Impostor;
    before(async () => {
      scene = await Scene.open(kind);
    });
    beforeEach(() => {
      impostor = new Impostor(scene.relay.service, 7);
    });
    afterEach(async () => {
      await scene.clear();
      impostor.close();
    });
    after(() => scene.close());

    test(`[ENV-16] [ENV-20] [ENV-29] a device with a pin stops loudly, and goes on when they are gone: ${kind}`, async () => {
      scene.relay.attack = impostor.attack;
      const device = await scene.device();
      await stopsLoudly(scene, { device, impostor });
      // Told again, without the pin or with it, it is not tried again by itself.
      assert.equal(scene.relay.links.length, 1);
      const { userId } = device;
      scene.relay.attack = pass;
      const journal = memoryJournal(device.journal.state);
      const next = await scene.device({ userId, journal });
      await next.send("two");
      await until("all is received", () => next.received.length === 2);
      assert.deepEqual(next.received, ["one", "two"]);
      assert.deepEqual(await scene.stored(userId), ["one", "two"]);
    });

    test(`[ENV-29] [ENV-32] a device that has seen the service before stops loudly: ${kind}`, async () => {
      const known = memory();
      const envelope = scene.envelope({ trust: "first-seen", memory: known });
      const first = await scene.device({ envelope });
      await first.send("one");
      assert.equal(first.client.status.trust, "first-seen");
      scene.relay.attack = impostor.attack;
      scene.relay.last.cut();
      await until("it has ended", () => first.codes.includes(CHANGED));
      assert.deepEqual(first.codes.slice(0, 2), ["ENVELOPE_TRUNCATED", CHANGED]);
      assert.equal(impostor.text.length, 0);
      scene.relay.attack = pass;
      const again = scene.envelope({ trust: "first-seen", memory: known });
      const journal = memoryJournal(first.journal.state);
      const next = await scene.device({ userId: first.userId, envelope: again, journal });
      await next.send("two");
      assert.equal(next.client.status.trust, "seen-before");
      assert.deepEqual(await scene.stored(first.userId), ["one", "two"]);
    });

    test(`[ENV-29] [ENV-32] a device that met them first is theirs until they are gone, and stops loudly then: ${kind}`, async () => {
      const envelope = scene.envelope({ trust: "first-seen", memory: memory() });
      scene.relay.attack = impostor.attack;
      const device = await scene.device({ envelope });
      await device.send("one");
      assert.equal(device.client.status.trust, "first-seen");
      assert.ok(impostor.text.includes("one"));
      scene.relay.attack = pass;
      scene.relay.last.cut();
      await until("it has ended", () => device.codes.includes(CHANGED));
      const [, link] = scene.relay.links as [RelayedLink, RelayedLink];
      assert.deepEqual(alertsOf(link), { device: [40] });
    });

    // What chapter 11.11 does not claim: the link is theirs. It says so, and no secret goes on it.
    test(`[ENV-32] a device without a pin is read by them, and is told how far it may trust: ${kind}`, async () => {
      scene.relay.attack = impostor.attack;
      const device = await scene.device({ envelope: scene.envelope({ trust: "none" }) });
      await device.send("one");
      assert.equal(device.client.status.trust, "none");
      assert.ok(impostor.text.includes("one"));
      assert.deepEqual(await scene.stored(device.userId), ["one"]);
    });

    for (const trust of ["none", "first-seen"] as const) {
      test(`[ENV-32] no token leaves on a link of trust ${trust}: ${kind}`, async () => {
        scene.relay.attack = impostor.attack;
        const envelope = scene.envelope({ trust });
        const dialer = sealed(elsewhere(scene.way), envelope);
        const device = await scene.device({ envelope, dialer, token: TOKEN });
        await assert.rejects(device.send("one"), /LINK_NOT_TRUSTED/);
        await until("it has ended", () => scene.relay.last.ended.has("device"));
        assert.deepEqual(device.codes, ["LINK_NOT_TRUSTED"]);
        assert.equal(impostor.text.length, 0, "nothing at all was said");
        assert.equal(device.acknowledged.length, 0);
      });
    }

    test(`[ENV-6] [ENV-14] with the service's public keys in their hello they sign nothing: ${kind}`, async () => {
      // The keys of the true service, and the impostor's signature.
      const honest = await scene.device();
      await honest.send("one");
      const [hello] = scene.relay.last.seenFor("device") as [Passing];
      Object.assign(impostor.identity, { keys: serverCoreOf(hello).serverKeys });
      scene.relay.attack = impostor.attack;
      const device = await scene.device();
      device.sendLater("one");
      await until("it has ended", () => device.codes.length > 0);
      assert.equal(device.codes[0], "ENVELOPE_SIGNATURE_INVALID");
      assert.deepEqual([impostor.text.length, device.acknowledged], [0, []]);
    });
  });
}

async function stopsLoudly(
  scene: Scene,
  { device, impostor }: { readonly device: Device; readonly impostor: Impostor },
): Promise<void> {
  await assert.rejects(device.send("one"), /SERVER_IDENTITY_CHANGED/);
  assert.deepEqual(device.codes, [CHANGED]);
  assert.deepEqual(device.acknowledged, []);
  assert.deepEqual(await scene.stored(device.userId), []);
  await until("they know", () => impostor.codes.length > 0);
  assert.deepEqual(impostor.codes, ["ENVELOPE_REFUSED"], "an alert is all that they got");
  const [link] = scene.relay.links as [RelayedLink];
  assert.deepEqual(alertsOf(link), { device: [40] });
  assert.equal(impostor.text.length, 0);
}

/** The same way under an address that is not this machine's: tokens care. */
function elsewhere(dialer: Dialer): Dialer {
  return { ...dialer, address: dialer.address.replace("127.0.0.1", "192.0.2.1") };
}
