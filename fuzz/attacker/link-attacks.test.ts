import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { ResumeMode } from "../../gen/posthorn/v1/envelope_pb.ts";
import { encodeFrame, type FrameContents } from "../../protocol/frames.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { helloBytes } from "../../server/testdata/raw-peer.ts";
import { type Attached, attached, goesOn } from "./attached.ts";
import { forgedAlert, onNext, reheaded } from "./attacks.ts";
import { alertsOf, clientCoreOf, rewriteClient, serverCoreOf } from "./hellos.ts";
import { ownLink } from "./own-link.ts";
import { type Attack, type Passing, pass, type RelayedLink, type Side } from "./relay.ts";
import { Scene, until } from "./scene.ts";

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];
const INVALID = "ENVELOPE_RECORD_INVALID";
const TRUNCATED = "ENVELOPE_TRUNCATED";
const REFUSED = "ENVELOPE_RECORD_REFUSED";
const SIDES: readonly Side[] = ["service", "device"];

async function spliceRecords(scene: Scene, to: Side): Promise<void> {
  const devices = [await attached(scene), await attached(scene)];
  const { relay } = scene;
  relay.admit(0);
  const held: Passing[] = [];
  relay.attack = (record) => {
    if (record.to !== to || record.type !== "sealed" || held.length === 2) return pass(record);
    if (held.some(({ link }) => link === record.link)) return;
    held.push(record);
    const [one, other] = held;
    if (one === undefined || other === undefined) return;
    // With the numbers that are due, so that nothing but the keys differs.
    other.link.send(to, reheaded(one, { seq: other.seq }));
    one.link.send(to, reheaded(other, { seq: one.seq }));
  };
  for (const device of devices) device.sendLater("two");
  await until("all have ended", () => {
    return devices.every(({ codes }) => codes.length > 0) && scene.codes.length === 2;
  });
  for (const { codes } of devices) assert.equal(codes[0], to === "device" ? INVALID : REFUSED);
  assert.deepEqual(new Set(scene.codes), new Set([to === "device" ? REFUSED : INVALID]));
  for (const device of devices) {
    if (to === "service") assert.deepEqual(await scene.stored(device.userId), ["one"]);
    else assert.deepEqual(device.received, ["one"]);
  }
  for (const device of devices) await goesOn(scene, device, ["one", "two"]);
}

async function cutLink(scene: Scene, to: Side): Promise<void> {
  const device = await attached(scene);
  const { relay } = scene;
  relay.admit(0);
  relay.attack = onNext(to, "sealed", (record) => {
    relay.attack = () => {};
    pass(record);
    record.link.cut();
  });
  device.sendLater("two");
  await until("both have ended", () => device.codes.length > 0 && scene.codes.length > 0);
  assert.deepEqual([device.codes[0], scene.codes[0]], [TRUNCATED, TRUNCATED]);
  await goesOn(scene, device, ["one", "two"]);
}

async function cutRecord(scene: Scene, to: Side): Promise<void> {
  const device = await attached(scene);
  const { relay } = scene;
  relay.admit(0);
  relay.attack = onNext(to, "sealed", ({ link, bytes }) => {
    relay.attack = () => {};
    link.send(to, bytes.subarray(0, -20));
    link.cut();
  });
  device.sendLater("two");
  await until("both have ended", () => device.codes.length > 0 && scene.codes.length > 0);
  // A message of WebSocket that ends inside a record is no end of the transport. [ENV-11]
  const isMessage = to === "service" && relay.kind === "websocket";
  assert.equal(device.codes[0], TRUNCATED);
  assert.equal(scene.codes[0], isMessage ? "ENVELOPE_MALFORMED" : TRUNCATED);
  if (to === "service") assert.deepEqual(await scene.stored(device.userId), ["one"]);
  else assert.deepEqual(device.received, ["one"]);
  await goesOn(scene, device, ["one", "two"]);
}

async function keepClose(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const { relay } = scene;
  relay.attack = (record) => record.to === "device" && pass(record);
  await device.client.close();
  await until("the service has ended", () => scene.codes.length > 0);
  // With its good-bye the code is the session's; what was kept back is not taken for one.
  assert.deepEqual(scene.codes, [TRUNCATED]);
}

