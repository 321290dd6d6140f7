import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { readCertificate, sameKeys } from "../../protocol/secure/identity.ts";
import { SecureIdentity } from "./identity.ts";
import { judgePeer, memoryPeers } from "./known-peers.ts";
import { filePeers, fileSecureIdentity } from "./secret-files.ts";

const NOW_MS = 1_700_000_000_000;
const DAY_MS = 86_400_000;

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "posthorn-secure-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function opened(folder: string, deviceId: string, userId = "alice"): Promise<SecureIdentity> {
  const memory = fileSecureIdentity(join(folder, deviceId), join(folder, `${userId}.account`));
  return SecureIdentity.open(NATIVE_CRYPTO, memory, { userId, deviceId });
}

describe("a device's identity in secure chats", () => {
  test("[SEC-8] is the same after a restart, in files that only their owner reads", async (t) => {
    const folder = folderFor(t);
    const before = await opened(folder, "phone");
    const certificate = await before.certificate(NOW_MS);
    const after = await opened(folder, "phone");
    assert.deepEqual(after.fingerprint, before.fingerprint);
    assert.deepEqual(await after.certificate(NOW_MS), certificate);
    for (const name of readdirSync(folder)) {
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    }
  });

  test("[SEC-8] devices of one user share the account, and only that", async (t) => {
    const folder = folderFor(t);
    const phone = await opened(folder, "phone");
    const desk = await opened(folder, "desk");
    assert.deepEqual(desk.accountKey, phone.accountKey);
    assert.notDeepEqual(desk.fingerprint, phone.fingerprint);
    const stranger = await opened(folder, "phone2", "bob");
    assert.notDeepEqual(stranger.accountKey, phone.accountKey);
  });

  test("[SEC-8] devices that begin at once have one account between them", async (t) => {
    const folder = folderFor(t);
    const names = ["phone", "desk", "tablet", "watch"];
    const devices = await Promise.all(names.map((name) => opened(folder, name)));
    const [first] = devices;
    for (const device of devices) assert.deepEqual(device.accountKey, first?.accountKey);
    const again = await Promise.all(names.map((name) => opened(folder, name)));
    for (const device of again) assert.deepEqual(device.accountKey, first?.accountKey);
  });

  test("[SEC-9] a certificate is renewed before it ends", async (t) => {
    const identity = await opened(folderFor(t), "phone");
    const first = await identity.certificate(NOW_MS);
    assert.deepEqual(await identity.certificate(NOW_MS + 300 * DAY_MS), first);
    const second = await identity.certificate(NOW_MS + 340 * DAY_MS);
    assert.notDeepEqual(second, first);
  });

  test("[SEC-8] another device vouches for one without the account's key", async (t) => {
    const [mine, theirs] = [folderFor(t), folderFor(t)];
    const phone = await opened(mine, "phone");
    const tablet = await opened(theirs, "tablet");
    assert.ok(phone.accountKey);
    const certificate = phone.certify(tablet.device, NOW_MS);
    await tablet.adopt(certificate, phone.accountKey, NOW_MS);
    assert.equal(tablet.certifies, false);
    const again = await opened(theirs, "tablet");
    assert.equal(again.certifies, false, "the account key in its file is another one");
    assert.deepEqual(again.accountKey, phone.accountKey);
    const kept = await again.certificate(NOW_MS);
    assert.ok(kept);
    const expected = { account: phone.accountKey, userId: "alice", nowMs: NOW_MS };
    const read = readCertificate(NATIVE_CRYPTO, kept, expected);
    assert.ok(!("code" in read) && sameKeys(read.keys, tablet.device.keys));
    assert.equal(await again.certificate(NOW_MS + 400 * DAY_MS), undefined);
    await assert.rejects(
      tablet.adopt(phone.certify(phone.device, NOW_MS), phone.accountKey, NOW_MS),
      RangeError,
    );
  });

  test("[OPS-2] a damaged file is an error that says nothing of what is in it", async (t) => {
    const folder = folderFor(t);
    const identity = await opened(folder, "phone");
    await identity.certificate(NOW_MS);
    const whole = readFileSync(join(folder, "phone"), "utf8");
    const { ed25519 } = JSON.parse(whole);
    for (const damaged of ["", "{", "[]", "7", whole.replace(ed25519, "zz"), whole.slice(0, 99)]) {
      writeFileSync(join(folder, "phone"), damaged);
      await assert.rejects(opened(folder, "phone"), (error: { code: ErrorCode } & Error) => {
        assert.equal(error.code, ErrorCode.DATA_DAMAGED);
        assert.ok(!error.message.includes(ed25519));
        return true;
      });
    }
  });
});

describe("whom a device has met", () => {
  test("[SEC-11] is remembered though others are met at the same moment", async (t) => {
    const memory = filePeers(join(folderFor(t), "peers"));
    const users = Array.from({ length: 20 }, (_, index) => `user${index}`);
    const fingerprint = new Uint8Array(32).fill(1);
    const known = { fingerprint, verified: false, firstSeenMs: NOW_MS };
    await Promise.all(users.map((user) => memory.save(user, known)));
    for (const user of users) assert.ok(await memory.load(user), user);
  });

  for (const [name, memoryIn] of [
    ["in memory", () => memoryPeers()],
    ["in a file", (folder: string) => filePeers(join(folder, "peers"))],
  ] as const) {
    test(`[SEC-10] is remembered ${name}, and another account is told`, async (t) => {
      const memory = memoryIn(folderFor(t));
      const shown = new Uint8Array(32).fill(1);
      // A name that every object has.
      for (const user of ["bob", "constructor", "__proto__"]) {
        assert.equal(await judgePeer(memory, user, shown), "first-seen");
        const known = { fingerprint: shown, verified: false, firstSeenMs: NOW_MS };
        await memory.save(user, known);
        assert.equal(await judgePeer(memory, user, shown), "seen-before");
        await memory.save(user, { ...known, verified: true });
        assert.equal(await judgePeer(memory, user, shown), "verified");
        const other = new Uint8Array(32).fill(2);
        assert.equal(await judgePeer(memory, user, other), "changed");
      }
    });
  }
});
