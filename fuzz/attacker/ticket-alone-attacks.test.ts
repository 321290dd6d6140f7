import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, describe, test } from "node:test";
import type { ServiceEnvelope } from "../../client/service-envelope.ts";
import { ResumeMode } from "../../gen/posthorn/v1/envelope_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { CLIENT_RANDOMNESS_BYTES, ClientEnvelope } from "../../protocol/envelope/client.ts";
import { SUITE_TICKET_ONLY, SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { type Attached, attached, goesOn } from "./attached.ts";
import { onNext } from "./attacks.ts";
import { alertsOf, clientCoreOf, rewriteClient, serverCoreOf } from "./hellos.ts";
import { type OwnLink, ownLink } from "./own-link.ts";
import { type Passing, pass, type RelayedLink } from "./relay.ts";
import { Scene, until } from "./scene.ts";

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];
const TRUNCATED = "ENVELOPE_TRUNCATED";
/** Types of records, and the end: an alert and nothing else. */
const REFUSED = [5, 0];

/** Comes back with its ticket alone where it has one. [ENV-45] */
function ticketOnly(envelope: ServiceEnvelope): ServiceEnvelope {
  const offer = envelope.offer.bind(envelope);
  envelope.offer = (...asked) => {
    const offered = offer(...asked);
    return { ...offered, ticketOnly: offered.ticket !== undefined };
  };
  return envelope;
}

const attachedAlone = (scene: Scene) => attached(scene, { envelope: ticketOnly(scene.envelope()) });

/** A hello like the device's one, of somebody who does not have the ticket's secret. */
function guessedHello(ticketId: Uint8Array): Uint8Array {
  const ticket = { ticketId, psk: randomBytes(32), suite: SUITE_XWING_AES256, expiresMs: 1e15 };
  const options = {
    suites: [SUITE_XWING_AES256],
    expects: { kind: "none" },
    ticket,
    ticketOnly: true,
    randomness: randomBytes(CLIENT_RANDOMNESS_BYTES),
  } as const;
  const [effect] = new ClientEnvelope(NATIVE_CRYPTO, options, 0).effects();
  assert.equal(effect?.kind, "write");
  return (effect as { readonly bytes: Uint8Array }).bytes;
}

/** Says something on a link of the attacker's own; the records that came until its end. */
async function answered(own: OwnLink, bytes: Uint8Array): Promise<number[]> {
  own.link.write(Uint8Array.from(bytes));
  await until("the service has ended it", () => own.types().includes(0));
  return own.types();
}

/** How the hellos of a link went: what was asked for, and whether the ticket was in force. */
function resumption(link: RelayedLink) {
  const [hello] = link.seenFor("service") as [Passing];
  const [answer] = link.seenFor("device") as [Passing];
  const { offers, resumeMode } = clientCoreOf(hello);
  const isAlone = offers.length === 0 && resumeMode === ResumeMode.PSK_ONLY;
  if (answer.type === "alert") return { isAlone, isAccepted: false };
  const { ticketAccepted, suite } = serverCoreOf(answer);
  if (isAlone) assert.equal(suite, SUITE_TICKET_ONLY);
  return { isAlone, isAccepted: ticketAccepted };
}

/** Before the device's next hello goes on, does something with it; then all is as before. */
async function comesBack(
  scene: Scene,
  device: Attached,
  act: (hello: Passing) => Promise<void>,
): Promise<RelayedLink> {
  const { relay } = scene;
  const index = relay.links.length;
  let acting: Promise<void> | undefined;
  relay.attack = onNext("service", "clientHello", (record) => {
    acting = act(record).then(() => pass(record));
  });
  device.link.cut();
  await device.send("two");
  await acting;
  return relay.links[index] as RelayedLink;
}

async function honest(scene: Scene): Promise<void> {
  const device = await attachedAlone(scene);
  const link = await comesBack(scene, device, async () => {});
  assert.deepEqual(resumption(link), { isAlone: true, isAccepted: true });
  assert.deepEqual(device.codes, [TRUNCATED]);
  await goesOn(scene, device, ["one", "two"]);
}