/** Two devices begin at once; each gets what is the other's. */
async function spliceHandshakes(
  scene: Scene,
  {
    to,
    type,
    device,
    service,
  }: Record<"device" | "service", string> & Pick<Passing, "to" | "type">,
): Promise<void> {
  const { relay } = scene;
  const held: Passing[] = [];
  relay.admit(2);
  relay.attack = (record) => {
    if (record.to === to && held.some(({ link }) => link === record.link)) return;
    if (record.type !== type) return pass(record);
    held.push(record);
    const [one, other] = held;
    if (one === undefined || other === undefined) return;
    one.link.send(to, other.bytes);
    other.link.send(to, one.bytes);
  };
  const devices = [await scene.device(), await scene.device()];
  for (const each of devices) each.sendLater("one");
  await until("all have ended", () => {
    return devices.every(({ codes }) => codes.length > 0) && scene.codes.length === 2;
  });
  for (const { codes } of devices) assert.equal(codes[0], device);
  assert.deepEqual(scene.codes, [service, service]);
  for (const link of relay.links.slice(0, 2)) assert.deepEqual(alertsOf(link), { [to]: [40] });
  for (const each of devices) {
    assert.deepEqual([each.received, await scene.stored(each.userId)], [[], []]);
  }
  for (const each of devices) await goesOn(scene, each, ["one"]);
}

const spliceHellos = (scene: Scene) =>
  spliceHandshakes(scene, {
    to: "device",
    type: "serverHello",
    device: "ENVELOPE_SIGNATURE_INVALID",
    service: "ENVELOPE_REFUSED",
  });

const spliceConfirms = (scene: Scene) =>
  spliceHandshakes(scene, {
    to: "service",
    type: "clientFinished",
    device: "ENVELOPE_REFUSED",
    service: "ENVELOPE_CONFIRM_INVALID",
  });

async function repeatLink(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const { link, types } = await ownLink(scene);
  for (const record of device.link.seenFor("service")) link.write(record.bytes.slice());
  await until("the service has ended it", () => types().includes(0));
  // ServerHello, alert, end.
  assert.deepEqual(types(), [2, 5, 0]);
  // The relay sees the end of a link before the service has noted why.
  await until("the service has said why", () => scene.codes.length > 0);
  assert.deepEqual(scene.codes, ["ENVELOPE_CONFIRM_INVALID"]);
  assert.deepEqual(device.codes, [], "the device's own link is none the worse");
  await goesOn(scene, device, ["one"]);
}

/** Does something to a hello of the device's next link, and cuts the one that it has. */
async function attackNext(scene: Scene, device: Attached, attack: Attack): Promise<RelayedLink> {
  const { relay } = scene;
  const before = relay.links.length;
  relay.admit(1);
  relay.attack = attack;
  device.link.cut();
  await until("the next link has ended", () => device.codes.length > 1 && scene.codes.length > 1);
  assert.deepEqual([device.codes[0], scene.codes[0]], [TRUNCATED, TRUNCATED]);
  return relay.links[before] as RelayedLink;
}

/** What a device's second handshake is changed by is found out by the signature. */
async function foundBySignature(scene: Scene, device: Attached, attack: Attack): Promise<void> {
  const link = await attackNext(scene, device, attack);
  assert.equal(device.codes[1], "ENVELOPE_SIGNATURE_INVALID");
  assert.equal(scene.codes[1], "ENVELOPE_REFUSED");
  assert.deepEqual(alertsOf(link), { device: [40] });
  await goesOn(scene, device, ["one"]);
}

async function repeatClientHello(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const [old] = device.link.seenFor("service") as [Passing];
  const attack = onNext("service", "clientHello", ({ link }) => link.send("service", old.bytes));
  await foundBySignature(scene, device, attack);
}

async function repeatServerHello(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const [old] = device.link.seenFor("device") as [Passing];
  const attack = onNext("device", "serverHello", ({ link }) => link.send("device", old.bytes));
  await foundBySignature(scene, device, attack);
}

