import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ACK,
  nodeOf,
  type OperationKind,
  Peer,
  READY,
  rest,
} from "../../fuzz/store/session-peer.ts";
import {
  DevicesService,
  DevicesServiceListRequestSchema,
  DevicesServiceListResponseSchema,
} from "../../gen/posthorn/v1/devices_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { DeviceChange, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { devices } from "../services/devices.ts";
import { Services } from "../services/service.ts";
import { MemoryStore, type MemoryStoreOptions } from "../store/memory.ts";
import { userRefOf } from "../store/store.ts";
import type { DriverContext } from "./driver.ts";

const METHOD = `${DevicesService.typeName}/List`;
const PAGE = { count: 100, bytes: 100_000 };

function storeOf(devicesMax?: number, flush?: MemoryStoreOptions["flush"]): MemoryStore {
  let epoch = 0;
  return new MemoryStore({
    ...(flush && { flush }),
    nowMs: () => 1_000,
    newSessionId: () => new Uint8Array(16),
    newTimelineEpoch: () => {
      epoch += 1;
      return epoch;
    },
    devicesMax,
  });
}

function servingNode(store: MemoryStore): DriverContext {
  const services = new Services({ roleIn: async () => undefined }).add(
    DevicesService,
    devices(store),
  );
  return { ...nodeOf(store), services };
}

async function attached(node: DriverContext, deviceId: string, part = {}): Promise<Peer> {
  const peer = new Peer(node, part);
  await peer.attach(0, deviceId);
  assert.equal(peer.closedWith, undefined, deviceId);
  return peer;
}

const end = (deviceId: string): OperationKind => ({ case: "endDevice", value: { deviceId } });
const name = (deviceId: string, text: string): OperationKind => ({
  case: "nameDevice",
  value: { deviceId, name: text },
});
const say = (text: string): OperationKind => ({
  case: "sendDirect",
  value: { toUserId: "alice", content: { kind: { case: "text", value: text } } },
});

/** What a user's timeline says, a line each, but for new devices. */
async function lines(store: MemoryStore, userId = "alice"): Promise<string[]> {
  return (await allLines(store, userId)).filter((line) => !line.startsWith("added "));
}

async function allLines(store: MemoryStore, userId = "alice"): Promise<string[]> {
  const { entries } = await store.loadTimeline(userRefOf("", userId), 0, PAGE);
  return entries.map(({ event }) => {
    const { kind } = fromBinary(EventSchema, event);
    if (kind.case === "message") return String(kind.value.content?.kind.value);
    if (kind.case !== "deviceChanged") return kind.case ?? "nothing";
    const { deviceId, change, name: called } = kind.value;
    if (change === DeviceChange.ADDED) return `added ${deviceId}`;
    return change === DeviceChange.ENDED ? `ended ${deviceId}` : `named ${deviceId} ${called}`;
  });
}

/** The codes of the results that a peer was told, by name. */
function codesOf(peer: Peer): string[] {
  return peer.heard.flatMap((frame) =>
    frame.kind === "submitAck"
      ? frame.value.results.map(({ code }) => (code === 0 ? "done" : errorRule(code).name))
      : [],
  );
}

async function list(peer: Peer, id: number) {
  const request = toBinary(
    DevicesServiceListRequestSchema,
    create(DevicesServiceListRequestSchema),
  );
  await peer.say({ kind: "call", value: { id, method: METHOD, request } });
  const reply = peer.heard.find((frame) => frame.kind === "reply" && frame.value.id === id);
  assert.ok(reply?.kind === "reply" && reply.value.code === ErrorCode.UNSPECIFIED);
  return fromBinary(DevicesServiceListResponseSchema, reply.value.response).devices;
}