async function repeatHello(scene: Scene): Promise<void> {
  const device = await attachedAlone(scene);
  const link = await comesBack(scene, device, async () => {});
  const said = link.seenFor("service");
  const whole = Buffer.concat(said.map(({ bytes }) => bytes));
  for (const bytes of [said[0]?.bytes as Uint8Array, whole]) {
    assert.deepEqual(await answered(await ownLink(scene), bytes), REFUSED);
  }
  // At once the confirm comes while the ticket is looked for, where it has no place. [ENV-11]
  assert.deepEqual(scene.codes, [TRUNCATED, "ENVELOPE_SUITE_REFUSED", "ENVELOPE_MALFORMED"]);
  assert.deepEqual(device.codes, [TRUNCATED], "the device's own link is none the worse");
  await goesOn(scene, device, ["one", "two"]);
}

/** Wrong binders before the device's own hello; the third one deletes the ticket. */
async function guess(scene: Scene, count: number): Promise<void> {
  const device = await attachedAlone(scene);
  const answers: number[][] = [];
  const link = await comesBack(scene, device, async (hello) => {
    const { ticketId } = clientCoreOf(hello);
    assert.equal(ticketId.length, 16, "everybody on the way can read it");
    for (let attempt = 0; attempt < count; attempt += 1) {
      answers.push(await answered(await ownLink(scene), guessedHello(ticketId)));
    }
  });
  assert.deepEqual(answers, new Array(count).fill(REFUSED));
  const isGone = count >= 3;
  assert.deepEqual(resumption(link), { isAlone: true, isAccepted: !isGone });
  assert.deepEqual(device.codes, isGone ? [TRUNCATED, "ENVELOPE_REFUSED"] : [TRUNCATED]);
  if (isGone) {
    assert.deepEqual(alertsOf(link), { service: [40] });
    // There is no other ticket: a full handshake.
    assert.deepEqual(resumption(scene.relay.last), { isAlone: false, isAccepted: false });
  }
  await goesOn(scene, device, ["one", "two"]);
}

/** The hello itself is stolen: it uses the ticket up, and opens nothing. */
async function steal(scene: Scene): Promise<void> {
  const device = await attachedAlone(scene);
  const own = await ownLink(scene);
  const link = await comesBack(scene, device, async (hello) => {
    own.link.write(Uint8Array.from(hello.bytes));
    await until("the service has answered", () => own.types().length > 0);
  });
  assert.equal(own.hello().ticketAccepted, true);
  assert.deepEqual(resumption(link), { isAlone: true, isAccepted: false });
  assert.deepEqual(device.codes, [TRUNCATED, "ENVELOPE_REFUSED"]);
  const old = device.link.seenFor("service")[1]?.bytes as Uint8Array;
  assert.deepEqual(await answered(own, old), [2, 5, 0], "an old confirm is none of this link");
  assert.ok(scene.codes.includes("ENVELOPE_CONFIRM_INVALID"));
  await goesOn(scene, device, ["one", "two"]);
}

/** The binder covers the hello: a changed one is a wrong binder. */
async function change(scene: Scene): Promise<void> {
  const device = await attachedAlone(scene);
  const { relay } = scene;
  const index = relay.links.length;
  relay.attack = onNext("service", "clientHello", (record) => {
    rewriteClient(record, () => ({ clientRandom: new Uint8Array(32) }));
  });
  device.link.cut();
  await device.send("two");
  const link = relay.links[index] as RelayedLink;
  assert.deepEqual(resumption(link), { isAlone: true, isAccepted: false });
  assert.deepEqual(alertsOf(link), { service: [40] });
  assert.deepEqual(device.codes, [TRUNCATED, "ENVELOPE_REFUSED"]);
  await goesOn(scene, device, ["one", "two"]);
}

for (const kind of KINDS) {
  describe(`a ticket alone on ${kind}`, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.open(kind);
    });
    afterEach(() => scene.clear());
    after(() => scene.close());

    test(`[ENV-45] nobody in between does anything: ${kind}`, () => honest(scene));
    test(`[ENV-44] [ENV-46] the hello is said again, and the whole link: ${kind}`, () =>
      repeatHello(scene));
    for (const count of [1, 2, 3, 4]) {
      test(`[ENV-43] [ENV-44] [ENV-46] ${count} of who knows its name, and not its secret: ${kind}`, () =>
        guess(scene, count));
    }
    test(`[ENV-18] [ENV-44] [ENV-46] the hello is stolen: ${kind}`, () => steal(scene));
    test(`[ENV-43] [ENV-46] the hello is changed: ${kind}`, () => change(scene));
  });
}