async function stripTicket(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const none = new Uint8Array(0);
  const attack = onNext("service", "clientHello", (record) => {
    assert.equal(clientCoreOf(record).ticketId.length, 16);
    rewriteClient(record, () => ({ ticketId: none, resumeMode: ResumeMode.UNSPECIFIED }), none);
  });
  await foundBySignature(scene, device, attack);
}

async function breakBinder(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const attack = onNext("service", "clientHello", (record) => {
    rewriteClient(record, () => ({}), new Uint8Array(32));
  });
  await foundBySignature(scene, device, attack);
}

async function repeatTicket(scene: Scene): Promise<void> {
  const device = await attached(scene);
  device.link.cut();
  await device.send("two");
  const resumed = scene.relay.last;
  assert.equal(serverCoreOf(resumed.seenFor("device")[0] as Passing).ticketAccepted, true);
  const { link, types, hello } = await ownLink(scene);
  const [first, ...others] = resumed.seenFor("service") as [Passing, ...Passing[]];
  link.write(first.bytes.slice());
  await until("the service has answered", () => types().length > 0);
  for (const record of others) link.write(record.bytes.slice());
  await until("the service has ended it", () => types().includes(0));
  assert.deepEqual(types(), [2, 5, 0]);
  assert.equal(hello().ticketAccepted, false);
  assert.deepEqual(scene.codes, [TRUNCATED, "ENVELOPE_CONFIRM_INVALID"]);
  assert.deepEqual(device.codes, [TRUNCATED]);
  await goesOn(scene, device, ["one", "two"]);
}

async function stealTicket(scene: Scene): Promise<void> {
  const device = await attached(scene);
  const own = await ownLink(scene);
  let isStolen = false;
  scene.relay.attack = onNext("service", "clientHello", (record) => {
    own.link.write(record.bytes.slice());
    void until("the service has answered", () => own.types().length > 0).then(() => {
      isStolen = own.hello().ticketAccepted;
      pass(record);
    });
  });
  device.link.cut();
  await device.send("two");
  assert.equal(isStolen, true);
  const [answer] = scene.relay.last.seenFor("device") as [Passing];
  assert.equal(serverCoreOf(answer).ticketAccepted, false, "a full handshake is done instead");
  own.link.write(device.link.seenFor("service")[1]?.bytes.slice() as Uint8Array);
  await until("the service has ended it", () => own.types().includes(0));
  assert.deepEqual(own.types(), [2, 5, 0]);
  assert.deepEqual(device.codes, [TRUNCATED]);
  await goesOn(scene, device, ["one", "two"]);
}

const WELCOME: FrameContents["welcome"] = {
  version: 1,
  sessionId: new Uint8Array(16),
  generation: 1,
  outbox: { epoch: 1, through: 0, resultsThrough: 0, results: [] },
  timeline: { epoch: 1, head: 0, floor: 1 },
  resume: { cursor: 0, outcome: { case: "resumed", value: {} } },
  timers: { keepaliveMs: 10_000, idleMs: 30_000, ageMs: 0 },
  submitWindow: { count: 8, bytes: 1_000_000 },
  limits: { frameBytes: 262_144, contentBytes: 1024, calls: 16 },
  userId: "somebody",
  loginAccount: "",
  nowMs: 1,
};

interface Strip {
  readonly how: string;
  readonly device: string;
  /** What the service ends the attacker's link with, where it is asked at all. */
  readonly service: string;
  readonly attack: Attack;
}

/** Ways to make a device believe that the service has no envelope. */
const STRIPS: readonly Strip[] = [
  {
    how: "a hello is answered with a clear Welcome",
    device: "ENVELOPE_MALFORMED",
    service: "",
    attack: ({ link }) => link.send("device", encodeFrame({ kind: "welcome", value: WELCOME })),
  },
  {
    how: "a hello is passed on as a clear Hello, and the refusal passed back",
    device: "ENVELOPE_MALFORMED",
    service: "ENVELOPE_REQUIRED",
    attack: (record) => {
      if (record.type === "clientHello") record.link.send("service", helloBytes());
      else if (record.to === "device") pass(record);
    },
  },
  {
    how: "a hello is answered with an alert that the attacker made up",
    device: "ENVELOPE_REFUSED",
    service: "",
    attack: ({ link }) => link.send("device", forgedAlert()),
  },
  {
    how: "a hello is answered with the end of the transport",
    device: "LINK_LOST",
    service: "",
    attack: ({ link }) => link.cut(),
  },
];