describe("the end of a device", () => {
  test("[DEV-2] [DEV-5] [DEV-7] any device ends any other: at once, told to its user alone", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const [phone, laptop] = [await attached(node, "phone"), await attached(node, "laptop")];
    const bob = new Peer(node, {}, "bob");
    await bob.attach(0, "phone");
    phone.submit(1, end("laptop"));
    await rest();
    assert.deepEqual(codesOf(phone), ["done"]);
    assert.equal(laptop.closedWith, ErrorCode.DEVICE_ENDED);
    assert.equal(phone.closedWith, undefined);
    assert.equal(bob.closedWith, undefined);
    assert.deepEqual(await lines(store), ["ended laptop"]);
    assert.deepEqual(await lines(store, "bob"), []);
    assert.ok(phone.heard.some(({ kind }) => kind === "deliver"));
    await rest();
    assert.equal(node.hub.count, 2);
  });

  test("[DEV-2] one that is ended already, or is another user's, or is none", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const [phone] = [await attached(node, "phone"), await attached(node, "laptop")];
    const bob = new Peer(node, {}, "bob");
    await bob.attach(0, "tablet");
    for (const [index, id] of ["laptop", "laptop", "tablet", "none", "", "a/b"].entries()) {
      phone.submit(index + 1, end(id));
    }
    await rest();
    const unknown = new Array(4).fill("DEVICE_UNKNOWN");
    assert.deepEqual(codesOf(phone), ["done", "done", ...unknown]);
    assert.equal(bob.closedWith, undefined);
    assert.deepEqual(await lines(store), ["ended laptop"], "told once");
  });

  test("[DEV-2] two devices end the same one at once", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const [phone, tablet] = [await attached(node, "phone"), await attached(node, "tablet")];
    await attached(node, "laptop");
    phone.submit(1, end("laptop"));
    tablet.submit(1, end("laptop"));
    await rest();
    assert.deepEqual([codesOf(phone), codesOf(tablet)], [["done"], ["done"]]);
    assert.deepEqual(await lines(store), ["ended laptop"]);
  });

  test("[DEV-3] who ends itself is told so before it is closed, and nothing after it counts", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const [phone] = [await attached(node, "phone"), await attached(node, "laptop")];
    phone.submit(1, say("one"));
    phone.submit(2, end("phone"));
    phone.submit(3, say("three"));
    phone.submit(4, end("laptop"));
    await rest();
    assert.deepEqual(codesOf(phone), ["done", "done"]);
    const kinds = phone.heard.map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(-1), ["close"]);
    assert.ok(kinds.lastIndexOf("submitAck") < kinds.indexOf("close"));
    assert.equal(phone.closedWith, ErrorCode.DEVICE_ENDED);
    assert.deepEqual(await lines(store), ["one", "ended phone"]);
    await rest();
    assert.equal(node.hub.count, 1, "the laptop is there still");
  });

  test("[DEV-5] what an ended device has under way has no effect", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const [phone, laptop] = [await attached(node, "phone"), await attached(node, "laptop")];
    laptop.submit(1, say("before"));
    phone.submit(1, end("laptop"));
    laptop.submit(2, say("under way"));
    await rest();
    laptop.submit(3, say("after"));
    await rest();
    assert.deepEqual(await lines(store), ["before", "ended laptop"]);
    assert.equal(laptop.closedWith, ErrorCode.DEVICE_ENDED);
  });

  test("[DEV-5] its calls end with its session", async () => {
    const store = storeOf();
    let answer = () => {};
    const waiting = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const slow = {
      list: async () => {
        await waiting;
        return { devices: [] };
      },
    };
    const node = {
      ...nodeOf(store),
      services: new Services({ roleIn: async () => undefined }).add(DevicesService, slow),
    };
    const [phone, laptop] = [await attached(node, "phone"), await attached(node, "laptop")];
    await laptop.say({
      kind: "call",
      value: { id: 1, method: METHOD, request: new Uint8Array(0) },
    });
    phone.submit(1, end("laptop"));
    await rest();
    answer();
    await rest();
    assert.equal(laptop.closedWith, ErrorCode.DEVICE_ENDED, "nothing comes after Close");
  });

  test("[DEV-5] a session at another node hears of it with its next frame", async () => {
    const store = storeOf();
    const [phone, laptop, tablet] = [
      await attached(nodeOf(store), "phone"),
      await attached(nodeOf(store), "laptop"),
      await attached(nodeOf(store), "tablet"),
    ];
    phone.submit(1, end("laptop"));
    phone.submit(2, end("tablet"));
    await rest();
    await laptop.say(ACK);
    assert.equal(laptop.closedWith, ErrorCode.DEVICE_ENDED);
    tablet.submit(1, say("too late"));
    await rest();
    assert.equal(tablet.closedWith, ErrorCode.DEVICE_ENDED);
    assert.deepEqual(await lines(store), ["ended laptop", "ended tablet"]);
  });

  test("[DEV-6] who was welcomed before the end is refused at Ready", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const [phone] = [await attached(node, "phone"), await attached(node, "laptop")];
    const again = new Peer(node);
    await again.hello(1, "laptop");
    phone.submit(1, end("laptop"));
    await rest();
    assert.equal(again.closedWith, undefined, "it is not attached");
    await again.say(READY);
    assert.equal(again.closedWith, ErrorCode.DEVICE_ENDED);
  });

  test("[DEV-6] it never attaches again, on a resumed link neither", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const tickets: string[] = [];
    const sealed = (subject?: string) => ({
      sealed: {
        channelBinding: new Uint8Array(32),
        subject,
        issueTicket: (whose: string) => void tickets.push(whose),
      },
    });
    const phone = await attached(node, "phone");
    await attached(node, "laptop", sealed());
    phone.submit(1, end("laptop"));
    await rest();
    for (const part of [{}, sealed(), sealed(tickets[0])]) {
      for (const epoch of [0, 1, 7]) {
        const again = new Peer(node, part);
        await again.hello(epoch, "laptop");
        assert.equal(again.closedWith, ErrorCode.DEVICE_ENDED, `epoch ${epoch}`);
        assert.ok(!again.heard.some(({ kind }) => kind === "welcome"));
      }
    }
    assert.equal(tickets.length, 1);
    await attached(node, "laptop2");
  });
});

