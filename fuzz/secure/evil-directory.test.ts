import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { SecureChat } from "../../client/secure/chat.ts";
import { drawSeeds, type SecureSeeds } from "../../client/secure/identity.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import type { DeviceCertificate } from "../../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { ED25519_SIGNATURE_BYTES } from "../../protocol/envelope/ed25519-form.ts";
import type { Plain } from "../../protocol/plain.ts";
import { certify, type SecureKeys, SecureSigner } from "../../protocol/secure/identity.ts";
import { judgeSafetyCode, safetyCode } from "../../protocol/secure/safety-number.ts";
import { EvilScene, type Party, refusals, refuses, talks } from "./evil-scene.ts";
import { Impersonation } from "./impersonation.ts";

let scene: EvilScene;
before(async () => {
  scene = await EvilScene.open();
});
afterEach(() => scene.clear());
after(() => scene.close());

const DAY_MS = 86_400_000;
const CHANGED = "PEER_IDENTITY_CHANGED";
const UNKNOWN = "SECURE_PEER_UNKNOWN";
const CERTIFICATE = "CERTIFICATE_INVALID";
const EXPIRED = "SECURE_EXPIRED";

type Certificate = Plain<DeviceCertificate>;

function signerOf({ ed25519, mlDsa65 }: SecureSeeds): SecureSigner {
  return new SecureSigner(NATIVE_CRYPTO.ed25519Key(ed25519), NATIVE_CRYPTO.mlDsa65Key(mlDsa65));
}

/** A certificate of a device of a party's, as it is unless something is said. */
function certificateOf(
  { device, account }: Party,
  changed: {
    readonly by?: SecureSigner;
    readonly keys?: SecureKeys;
    readonly deviceId?: string;
    readonly createdMs?: number;
    readonly expiresMs?: number;
  } = {},
): Certificate {
  const { by = signerOf(account), createdMs = Date.now(), expiresMs = 0 } = changed;
  const { keys, deviceId } = { ...device.identity.device, ...changed };
  const named = { userId: device.identity.device.userId, deviceId, keys };
  return certify(NATIVE_CRYPTO, by, { device: named, createdMs, expiresMs });
}

/** What the directory says of a party from now on. */
function listed(
  { address }: Party,
  said: { readonly accountKey?: SecureKeys; readonly devices?: readonly Certificate[] },
): void {
  scene.service.directory = (response, about, asker) => {
    const isAbout = about === address.userId && asker.userId !== address.userId;
    return isAbout ? { ...response, ...said } : response;
  };
}

/** A device asks another one for a chat, and there is none. @returns with which code */
async function refusedChat(ann: Party, to: { userId: string; deviceId: string }): Promise<string> {
  const chat = ann.device.messenger.secureChat(to);
  await chat.settled();
  assert.equal(chat.state, "closed");
  return nameOf(chat.code);
}

function nameOf(code: ErrorCode | undefined): string {
  return errorRule(code ?? ErrorCode.UNSPECIFIED).name;
}

/** The application is told that an account is another one. */
async function told({ device }: Party): Promise<void> {
  const isTold = () => device.events.some(({ kind }) => kind === "secure-identity-changed");
  await device.until("it is not told", isTold);
}

function keysOf({ device }: Party): SecureKeys {
  assert.ok(device.identity.accountKey);
  return device.identity.accountKey;
}

/** Lies about a device of Bob's, and what Ann says to a chat with it. */
const LISTS: Readonly<
  Record<
    string,
    readonly [string, string, (bob: Party, other: Party) => Parameters<typeof listed>[1]]
  >
