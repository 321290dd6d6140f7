import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DeviceLogin, memoryLogin } from "../../client/device-login.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import type { AttachClaim } from "../../protocol/session/hello.ts";
import { accountOf, principalOf } from "../auth/authenticate.ts";
import { MemoryStore } from "../store/memory.ts";
import { unnumberedLogRefOf, userRefOf } from "../store/store.ts";
import { Logins } from "./logins.ts";

const LIFETIME_MS = 1_000;
const PRINCIPAL = { tenant: "acme", userId: "ann" };
const SEALED = {
  channelBinding: new Uint8Array(32).fill(4),
  subject: undefined,
  issueTicket: () => {},
};
const CLAIM: AttachClaim = {
  version: 1,
  token: "",
  userId: "",
  deviceId: "d",
  outbox: { epoch: 0, resultsThrough: 0, next: 1 },
  cursor: { epoch: 0, seq: 0, start: "earliest" },
  timers: undefined,
  deliveryWindow: { count: 1, bytes: 1 },
  agent: "",
  loginProof: undefined,
  registration: undefined,
};

/** A service with one device, registered at 10,000 ms. */
async function service() {
  const clock = { nowMs: 10_000 };
  const verified: Uint8Array[] = [];
  const crypto: CryptoProvider = {
    ...NATIVE_CRYPTO,
    ed25519Verify: (publicKey, text, signature) => {
      verified.push(publicKey);
      return NATIVE_CRYPTO.ed25519Verify(publicKey, text, signature);
    },
  };
  const store = new MemoryStore({
    nowMs: () => clock.nowMs,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => 1,
  });
  const logins = new Logins({ store, crypto, nowMs: () => clock.nowMs, lifetimeMs: LIFETIME_MS });
  const device = new DeviceLogin(NATIVE_CRYPTO, memoryLogin());
  const registration = await device.registration();
  await device.registered(accountOf(PRINCIPAL));
  const user = userRefOf(PRINCIPAL.tenant, PRINCIPAL.userId);
  const register = () => {
    const { outbox, cursor } = CLAIM;
    const login = logins.registrationOf({ ...CLAIM, token: "t", registration });
    return store.prepare({ device: { user, deviceId: "d" }, outbox, cursor, login });
  };
  await register();
  const attempt = await device.attempt(SEALED.channelBinding, "d");
  assert.ok(attempt);
  const elsewhere = await device.attempt(new Uint8Array(32), "d");
  assert.ok(elsewhere);
  return { clock, verified, store, user, logins, register, attempt, elsewhere };
}