async function stripEnvelope(
  scene: Scene,
  { device: code, service, attack }: Strip,
): Promise<void> {
  const { relay } = scene;
  relay.attack = attack;
  const device = await scene.device();
  const sending = device.send("one");
  await until("it was tried several times", () => device.codes.length >= 3);
  assert.deepEqual(new Set(device.codes), new Set([code]));
  relay.admit(0);
  assert.deepEqual(new Set(scene.codes), new Set(service === "" ? [] : [service]));
  assert.ok(relay.links.length >= 3);
  for (const { seen, from } of relay.links) {
    const types = seen.filter(({ to }) => to === "service").map(({ type }) => type);
    assert.equal(types[0] ?? "clientHello", "clientHello");
    assert.ok(types.slice(1).every((type) => type === "alert"));
    assert.equal(Buffer.concat(from.device).includes(device.userId), false);
  }
  relay.attack = pass;
  relay.admit(Number.POSITIVE_INFINITY);
  await sending;
  await until("one is received", () => device.received.includes("one"));
  await goesOn(scene, device, ["one"]);
}

/** Of a WebSocket alone: its messages hold whole records. */
test("[ENV-11] [ENV-50] a message of WebSocket ends inside a record, which is then not waited for", async () => {
  const scene = await Scene.open("websocket");
  try {
    const device = await attached(scene);
    scene.relay.admit(0);
    scene.relay.attack = onNext("service", "sealed", ({ link, bytes }) => {
      link.send("service", bytes.subarray(0, 40));
      link.send("service", bytes.subarray(40));
    });
    device.sendLater("two");
    await until("both have ended", () => device.codes.length > 0 && scene.codes.length > 0);
    assert.deepEqual([device.codes[0], scene.codes[0]], [REFUSED, "ENVELOPE_MALFORMED"]);
    assert.deepEqual(await scene.stored(device.userId), ["one"]);
    await goesOn(scene, device, ["one", "two"]);
  } finally {
    await scene.close();
  }
});

for (const kind of KINDS) {
  describe(`links on ${kind}`, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.open(kind);
    });
    afterEach(() => scene.clear());
    after(() => scene.close());

    for (const to of SIDES) {
      test(`[ENV-6] the records of two devices change places: ${kind}, for the ${to}`, () =>
        spliceRecords(scene, to));
      test(`[ENV-51] the transport ends without a sealed close: ${kind}, after a record for the ${to}`, () =>
        cutLink(scene, to));
      test(`[ENV-51] the transport ends inside a record: ${kind}, for the ${to}`, () =>
        cutRecord(scene, to));
    }
    test(`[ENV-14] [ENV-20] the hellos of two services' links change places: ${kind}`, () =>
      spliceHellos(scene));
    test(`[ENV-18] [ENV-20] the confirms of two devices change places: ${kind}`, () =>
      spliceConfirms(scene));
    test(`[ENV-51] the device's good-bye is kept back: ${kind}`, () => keepClose(scene));
    test(`[ENV-18] [ENV-20] a whole link is said again to the service: ${kind}`, () =>
      repeatLink(scene));
    test(`[ENV-14] an old hello is said in place of the device's: ${kind}`, () =>
      repeatClientHello(scene));
    test(`[ENV-14] an old hello is said in place of the service's: ${kind}`, () =>
      repeatServerHello(scene));
    test(`[ENV-44] [ENV-46] an old hello with its ticket is said again: ${kind}`, () =>
      repeatTicket(scene));
    test(`[ENV-44] [ENV-46] a device's ticket is used up before it: ${kind}`, () =>
      stealTicket(scene));
    test(`[ENV-14] [ENV-46] the ticket is taken out of a hello: ${kind}`, () => stripTicket(scene));
    test(`[ENV-43] [ENV-44] [ENV-46] a ticket's binder is wrong: ${kind}`, () =>
      breakBinder(scene));
    for (const strip of STRIPS) {
      test(`[ENV-48] [ENV-52] ${strip.how}: ${kind}`, () => stripEnvelope(scene, strip));
    }
  });
}