> = {
  "without devices": ["SEC-32", UNKNOWN, () => ({ devices: [] })],
  "with another key of the device, vouched for by nobody it knows": [
    "SEC-8",
    CERTIFICATE,
    (bob) => {
      const by = signerOf(drawSeeds());
      return { devices: [certificateOf(bob, { by, keys: signerOf(drawSeeds()).keys })] };
    },
  ],
  "with another key of the device, vouched for by itself": [
    "SEC-8",
    CERTIFICATE,
    (bob) => {
      const by = signerOf(drawSeeds());
      return { devices: [certificateOf(bob, { by, keys: by.keys })] };
    },
  ],
  "with the right core under another user's signature": [
    "SEC-8",
    CERTIFICATE,
    (bob, other) => ({ devices: [certificateOf(bob, { by: signerOf(other.account) })] }),
  ],
  "with a certificate of which the signature is another one's": [
    "SEC-8",
    CERTIFICATE,
    (bob) => {
      const [one, earlier] = [certificateOf(bob), certificateOf(bob, { createdMs: 1 })];
      return { devices: [{ core: one.core, signature: earlier.signature }] };
    },
  ],
  "with the Ed25519 half of the signature alone": [
    "SEC-6",
    CERTIFICATE,
    (bob) => {
      const { core, signature } = certificateOf(bob);
      return { devices: [{ core, signature: signature.subarray(0, ED25519_SIGNATURE_BYTES) }] };
    },
  ],
  "with the ML-DSA half of the signature wrong": [
    "SEC-6",
    CERTIFICATE,
    (bob) => ({ devices: [halved(bob, "ed25519")] }),
  ],
  "with the Ed25519 half of the signature wrong": [
    "SEC-6",
    CERTIFICATE,
    (bob) => ({ devices: [halved(bob, "mlDsa65")] }),
  ],
  "with a certificate that has ended": [
    "SEC-9",
    EXPIRED,
    (bob) => {
      const nowMs = Date.now();
      const times = { createdMs: nowMs - 2 * DAY_MS, expiresMs: nowMs - DAY_MS };
      return { devices: [certificateOf(bob, times)] };
    },
  ],
  "with a certificate of tomorrow": [
    "SEC-9",
    CERTIFICATE,
    (bob) => ({ devices: [certificateOf(bob, { createdMs: Date.now() + DAY_MS })] }),
  ],
  "with the certificate of another user's device": [
    "SEC-9",
    CERTIFICATE,
    (_, other) => ({ devices: [certificateOf(other)] }),
  ],
  "with the account and the certificate of another user": [
    "SEC-9",
    CERTIFICATE,
    (_, other) => ({ accountKey: keysOf(other), devices: [certificateOf(other)] }),
  ],
  "with another device of the same account only": [
    "SEC-32",
    UNKNOWN,
    (bob) => ({ devices: [certificateOf(bob, { deviceId: "tablet" })] }),
  ],
  "with an account key without its ML-DSA half": [
    "SEC-6",
    UNKNOWN,
    (bob) => ({ accountKey: { ...keysOf(bob), mlDsa65: new Uint8Array(0) } }),
  ],
  "with an account key of two accounts' halves": [
    "SEC-6",
    CERTIFICATE,
    (bob, other) => ({ accountKey: { ...keysOf(bob), mlDsa65: keysOf(other).mlDsa65 } }),
  ],
};

/** A certificate with one half of its signature right, and the other made by somebody else. */
function halved(party: Party, right: keyof SecureSeeds): Certificate {
  const seeds = { ...drawSeeds(), [right]: party.account[right] };
  return certificateOf(party, { by: signerOf(seeds) });
}