describe("logins", () => {
  test("[ENV-35] [ENV-36] a proof says whose it is, and is answered", async () => {
    const { logins, attempt } = await service();
    const claim = { ...CLAIM, loginProof: attempt.proof };
    const identity = await logins.authenticate(claim, SEALED);
    assert.ok(identity.kind === "authenticated");
    assert.deepEqual(identity.principal, PRINCIPAL);
    assert.deepEqual(new Uint8Array(identity.loginAnswer ?? []), new Uint8Array(attempt.answerMac));
    const named = await logins.authenticate({ ...claim, userId: "ann" }, SEALED);
    assert.equal(named.kind, "authenticated");
  });

  test("[DEV-6] the holder of an ended device's key is told so, and nobody else", async () => {
    const { clock, store, user, logins, attempt, elsewhere } = await service();
    const device = { user, deviceId: "d" };
    const { outbox, cursor } = CLAIM;
    const prepared = await store.prepare({ device, outbox, cursor });
    assert.ok(prepared.kind === "prepared");
    const { attachment } = prepared;
    await store.attach({ device, attachment });
    const log = unnumberedLogRefOf("acme", "user:ann");
    const event = new Uint8Array(0);
    const plan = { kind: "append", log, event, timelines: [], ends: [device] } as const;
    const submits = [{ seq: 1, digest: 1, plan }];
    const batch = { device, generation: attachment.generation, submits };
    const outcome = await store.commit({ ...batch, outboxEpoch: attachment.outbox.epoch });
    assert.equal(outcome.kind, "committed");
    const asks = async (proof: typeof attempt.proof, deviceId = "d") => {
      const claim = { ...CLAIM, deviceId, loginProof: proof };
      const identity = await logins.authenticate(claim, SEALED);
      return identity.kind === "refused" ? identity.code : identity.kind;
    };
    assert.equal(await asks(attempt.proof), ErrorCode.DEVICE_ENDED);
    assert.equal(await asks(elsewhere.proof), ErrorCode.LOGIN_PROOF_INVALID);
    assert.equal(await asks(attempt.proof, "e"), ErrorCode.LOGIN_PROOF_INVALID);
    clock.nowMs += LIFETIME_MS;
    assert.equal(await asks(attempt.proof), ErrorCode.LOGIN_PROOF_INVALID);
  });

  test("[AUT-7] a registration is good for its time, and renewed by the next", async () => {
    const { clock, logins, register, attempt } = await service();
    const claim = { ...CLAIM, loginProof: attempt.proof };
    const kind = async () => (await logins.authenticate(claim, SEALED)).kind;
    clock.nowMs += LIFETIME_MS - 1;
    assert.equal(await kind(), "authenticated");
    clock.nowMs += 1;
    assert.equal(await kind(), "refused");
    clock.nowMs += 3_600_000;
    await register();
    assert.equal(await kind(), "authenticated");
  });

  test("[ENV-57] a device that nobody knows costs the same work, and is told the same", async () => {
    const { clock, verified, logins, attempt, elsewhere } = await service();
    const { proof } = attempt;
    const wrong = [
      { ...CLAIM, loginProof: { ...proof, account: "nobody" } },
      { ...CLAIM, loginProof: { ...proof, account: "ann" } },
      { ...CLAIM, loginProof: { ...proof, deviceId: "e" } },
      { ...CLAIM, loginProof: proof, deviceId: "e" },
      { ...CLAIM, loginProof: proof, userId: "bob" },
      { ...CLAIM, loginProof: elsewhere.proof },
    ];
    const answers = new Set<string>();
    const told = async (claim: AttachClaim, sealed: typeof SEALED | undefined) => {
      const identity = await logins.authenticate(claim, sealed);
      assert.ok(identity.kind === "refused");
      assert.equal(identity.code, ErrorCode.LOGIN_PROOF_INVALID);
      answers.add(JSON.stringify(identity));
    };
    for (const claim of wrong) {
      verified.length = 0;
      await told(claim, SEALED);
      assert.equal(verified.length, 1);
    }
    clock.nowMs += LIFETIME_MS;
    await told({ ...CLAIM, loginProof: proof }, SEALED);
    assert.equal(verified.length, 2);
    for (const clear of [proof, elsewhere.proof, { ...proof, account: "nobody" }]) {
      verified.length = 0;
      await told({ ...CLAIM, loginProof: clear }, undefined);
      assert.equal(verified.length, 1, "a link that is not sealed costs the same work");
    }
    await told({ ...CLAIM, loginProof: { ...proof, signature: new Uint8Array(63) } }, SEALED);
    for (const account of ["", "a/b/c", "/ann", "acme/", "é", "x".repeat(65)]) {
      await told({ ...CLAIM, loginProof: { ...proof, account } }, SEALED);
    }
    assert.equal(answers.size, 1);
  });
});

test("[ENV-56] an account names user and tenant, and nothing else", () => {
  for (const principal of [PRINCIPAL, { tenant: "", userId: "a.b+c@d" }]) {
    assert.deepEqual(principalOf(accountOf(principal)), principal);
  }
  assert.equal(accountOf(PRINCIPAL), "acme/ann");
  assert.equal(accountOf({ ...PRINCIPAL, tenant: "" }), "ann");
});
