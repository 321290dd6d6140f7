import assert from "node:assert/strict";
import { pass, type RelayedLink } from "./relay.ts";
import { type Device, type DeviceOptions, type Scene, until } from "./scene.ts";

/** A device, and its first link. */
export type Attached = Device & { readonly link: RelayedLink };

/** A device whose first message has gone there and back. */
export async function attached(
  scene: Scene,
  asked: Partial<DeviceOptions> = {},
): Promise<Attached> {
  const device = await scene.device(asked);
  await device.send("one");
  await until("one is received", () => device.received.includes("one"));
  return Object.assign(device, { link: scene.relay.last });
}

/** The attacker gives up: what was sent arrives once, and what was not acknowledged too. */
export async function goesOn(
  scene: Scene,
  device: Device,
  texts: readonly string[],
): Promise<void> {
  const { relay } = scene;
  assert.deepEqual(device.received, texts.slice(0, device.received.length));
  const stored = await scene.stored(device.userId);
  assert.deepEqual(stored, texts.slice(0, stored.length));
  assert.deepEqual(
    device.acknowledged.filter((text) => !stored.includes(text)),
    [],
  );
  relay.attack = pass;
  relay.admit(Number.POSITIVE_INFINITY);
  await device.send("last");
  await until("all is received", () => device.received.length > texts.length);
  assert.deepEqual(device.received, [...texts, "last"]);
  assert.deepEqual(await scene.stored(device.userId), [...texts, "last"]);
  assert.deepEqual(device.acknowledged, [...texts, "last"]);
  assert.equal(device.client.status.trust, "pinned");
}
