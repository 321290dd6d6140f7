import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { LinkKind } from "../../protocol/link.ts";
import {
  flipBit,
  forged,
  forgedAlert,
  onNext,
  reheaded,
  sealedCount,
  withheld,
} from "./attacks.ts";
import { type Attack, pass, type Side } from "./relay.ts";
import { Scene, until } from "./scene.ts";

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];
const SIDES: readonly Side[] = ["service", "device"];
const TEXTS = ["one", "two", "three"];

interface RecordAttack {
  readonly title: string;
  readonly make: (to: Side) => Attack;
  /** Whether what the attacker began with is still whole: then it may be read. */
  readonly isFirstWhole?: boolean;
}

/** On records for either side; each is found out by whoever gets the record. */
const ATTACKS: readonly RecordAttack[] = [
  {
    title: "[ENV-5] [ENV-50] a bit of the ciphertext is turned over",
    make: (to) => onNext(to, "sealed", (record) => flipBit(record, 0)),
  },
  {
    title: "[ENV-5] [ENV-50] a bit of the tag is turned over",
    make: (to) => onNext(to, "sealed", (record) => flipBit(record, -1)),
  },
  {
    title: "[ENV-5] [ENV-6] a record gets another number",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, reheaded(record, { seq: record.seq + 1 }));
      }),
  },
  {
    title: "[ENV-6] [ENV-39] a record gets another epoch",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, reheaded(record, { epoch: 2, seq: 0 }));
      }),
  },
  {
    title: "[ENV-5] a record is shortened, and its header says so",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, reheaded(record, { body: record.body.subarray(0, -16) }));
      }),
  },
  {
    title: "[ENV-5] a record is made longer, and its header says so",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        const body = Buffer.concat([record.body, new Uint8Array(64)]);
        record.link.send(to, reheaded(record, { body }));
      }),
  },
  {
    title: "[ENV-5] of a record nothing but its header comes",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, reheaded(record, { body: new Uint8Array(0) }));
      }),
  },
  {
    title: "[ENV-6] a record is left out",
    make: (to) => onNext(to, "sealed", () => {}),
  },
  {
    title: "[ENV-6] two records change places",
    make: (to) => withheld(to, 2, ([first, second]) => [second, first].forEach(passOn)),
  },
  {
    title: "[ENV-6] [ENV-50] a record comes twice",
    make: (to) => onNext(to, "sealed", (record) => [record, record].forEach(pass)),
    isFirstWhole: true,
  },
  {
    title: "[ENV-6] [ENV-50] an old record comes again, with the number that is due",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        const [old] = record.link.seenFor(to).filter(({ type }) => type === "sealed");
        record.link.send(to, reheaded(old ?? record, { seq: record.seq }));
        pass(record);
      }),
  },
  {
    title: "[ENV-6] a side's own record comes back, with the number that is due",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        const own = record.link.seen.find(
          ({ to: other, type }) => other !== to && type === "sealed",
        );
        record.link.send(to, reheaded(own ?? record, { seq: record.seq }));
        pass(record);
      }),
  },
  {
    title: "[ENV-6] [ENV-50] a record is made up before a true one",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, reheaded(record, { body: forged(record.link, to).subarray(16) }));
        pass(record);
      }),
  },
  {
    title: "[ENV-6] [ENV-49] the alert of a handshake is made up among sealed records",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, forgedAlert());
        pass(record);
      }),
  },
  {
    title: "[ENV-6] [ENV-11] a hello of this link comes again among sealed records",
    make: (to) =>
      onNext(to, "sealed", (record) => {
        record.link.send(to, record.link.seenFor(to)[0]?.bytes as Uint8Array);
        pass(record);
      }),
  },
];

function passOn(record: Parameters<Attack>[0] | undefined): void {
  if (record !== undefined) pass(record);
}

for (const kind of KINDS) {
  describe(`records on ${kind}`, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.open(kind);
    });
    afterEach(() => scene.clear());
    after(() => scene.close());

    for (const to of SIDES) {
      for (const { title, make, isFirstWhole = false } of ATTACKS) {
        test(`${title}: ${kind}, for the ${to}`, async () => {
          await attackRecords(scene, { to, attack: make(to), isFirstWhole });
        });
      }
    }
  });
}

/** A device that is attached is attacked; then the attacker gives up. */
async function attackRecords(
  scene: Scene,
  { to, attack, isFirstWhole }: { to: Side; attack: Attack; isFirstWhole: boolean },
): Promise<void> {
  const { relay, codes } = scene;
  const device = await scene.device();
  await device.send("one");
  await until("one is received", () => device.received.includes("one"));
  const link = relay.last;
  relay.admit(0);
  relay.attack = attack;
  const sending = device.send("two");
  await new Promise((resolve) => setTimeout(resolve, 10));
  const more = device.send("three");

  await until("both sides have ended", () => device.codes.length > 0 && codes.length > 0);
  const [found, told] = ["ENVELOPE_RECORD_INVALID", "ENVELOPE_RECORD_REFUSED"];
  assert.equal(device.codes[0], to === "device" ? found : told);
  assert.deepEqual(codes, [to === "device" ? told : found]);
  // What the finder says last is what the other side could open: the alert, and nothing else.
  const other = to === "device" ? "service" : "device";
  const last = link.seenFor(other).at(-1);
  assert.deepEqual([last?.type, last?.bodyBytes], ["sealed", 80]);
  assert.equal(last?.seq, sealedCount(link, other) - 1);
  // Nor does the transport say why. [ENV-49]
  await until("the transport is ended", () => link.ended.has(to));
  if (relay.kind === "websocket") assert.match(link.ended.get(to) ?? "", /status 100[05]/);

  const before = [...device.received];
  const acknowledged = [...device.acknowledged];
  const stored = await scene.stored(device.userId);
  if (!isFirstWhole) assert.deepEqual(to === "service" ? stored : before, ["one"]);
  assert.deepEqual(before, stored.slice(0, before.length), "nothing but what is stored, in order");
  assert.deepEqual(
    acknowledged.filter((text) => !stored.includes(text)),
    [],
  );

  relay.attack = pass;
  relay.admit(Number.POSITIVE_INFINITY);
  await Promise.all([sending, more]);
  await until("all is received", () => device.received.length >= TEXTS.length);
  assert.deepEqual(device.received, TEXTS);
  assert.deepEqual(await scene.stored(device.userId), TEXTS);
  assert.equal(device.client.status.trust, "pinned");
}