describe("a service that lies about keys", () => {
  test("[SEC-12] [SEC-13] both accounts' keys at first contact: it reads all, comparing tells", async () => {
    const [ann, bob] = [await scene.party(), await scene.party()];
    const between = await Impersonation.begin(scene.service, ann, bob);
    const chat = ann.device.messenger.secureChat(bob.address);
    await chat.settled();
    await bob.device.until("a chat", () => bob.device.messenger.chats.some(({ isOpen }) => isOpen));
    const theirs = bob.device.messenger.chats[0] as SecureChat;
    assert.deepEqual([chat.trust, theirs.trust], ["first-seen", "first-seen"]);
    assert.notDeepEqual(chat.sessionId, theirs.sessionId);
    // Nothing of the protocol finds out: this is what 12.6 does not claim.
    await talks({ ann, bob, chat, theirs });
    assert.deepEqual(new Set(between.read), new Set(["from ann", "from bob"]));
    assert.deepEqual([refusals(ann), refusals(bob)], [[], []]);
    const { messenger: annMessenger } = ann.device;
    const { messenger: bobMessenger } = bob.device;
    const annSees = await annMessenger.safetyNumber(bob.address.userId);
    const bobSees = await bobMessenger.safetyNumber(ann.address.userId);
    assert.notEqual(annSees.digits, bobSees.digits);
    const scanned = await scan(ann, bob);
    assert.equal(scanned, "different");
    scene.service.reset();
    const honest = await annMessenger.devicesOf(bob.address.userId);
    assert.equal(honest?.trust, "changed");
  });

  test("[SEC-12] [SEC-13] an honest first contact: the same numbers on both sides", async () => {
    const { ann, bob } = await scene.couple();
    const annSees = await ann.device.messenger.safetyNumber(bob.address.userId);
    const bobSees = await bob.device.messenger.safetyNumber(ann.address.userId);
    assert.equal(annSees.digits, bobSees.digits);
    assert.equal(await scan(ann, bob), "same");
  });

  test("[SEC-11] both accounts' keys once they are known: told, and nothing begins", async () => {
    const couple = await scene.couple();
    const { ann, bob, chat } = couple;
    await talks(couple);
    const between = await Impersonation.begin(scene.service, ann, bob);
    assert.equal(await refusedChat(ann, bob.address), CHANGED);
    assert.equal(await refusedChat(bob, ann.address), CHANGED);
    // The one that was open ends too: whoever the service says that Bob is, it is not who was met.
    assert.equal(nameOf(chat.code), CHANGED);
    await assert.rejects(chat.send("to whom"));
    assert.deepEqual(between.read, []);
    for (const party of [ann, bob]) await told(party);
    scene.service.reset();
    await talks(await scene.open(ann, bob), { ann: ["from bob"], bob: ["from ann"] });
  });

  test("[SEC-11] an offer under other keys of a known account: told, and refused", async () => {
    const couple = await scene.couple();
    const { ann, bob } = couple;
    await talks(couple);
    const between = await Impersonation.begin(scene.service, ann, bob);
    between.offer();
    await refuses(bob, CHANGED);
    assert.deepEqual(
      bob.device.messenger.chats.filter(({ isOpen }) => isOpen),
      [],
    );
  });

  for (const [what, [id, code, lie]] of Object.entries(LISTS)) {
    test(`[${id}] a list ${what}: no chat, either way`, async () => {
      const [ann, bob, other] = [await scene.party(), await scene.party(), await scene.party()];
      listed(bob, lie(bob, other));
      assert.equal(await refusedChat(ann, bob.address), code);
      // Nor does Ann answer him.
      const refused = bob.device.messenger.secureChat(ann.address);
      const inOffer = code === CERTIFICATE || code === EXPIRED ? [code, UNKNOWN] : [code];
      await ann.device.until("his offer is refused", () => refusals(ann).length === 1);
      assert.ok(inOffer.includes(refusals(ann)[0] ?? ""), refusals(ann)[0]);
      assert.deepEqual(ann.device.messenger.chats, []);
      await refused.close();
      scene.service.reset();
      await talks(await scene.open(ann, bob));
    });
  }

  test("[SEC-11] another user's account and certificate for a known one: told", async () => {
    const couple = await scene.couple();
    const { ann, bob } = couple;
    const other = await scene.party();
    listed(bob, { accountKey: keysOf(other), devices: [certificateOf(other)] });
    assert.equal(await refusedChat(ann, bob.address), CHANGED);
    await told(ann);
  });

  test("[SEC-8] a device more that the account does not vouch for is not one", async () => {
    const [ann, bob] = [await scene.party(), await scene.party()];
    const by = signerOf(drawSeeds());
    const tablet = certificateOf(bob, { by, keys: by.keys, deviceId: "tablet" });
    listed(bob, { devices: [tablet, certificateOf(bob)] });
    const found = await ann.device.messenger.devicesOf(bob.address.userId);
    assert.deepEqual(
      found?.devices.map(({ deviceId }) => deviceId),
      ["phone"],
    );
    assert.equal(await refusedChat(ann, { ...bob.address, deviceId: "tablet" }), CERTIFICATE);
    await talks(await scene.open(ann, bob));
  });

  test("[SEC-17] a certificate of the same device with keys that it had before", async () => {
    const [ann, bob] = [await scene.party(), await scene.party()];
    const former = certificateOf(bob, { keys: signerOf(drawSeeds()).keys, createdMs: 1 });
    listed(bob, { devices: [former] });
    const chat = ann.device.messenger.secureChat(bob.address);
    // It was vouched for once: Ann cannot know. The offer is for a device that is no more.
    await refuses(bob, UNKNOWN);
    assert.equal(chat.state, "offered");
    assert.deepEqual(bob.device.messenger.chats, []);
    scene.service.reset();
    await chat.close();
    await talks(await scene.open(ann, bob));
  });
});