describe("names and lists of devices", () => {
  test("[DEV-1] [DEV-10] a device asks which there are, and sees its own user's only", async () => {
    const store = storeOf();
    const node = servingNode(store);
    const [phone] = [await attached(node, "phone"), await attached(node, "laptop")];
    const bob = new Peer(node, {}, "bob");
    await bob.attach(0, "tablet");
    await new Peer(node).hello(0, "never");
    phone.submit(1, name("phone", "Alice's phone"));
    phone.submit(2, end("laptop"));
    await rest();
    const shown = (await list(phone, 1)).map((one) => [
      one.deviceId,
      one.name,
      Number(one.firstAttachedMs),
      Number(one.lastAttachedMs),
      one.ended,
      one.asking,
    ]);
    assert.deepEqual(shown, [
      ["laptop", "", 1_000, 1_000, true, false],
      ["never", "", 0, 0, false, false],
      ["phone", "Alice's phone", 1_000, 1_000, false, true],
    ]);
    assert.deepEqual(
      (await list(bob, 1)).map(({ deviceId }) => deviceId),
      ["tablet"],
    );
  });

  test("[DEV-9] [DEV-7] the last name wins, an empty one takes it away, a long one is refused", async () => {
    const store = storeOf();
    const node = servingNode(store);
    const [phone] = [await attached(node, "phone"), await attached(node, "laptop")];
    const longest = "é".repeat(64);
    let callId = 0;
    const named = async (seq: number, deviceId: string, text: string) => {
      phone.submit(seq, name(deviceId, text));
      await rest();
      callId += 1;
      const listed = await list(phone, callId);
      return listed.map((one) => one.name);
    };
    assert.deepEqual(await named(1, "laptop", "a"), ["a", ""]);
    assert.deepEqual(await named(2, "laptop", longest), [longest, ""]);
    assert.deepEqual(await named(3, "laptop", `${longest}x`), [longest, ""]);
    assert.deepEqual(await named(4, "none", "x"), [longest, ""]);
    phone.submit(5, end("laptop"));
    assert.deepEqual(await named(6, "laptop", "the lost one"), ["the lost one", ""]);
    assert.deepEqual(await named(7, "laptop", ""), ["", ""]);
    const refused = ["CONTENT_INVALID", "DEVICE_UNKNOWN"];
    assert.deepEqual(codesOf(phone), ["done", "done", ...refused, "done", "done", "done"]);
    assert.deepEqual(await lines(store), [
      "named laptop a",
      `named laptop ${longest}`,
      "ended laptop",
      "named laptop the lost one",
      "named laptop ",
    ]);
  });
});

