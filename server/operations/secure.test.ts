import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { signerOf } from "../../fuzz/secure/devices.ts";
import { ListDevicesResponseSchema } from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { OperationSchema } from "../../gen/posthorn/v1/operation_pb.ts";
import { SecurePacketSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { certify } from "../../protocol/secure/identity.ts";
import { DocumentChanges } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import { type DocumentRef, type StoredDocument, userRefOf } from "../store/store.ts";
import { blocksRef } from "./blocks.ts";
import { CONVERSATION_RULES } from "./conversations.ts";
import { directoryRef, watchersRef } from "./directory.ts";
import { USER_RULES } from "./own-lists.ts";
import { decodeOperation, planOperation, readsOf, type Sender } from "./plan.ts";
import { PublishBudget } from "./publish-budget.ts";

const NOW_MS = 1_800_000_000_000;
const ALICE: Sender = { tenant: "acme", userId: "alice", deviceId: "phone" };
const BOB: Sender = { tenant: "acme", userId: "bob", deviceId: "laptop" };
const RULES = {
  contentBytes: 1_000,
  frameBytes: 262_144,
  crypto: NATIVE_CRYPTO,
  conversations: CONVERSATION_RULES,
  users: USER_RULES,
};
const ACCOUNT = signerOf("account");
const OTHER = signerOf("other");
const DEVICE_KEYS = signerOf("device").keys;

type OperationKind = NonNullable<MessageInitShape<typeof OperationSchema>["kind"]>;

/** Documents as a store holds them, and what operations come to on them. */
class Bench {
  readonly documents = new Map<DocumentRef, StoredDocument>();

  plan(sender: Sender, kind: OperationKind): Plan {
    const bytes = toBinary(OperationSchema, create(OperationSchema, { kind }));
    const decoded = decodeOperation(bytes);
    const reads = readsOf([decoded], sender, RULES);
    const users = ["alice", "bob"].map((userId) => userRefOf("acme", userId));
    const knownUsers = new Set(users.filter((user) => reads.users.includes(user)));
    const changes = new DocumentChanges((ref) => this.#read(ref));
    const documents = new Map(reads.documents?.map((ref) => [ref, this.#read(ref)]));
    const plan = planOperation(
      decoded,
      sender,
      { knownUsers, documents, entries: new Map(), heads: new Map(), nowMs: NOW_MS },
      RULES,
    );
    assert.ok(changes.hold(plan), "it relies on what it was given");
    changes.apply(plan);
    for (const [ref, document] of changes.changed) this.documents.set(ref, document);
    return plan;
  }

  /** UNSPECIFIED: it takes effect. */
  code(sender: Sender, kind: OperationKind): ErrorCode {
    const plan = this.plan(sender, kind);
    return plan.kind === "refuse" ? plan.code : ErrorCode.UNSPECIFIED;
  }

  devices(userId: string) {
    return fromBinary(ListDevicesResponseSchema, this.#read(directoryRef("acme", userId)).bytes)
      .devices;
  }

  #read(ref: DocumentRef): StoredDocument {
    return this.documents.get(ref) ?? { revision: 0, bytes: new Uint8Array(0) };
  }
}

function certificateOf(part: {
  readonly userId?: string;
  readonly deviceId?: string;
  readonly account?: typeof ACCOUNT;
  readonly createdMs?: number;
  readonly expiresMs?: number;
}) {
  const { userId = "alice", deviceId = "phone", account = ACCOUNT } = part;
  const { createdMs = NOW_MS, expiresMs = 0 } = part;
  const device = { userId, deviceId, keys: DEVICE_KEYS };
  return certify(NATIVE_CRYPTO, account, { device, createdMs, expiresMs });
}

function publish(
  revision: number,
  part: Parameters<typeof certificateOf>[0] = {},
  account = part.account ?? ACCOUNT,
): OperationKind {
  const certificate = certificateOf(part);
  const value = { revision: BigInt(revision), accountKey: account.keys, certificate };
  return { case: "publishDevice", value };
}

const revoke = (revision: number, deviceId: string): OperationKind => ({
  case: "revokeDevice",
  value: { revision: BigInt(revision), deviceId },
});

const PACKET = toBinary(
  SecurePacketSchema,
  create(SecurePacketSchema, { kind: { case: "message", value: Uint8Array.of(1, 2, 3) } }),
);

function packet(part: object = {}): OperationKind {
  const value = { toUserId: "bob", toDeviceId: "laptop", packet: PACKET, ttlS: 60, ...part };
  return { case: "sendPacket", value };
}

const OK = ErrorCode.UNSPECIFIED;

test("[SEC-82] only a certificate of this user, account and time is listed", () => {
  const bench = new Bench();
  const invalid = [
    publish(0, { userId: "bob" }),
    publish(0, {}, OTHER),
    publish(0, { createdMs: NOW_MS + 3_600_000 }),
    publish(0, { createdMs: NOW_MS - 7_200_000, expiresMs: NOW_MS - 3_600_000 }),
    { case: "publishDevice" as const, value: { revision: 0n } },
    {
      case: "publishDevice" as const,
      value: { revision: 0n, accountKey: ACCOUNT.keys, certificate: { core: PACKET } },
    },
  ];
  for (const one of invalid) assert.equal(bench.code(ALICE, one), ErrorCode.CERTIFICATE_INVALID);
  assert.equal(bench.documents.size, 0);
  assert.equal(bench.code(ALICE, publish(0)), OK);
});

test("[SEC-83] [SEC-85] a change names its revision; a device comes, is renewed and goes", () => {
  const bench = new Bench();
  assert.equal(bench.code(ALICE, publish(1)), ErrorCode.DIRECTORY_CHANGED);
  assert.equal(bench.code(ALICE, revoke(0, "phone")), ErrorCode.DEVICE_UNKNOWN);
  assert.equal(bench.code(ALICE, publish(0)), OK);
  assert.equal(bench.code(ALICE, publish(0)), ErrorCode.DIRECTORY_CHANGED);
  assert.equal(bench.code(ALICE, publish(1, { createdMs: NOW_MS + 1 })), OK);
  assert.equal(bench.devices("alice").length, 1, "in place of the old one");
  assert.equal(bench.code(ALICE, publish(2, { deviceId: "tablet" })), OK);
  assert.equal(bench.code(ALICE, revoke(2, "phone")), ErrorCode.DIRECTORY_CHANGED);
  assert.equal(bench.code(ALICE, revoke(3, "phone")), OK);
  assert.equal(bench.devices("alice").length, 1);
});

test("[SEC-99] the certificate that is listed already changes nothing, and tells nobody", () => {
  const bench = new Bench();
  const same = publish(0);
  assert.equal(bench.code(ALICE, same), OK);
  const again = { ...same, value: { ...same.value, revision: 1n } } as OperationKind;
  const plan = bench.plan(ALICE, again);
  assert.ok(plan.kind === "append");
  assert.deepEqual(plan.timelines, []);
  assert.equal(bench.documents.get(directoryRef("acme", "alice"))?.revision, 1);
});

test("[SEC-100] a user publishes 20 times at once, then every 10 s, and revokes at any time", () => {
  const budget = new PublishBudget();
  const decodedOf = (kind: OperationKind) =>
    decodeOperation(toBinary(OperationSchema, create(OperationSchema, { kind })));
  const one = decodedOf(publish(0));
  const taken = (sender: Sender, nowMs: number, count: number) => {
    const many = Array.from({ length: count }, () => one);
    return budget.judge(many, sender, nowMs).filter(({ kind }) => kind === "operation").length;
  };
  assert.equal(taken(ALICE, 0, 100), 20);
  assert.equal(taken({ ...ALICE, deviceId: "tablet" }, 0, 1), 0, "for all of a user's devices");
  assert.equal(taken(BOB, 0, 1), 1);
  assert.equal(taken(ALICE, 9_999, 5), 0);
  assert.equal(taken(ALICE, 10_000, 5), 1);
  assert.equal(taken(ALICE, 1_000_000, 100), 20);
  const [refused] = budget.judge([one], ALICE, 1_000_000);
  const code = ErrorCode.DIRECTORY_BUSY;
  assert.deepEqual(refused, { kind: "refuse", code, retryAfterMs: 10_000 });
  const others = [decodedOf(revoke(1, "phone")), decodedOf(packet())];
  assert.deepEqual(budget.judge(others, ALICE, 1_000_000), others);
});

test("[SEC-84] a directory holds so many devices", () => {
  const bench = new Bench();
  for (let count = 0; count < 16; count += 1) {
    assert.equal(bench.code(ALICE, publish(count, { deviceId: `d${count}` })), OK);
  }
  const another = publish(16, { deviceId: "another" });
  assert.equal(bench.code(ALICE, another), ErrorCode.DIRECTORY_FULL);
  assert.equal(bench.code(ALICE, publish(16, { deviceId: "d3" })), OK, "one of them anew");
});

test("[SEC-101] the reply with a full directory of the longest names fits the smallest frame", () => {
  const bench = new Bench();
  const userId = "u".repeat(64);
  const sender = { ...ALICE, userId };
  for (let count = 0; count < 16; count += 1) {
    const deviceId = `${count + 10}`.padEnd(64, "d");
    const part = { userId, deviceId, expiresMs: NOW_MS + 86_400_000 };
    assert.equal(bench.code(sender, publish(count, part)), OK);
  }
  const { bytes } = bench.documents.get(directoryRef("acme", userId)) as StoredDocument;
  assert.ok(bytes.length > 65_536 && bytes.length + 1_024 < 131_072, `${bytes.length} bytes`);
});

test("[SEC-85] [SEC-92] another account key takes all others out, and their packets", () => {
  const bench = new Bench();
  bench.code(ALICE, publish(0));
  bench.code(ALICE, publish(1, { deviceId: "tablet" }));
  const plan = bench.plan(ALICE, publish(2, { deviceId: "fresh", account: OTHER }));
  assert.ok(plan.kind === "append");
  const user = userRefOf("acme", "alice");
  const gone = ["phone", "tablet"].map((deviceId) => ({ user, deviceId }));
  assert.deepEqual(plan.erases, gone);
  assert.equal(bench.devices("alice").length, 1);
  const revoked = bench.plan(ALICE, revoke(3, "fresh"));
  assert.ok(revoked.kind === "append");
  assert.deepEqual(revoked.erases, [{ user, deviceId: "fresh" }]);
});

test("[SEC-86] a change is told to the user and to whom it exchanged packets with", () => {
  const bench = new Bench();
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  const alone = bench.plan(ALICE, publish(0));
  assert.ok(alone.kind === "append");
  assert.deepEqual(alone.timelines, [userRefOf("acme", "alice")]);
  assert.equal(bench.code(ALICE, packet()), OK);
  const written = bench.plan(BOB, publish(1, { userId: "bob", deviceId: "early" }));
  assert.ok(written.kind === "append");
  assert.deepEqual(written.timelines, [userRefOf("acme", "bob")], "one direction is not enough");
  const back = packet({ toUserId: "alice", toDeviceId: "phone" });
  assert.equal(bench.code(BOB, back), OK);
  for (const sender of [ALICE, BOB]) {
    const { userId } = sender;
    const other = userId === "alice" ? "bob" : "alice";
    const revision = userId === "alice" ? 1 : 2;
    const plan = bench.plan(sender, publish(revision, { userId, deviceId: "more" }));
    assert.ok(plan.kind === "append");
    const both = [userId, other].map((name) => userRefOf("acme", name));
    assert.deepEqual(plan.timelines, both);
    const { kind } = fromBinary(EventSchema, plan.event);
    assert.ok(kind.case === "directoryChanged");
    assert.deepEqual([kind.value.userId, kind.value.revision], [userId, BigInt(revision + 1)]);
  }
  const watchers = bench.documents.get(watchersRef("acme", "alice"));
  assert.equal(watchers?.revision, 1, "once for a pair");
});

test("[SEC-86] strangers who are not answered push out nobody who is told", () => {
  const bench = new Bench();
  bench.code(ALICE, publish(0));
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  bench.code(ALICE, packet());
  bench.code(BOB, packet({ toUserId: "alice", toDeviceId: "phone" }));
  for (let count = 0; count < 300; count += 1) {
    const stranger = { ...ALICE, userId: `eve${count}` };
    assert.equal(bench.code(stranger, packet()), OK);
  }
  const plan = bench.plan(BOB, revoke(1, "laptop"));
  assert.ok(plan.kind === "append");
  assert.deepEqual(
    plan.timelines,
    ["bob", "alice"].map((name) => userRefOf("acme", name)),
  );
});

test("[SEC-98] a device that its user's directory does not list any more sends nothing", () => {
  const bench = new Bench();
  bench.code(ALICE, publish(0));
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  assert.equal(bench.code(ALICE, packet()), OK);
  bench.code(ALICE, revoke(1, "phone"));
  const plan = bench.plan(ALICE, packet());
  assert.ok(plan.kind === "refuse" && plan.code === ErrorCode.DEVICE_UNKNOWN);
  const own = { ref: directoryRef("acme", "alice"), revision: 2 };
  assert.deepEqual(plan.requires?.[1], own, "until it is listed again");
  bench.code(ALICE, publish(2));
  assert.equal(bench.code(ALICE, packet()), OK);
});

test("[SEC-80] whose directory is changed is the sender's own, within its tenant", () => {
  const bench = new Bench();
  bench.code(ALICE, publish(0));
  const stranger = { ...ALICE, tenant: "other" };
  assert.equal(bench.code(stranger, publish(0, { account: OTHER })), OK);
  assert.equal(bench.documents.get(directoryRef("acme", "alice"))?.revision, 1);
  assert.equal(bench.documents.get(directoryRef("other", "alice"))?.revision, 1);
});

test("[SEC-87] a packet goes to a device that is listed, not to the sending one", () => {
  const bench = new Bench();
  assert.equal(bench.code(ALICE, packet()), ErrorCode.DEVICE_UNKNOWN);
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  bench.code(ALICE, publish(0));
  assert.equal(bench.code(ALICE, packet()), OK);
  const codes: readonly (readonly [object, ErrorCode])[] = [
    [{ toDeviceId: "phone" }, ErrorCode.DEVICE_UNKNOWN],
    [{ toDeviceId: "" }, ErrorCode.DEVICE_UNKNOWN],
    [{ toUserId: "nobody" }, ErrorCode.USER_UNKNOWN],
    [{ toUserId: "no user" }, ErrorCode.USER_ID_INVALID],
    [{ toUserId: "alice", toDeviceId: "phone" }, ErrorCode.DEVICE_UNKNOWN],
  ];
  for (const [part, code] of codes) assert.equal(bench.code(ALICE, packet(part)), code);
  const tablet = { ...ALICE, deviceId: "tablet" };
  bench.code(ALICE, publish(1, { deviceId: "tablet" }));
  const own = { toUserId: "alice", toDeviceId: "phone" };
  assert.equal(bench.code(tablet, packet(own)), OK, "between devices of one user");
});

test("[SEC-88] a packet has a kind, a size and a time to live", () => {
  const bench = new Bench();
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  const sized = (bytes: number) => {
    const value = new Uint8Array(bytes - 4);
    const whole = create(SecurePacketSchema, { kind: { case: "message", value } });
    return toBinary(SecurePacketSchema, whole);
  };
  assert.equal(sized(73_728).length, 73_728);
  const valid = [{ ttlS: 1 }, { ttlS: 604_800 }, { packet: sized(73_728) }];
  for (const part of valid) assert.equal(bench.code(ALICE, packet(part)), OK);
  const invalid = [
    { ttlS: 0 },
    { ttlS: 604_801 },
    { packet: sized(73_729) },
    { packet: new Uint8Array(0) },
    { packet: Uint8Array.of(0x7a, 0x00) },
    { packet: Uint8Array.of(0x22, 0x05) },
  ];
  for (const part of invalid) {
    assert.equal(bench.code(ALICE, packet(part)), ErrorCode.PACKET_INVALID);
  }
});

test("[SEC-89] the event is the same for every other device, but for the packet", () => {
  const bench = new Bench();
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  const plan = bench.plan(ALICE, packet());
  assert.ok(plan.kind === "append" && plan.perishable !== undefined);
  assert.deepEqual(plan.timelines, [userRefOf("acme", "bob")]);
  const told = [plan.event, plan.perishable.event].map((event) => {
    const { kind } = fromBinary(EventSchema, event);
    assert.ok(kind.case === "packetArrived");
    const { senderUserId, senderDeviceId, toDeviceId, expiresMs, packet: carried } = kind.value;
    assert.deepEqual([senderUserId, senderDeviceId, toDeviceId], ["alice", "phone", "laptop"]);
    assert.equal(expiresMs, BigInt(NOW_MS + 60_000));
    return Uint8Array.from(carried);
  });
  assert.deepEqual(told, [new Uint8Array(0), PACKET]);
});

test("[SEC-90] an offer waits in a queue of its own as well", () => {
  const bench = new Bench();
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  const offer = create(SecurePacketSchema, { kind: { case: "offer", value: {} } });
  const queuesOf = (bytes: Uint8Array) => {
    const plan = bench.plan(ALICE, packet({ packet: bytes }));
    assert.ok(plan.kind === "append" && plan.perishable !== undefined);
    assert.equal(plan.perishable.full, ErrorCode.PACKET_QUEUE_FULL);
    const own = plan.perishable.queues.filter(({ shareOf }) => shareOf === undefined);
    return own.map(({ name, countMax, bytesMax }) => [name, countMax, bytesMax]);
  };
  const all = ["all", 512, 8 * 1024 * 1024];
  const from = ["from:alice", 64, 1024 * 1024];
  assert.deepEqual(queuesOf(PACKET), [all, from]);
  const offers = ["offers:alice", 2, 1024 * 1024];
  assert.deepEqual(queuesOf(toBinary(SecurePacketSchema, offer)), [all, from, offers]);
});

test("[SEC-97] a user's packets, and a tenant's, have a share of the room for all devices", () => {
  const bench = new Bench();
  bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
  const plan = bench.plan(ALICE, packet());
  assert.ok(plan.kind === "append" && plan.perishable !== undefined);
  const shared = plan.perishable.queues.filter(({ shareOf }) => shareOf !== undefined);
  assert.deepEqual(
    shared.map(({ name, shareOf }) => [name, shareOf]),
    [
      ["user:acme/alice", 64],
      ["tenant:acme", 1],
    ],
  );
});

test("[USR-21] a packet is no way around a block, in either direction", () => {
  for (const [by, blocked] of [
    [BOB, "alice"],
    [ALICE, "bob"],
  ] as const) {
    const bench = new Bench();
    bench.code(BOB, publish(0, { userId: "bob", deviceId: "laptop" }));
    assert.equal(bench.code(ALICE, packet()), OK);
    const block = { case: "changeBlocks" as const, value: { blockUserIds: [blocked] } };
    assert.equal(bench.code(by, block), OK);
    assert.equal(bench.code(ALICE, packet()), ErrorCode.BLOCKED);
    // Not even whether the other one has such a device.
    assert.equal(bench.code(ALICE, packet({ toDeviceId: "none" })), ErrorCode.BLOCKED);
    const plan = bench.plan(ALICE, packet());
    const lists = ["alice", "bob"].map((userId) => blocksRef("acme", userId));
    const relied = plan.requires?.filter(({ ref }) => lists.includes(ref)) ?? [];
    assert.equal(relied.length, 2, "a block that comes meanwhile holds [USR-27]");
  }
});
