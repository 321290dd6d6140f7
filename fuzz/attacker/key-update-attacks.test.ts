import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { ClientEnvelope } from "../../protocol/envelope/client.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { attached, goesOn } from "./attached.ts";
import { reheaded } from "./attacks.ts";
import { type Attack, type Passing, pass, type Side } from "./relay.ts";
import { Scene, until } from "./scene.ts";

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];
const SIDES: readonly Side[] = ["service", "device"];

/** The last record of an epoch, and the first one of the next. */
type Update = readonly [update: Passing, next: Passing];

interface UpdateAttack {
  readonly title: string;
  readonly act: (around: Update) => void;
}

const again = (record: Passing, bytes: Uint8Array) => record.link.send(record.to, bytes);

const ATTACKS: readonly UpdateAttack[] = [
  { title: "[ENV-6] [ENV-39] the update is left out", act: ([, next]) => pass(next) },
  {
    title: "[ENV-6] [ENV-39] the update is left out, and its place taken",
    act: ([{ epoch, seq }, next]) => again(next, reheaded(next, { epoch, seq })),
  },
  {
    title: "[ENV-6] [ENV-39] the update comes twice",
    act: ([update, next]) => [update, update, next].forEach(pass),
  },
  {
    title: "[ENV-6] [ENV-39] the update comes again, as the first of the next epoch",
    act: ([update, next]) => {
      pass(update);
      again(next, reheaded(update, { epoch: next.epoch, seq: 0 }));
      pass(next);
    },
  },
  {
    title: "[ENV-6] [ENV-39] the update comes after the record that follows it",
    act: ([update, next]) => [next, update].forEach(pass),
  },
  {
    title: "[ENV-6] [ENV-39] what follows the update is said to be of the old epoch",
    act: ([update, next]) => {
      pass(update);
      again(next, reheaded(next, { epoch: update.epoch, seq: update.seq + 1 }));
    },
  },
  {
    title: "[ENV-6] [ENV-39] what follows the update is said to be of a later epoch",
    act: ([update, next]) => {
      pass(update);
      again(next, reheaded(next, { epoch: next.epoch + 1 }));
    },
  },
];

/** Acts on the next key update for a side, which shows in the epochs of the headers. */
function aroundUpdate(to: Side, act: (around: Update) => void): Attack {
  let held: Passing | undefined;
  let isDone = false;
  return (record) => {
    if (isDone || record.to !== to || record.type !== "sealed") return pass(record);
    const before = held;
    held = record;
    if (before === undefined) return;
    if (before.epoch === record.epoch) return pass(before);
    isDone = true;
    act([before, record]);
  };
}

/** Devices that ask for new keys before all that they write. */
const write = ClientEnvelope.prototype.write;
before(() => {
  ClientEnvelope.prototype.write = function (bytes) {
    this.updateKeys();
    write.call(this, bytes);
  };
});
after(() => {
  ClientEnvelope.prototype.write = write;
});

async function attackUpdate(
  scene: Scene,
  { to, act }: { readonly to: Side; readonly act: UpdateAttack["act"] },
): Promise<void> {
  const { relay, codes } = scene;
  const device = await attached(scene);
  for (const side of SIDES) {
    const epochs = device.link.seenFor(side).map(({ epoch }) => epoch);
    assert.ok(Math.max(...epochs) > 1, `there are new keys for the ${side}`);
  }
  relay.admit(0);
  relay.attack = aroundUpdate(to, act);
  device.sendLater("two");
  await until("both have ended", () => device.codes.length > 0 && codes.length > 0);
  const [found, told] = ["ENVELOPE_RECORD_INVALID", "ENVELOPE_RECORD_REFUSED"];
  assert.equal(device.codes[0], to === "device" ? found : told);
  assert.deepEqual(codes, [to === "device" ? told : found]);
  const finder = device.link.seenFor(to === "device" ? "service" : "device");
  assert.deepEqual([finder.at(-1)?.type, finder.at(-1)?.bodyBytes], ["sealed", 80], "an alert");
  if (to === "service") assert.deepEqual(await scene.stored(device.userId), ["one"]);
  else assert.deepEqual(device.received, ["one"]);
  await goesOn(scene, device, ["one", "two"]);
}

for (const kind of KINDS) {
  describe(`key updates on ${kind}`, () => {
    let scene: Scene;
    before(async () => {
      scene = await Scene.open(kind);
    });
    afterEach(() => scene.clear());
    after(() => scene.close());

    test(`[ENV-39] nobody in between does anything: ${kind}`, async () => {
      const device = await attached(scene);
      await goesOn(scene, device, ["one"]);
      assert.deepEqual(device.codes, []);
    });
    for (const to of SIDES) {
      for (const { title, act } of ATTACKS) {
        test(`[ENV-50] ${title}: ${kind}, for the ${to}`, () => attackUpdate(scene, { to, act }));
      }
    }
  });
}