describe("a new device", () => {
  test("[DEV-13] [DEV-7] all devices of its user are told of it, at once and later", async () => {
    const store = storeOf();
    const node = nodeOf(store);
    const phone = await attached(node, "phone");
    const bob = new Peer(node, {}, "bob");
    await bob.attach(0, "phone");
    assert.deepEqual(toldOf(phone), [], "there is nobody to tell of the first one");
    const laptop = await attached(node, "laptop");
    await rest();
    const added = { deviceId: "laptop", change: DeviceChange.ADDED, name: "" };
    assert.deepEqual([toldOf(phone), toldOf(laptop)], [[added], [added]]);
    await new Peer(node).attach(1, "laptop");
    await new Peer(nodeOf(store)).hello(0, "never");
    assert.deepEqual(await allLines(store), ["added laptop"], "with its first attachment only");
    assert.deepEqual(await allLines(store, "bob"), []);
    phone.submit(1, end("laptop"));
    phone.submit(2, end("phone"));
    await rest();
    const tablet = await attached(node, "tablet");
    assert.deepEqual(
      toldOf(tablet).map(({ deviceId }) => deviceId),
      ["laptop", "laptop", "phone", "tablet"],
    );
  });

  test("[DEV-13] an attachment that a crash cut off has told nobody, and the next one tells", async () => {
    let isFailing = false;
    const failures: string[] = [];
    const store = storeOf(undefined, async (write) => {
      if (isFailing) throw new Error("no disk");
      write();
    });
    const node = nodeOf(store);
    const failed = (where: string) => void failures.push(where);
    const failing = { ...node, observer: { ...node.observer, failed } };
    const phone = await attached(node, "phone");
    const laptop = new Peer(failing);
    await laptop.hello(0, "laptop");
    isFailing = true;
    await laptop.say(READY);
    assert.equal(laptop.closedWith, ErrorCode.STORE_UNAVAILABLE);
    assert.deepEqual([failures, await allLines(store)], [["attach"], []]);
    isFailing = false;
    await attached(node, "laptop");
    await rest();
    assert.equal(toldOf(phone).length, 1);
    assert.deepEqual(await allLines(store), ["added laptop"]);
  });
});

/** What a peer was told of devices. */
function toldOf({ heard }: Peer) {
  return heard.flatMap((frame) => {
    if (frame.kind !== "deliver") return [];
    const { kind } = fromBinary(EventSchema, frame.value.event);
    if (kind.case !== "deviceChanged") return [];
    const { deviceId, change, name: called } = kind.value;
    return [{ deviceId, change, name: called }];
  });
}

describe("the number of devices", () => {
  test("[DEV-8] two new devices at once, and room for one", async () => {
    const store = storeOf(2);
    const node = nodeOf(store);
    const phone = await attached(node, "phone");
    const [one, other] = [new Peer(node), new Peer(node)];
    await Promise.all([one.hello(0, "one"), other.hello(0, "other")]);
    assert.deepEqual([one.closedWith, other.closedWith], [undefined, ErrorCode.DEVICES_FULL]);
    await one.say(READY);
    await new Peer(node).attach(1, "phone");
    assert.equal(phone.closedWith, ErrorCode.SUPERSEDED, "who is known comes in");
    const third = new Peer(node);
    await third.hello(0, "third");
    assert.equal(third.closedWith, ErrorCode.DEVICES_FULL);
    one.submit(1, end("phone"));
    await rest();
    await attached(node, "third");
  });
});