describe("a service that lies about who is there", () => {
  test("[SEC-35] a device that was taken out stays listed: its chat goes on until it is not", async () => {
    const couple = await scene.couple();
    const { ann, bob, chat } = couple;
    const desk = await scene.party({ userId: bob.address.userId, deviceId: "desk" });
    const devices = [certificateOf(bob), certificateOf(desk)];
    listed(bob, { devices });
    scene.service.news = () => false;
    await desk.device.messenger.revoke("phone");
    // 12.6 does not claim that this is found out.
    assert.ok(chat.isOpen);
    assert.equal((await ann.device.messenger.devicesOf(bob.address.userId))?.devices.length, 2);
    scene.service.reset();
    const also = ann.device.messenger.secureChat(desk.address);
    await also.settled();
    assert.deepEqual([also.state, chat.state, nameOf(chat.code)], ["confirmed", "closed", UNKNOWN]);
  });

  test("[SEC-35] a device is kept back: its chat ends, and nobody takes its place", async () => {
    const couple = await scene.couple();
    const { ann, bob, chat } = couple;
    await talks(couple);
    listed(bob, { devices: [] });
    const { userId } = bob.address;
    const value = { userId, revision: 7n };
    await scene.service.injectEvent(ann.address, { case: "directoryChanged", value });
    await ann.device.until("it is over", () => chat.state === "closed");
    assert.equal(nameOf(chat.code), UNKNOWN);
    scene.service.reset();
    const said = { ann: ["from bob"], bob: ["from ann"] };
    await talks(await scene.open(ann, bob), said);
  });

  test("[SEC-35] news of changes that never were: looked at, and nothing happens", async () => {
    const couple = await scene.couple();
    const { ann, bob } = couple;
    for (const revision of [0n, 1n, 2n ** 40n]) {
      for (const { userId } of [bob.address, ann.address, { userId: "nobody" }]) {
        const value = { userId, revision };
        await scene.service.injectEvent(ann.address, { case: "directoryChanged", value });
      }
    }
    await talks(couple);
  });

  test("[SEC-11] of the device's own account: it does not publish under another one", async () => {
    const accountKey = keysOf(await scene.party());
    scene.service.directory = (response) => ({ ...response, accountKey });
    await assert.rejects(scene.party(), { code: ErrorCode.PEER_IDENTITY_CHANGED });
  });
});

/** What Ann is told when she scans what Bob shows. */
async function scan(ann: Party, bob: Party): Promise<string> {
  const sides = async (me: Party, you: Party) => {
    const found = await me.device.messenger.devicesOf(you.address.userId);
    assert.ok(found);
    const own = { userId: me.address.userId, keys: keysOf(me) };
    return [own, { userId: you.address.userId, keys: found.account }] as const;
  };
  const [annsOwn, annsPeer] = await sides(ann, bob);
  const shown = safetyCode(NATIVE_CRYPTO, ...(await sides(bob, ann)));
  return judgeSafetyCode(NATIVE_CRYPTO, shown, { own: annsOwn, peer: annsPeer });
}
