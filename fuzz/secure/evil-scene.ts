import assert from "node:assert/strict";
import { type MemoryJournal, memoryJournal } from "../../client/memory-journal.ts";
import type { SecureChat } from "../../client/secure/chat.ts";
import {
  drawSeeds,
  memorySecureIdentity,
  SecureIdentity,
  type SecureSeeds,
} from "../../client/secure/identity.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import type { LinkKind } from "../../protocol/link.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import { EvilService, type PacketKind, type PassingPacket } from "./evil-service.ts";
import { SecureDevice, type SecureDeviceOptions } from "./secure-device.ts";

export type PartyOptions = Partial<Omit<SecureDeviceOptions, "dialers" | "journal">> & {
  readonly kind?: LinkKind;
};

/** A device of a scene. */
export interface Party {
  readonly device: SecureDevice;
  readonly address: DeviceAddress;
  readonly journal: MemoryJournal;
  readonly options: PartyOptions;
  /** Of its user's account key, which all of its devices have. */
  readonly account: SecureSeeds;
}

/** Two parties with an open chat. */
export interface Couple {
  readonly ann: Party;
  readonly bob: Party;
  /** Ann's end of it. */
  readonly chat: SecureChat;
  readonly theirs: SecureChat;
}

/** A chat that is wanted, of which one kind of packet is kept back. */
export interface StuckChat extends Omit<Couple, "theirs"> {
  readonly held: PassingPacket;
}

/** A service that lies, and devices that know each other only through it. */
export class EvilScene {
  readonly service: EvilService;
  #parties: Party[] = [];
  readonly #accounts = new Map<string, SecureSeeds>();
  #userCount = 0;

  private constructor(service: EvilService) {
    this.service = service;
  }

  static async open(): Promise<EvilScene> {
    return new EvilScene(await EvilService.open());
  }

  /** A device of a user whom no other test has, unless it is named. */
  async party(options: PartyOptions = {}): Promise<Party> {
    this.#userCount += 1;
    const { kind = "tcp", userId = `user${this.#userCount}`, deviceId = "phone" } = options;
    const account = this.#accounts.get(userId) ?? drawSeeds();
    this.#accounts.set(userId, account);
    const memory = memorySecureIdentity({ device: drawSeeds(), account, certificate: undefined });
    const identity =
      options.identity ?? (await SecureIdentity.open(NATIVE_CRYPTO, memory, { userId, deviceId }));
    return await this.#begin({ ...options, kind, userId, deviceId, identity }, memoryJournal());
  }

  /** The process of a device is gone, and a new one begins with what was durable. */
  async restart({ device, options, journal }: Party): Promise<Party> {
    await device.client.close();
    const { identity, peers } = device;
    return await this.#begin({ ...options, identity, peers }, memoryJournal(journal.state));
  }

  /** Two devices between which a chat is open. */
  async couple(options: PartyOptions = {}): Promise<Couple> {
    return await this.open(await this.party(options), await this.party(options));
  }

  /** One more chat. */
  async open(ann: Party, bob: Party): Promise<Couple> {
    const chat = ann.device.messenger.secureChat(bob.address);
    await chat.settled();
    assert.ok(chat.isOpen, `closed: ${errorRule(chat.code ?? ErrorCode.UNSPECIFIED).name}`);
    return { ann, bob, chat, theirs: await theirsOf(bob, chat) };
  }

  /** Ann wants a chat, and says "early" where she can, and one kind of packet is kept back. */
  async stuck(kind: PacketKind, ann?: Party, bob?: Party): Promise<StuckChat> {
    const [first, second] = [ann ?? (await this.party()), bob ?? (await this.party())];
    const held = this.withhold((packet) => packet.kind === kind);
    const chat = first.device.messenger.secureChat(second.address);
    if (kind === "confirm" || kind === "message") {
      await chat.settled();
      await chat.send("early");
    }
    await first.device.until(`no ${kind}`, () => held.length === 1);
    return { ann: first, bob: second, chat, held: held[0] as PassingPacket };
  }

  /** What was kept back comes after all, nothing else is: the chat opens, and both talk. */
  async goesOn({ ann, bob, chat, held }: StuckChat, said: Said = {}): Promise<void> {
    this.service.packets = (packet) => packet;
    await this.release(held);
    await chat.settled();
    await talks({ ann, bob, chat, theirs: await theirsOf(bob, chat) }, said);
  }

  /** Keeps packets back from now on; what is kept is in the list that comes back. */
  withhold(wanted: (packet: PassingPacket) => boolean): PassingPacket[] {
    const held: PassingPacket[] = [];
    this.service.packets = (packet) => {
      if (!wanted(packet)) return packet;
      held.push(packet);
      return undefined;
    };
    return held;
  }

  /** The last packet of a kind to a device. */
  last(kind: PacketKind, to: Party): PassingPacket {
    const found = this.service.seen.findLast(
      (packet) => packet.kind === kind && sameDevice(packet.to, to.address),
    );
    assert.ok(found, `no ${kind} was seen`);
    return found;
  }

  /** Gives it to whom it is for, or to somebody else, as often as asked. */
  async release(packet: PassingPacket, changed: Partial<PassingPacket> = {}): Promise<void> {
    const { to, from, bytes } = { ...packet, ...changed };
    await this.service.inject(to, { from, bytes });
  }

  async clear(): Promise<void> {
    this.service.reset();
    // What has ended in a test ends once more, and nobody hears of it.
    await Promise.all(this.#parties.splice(0).map(({ device }) => device.close()));
  }

  async close(): Promise<void> {
    await this.clear();
    await this.service.close();
  }

  async #begin(options: PartyOptions, journal: MemoryJournal): Promise<Party> {
    const { kind = "tcp", userId = "", deviceId = "" } = options;
    const address = { userId, deviceId };
    const dialers = [this.service.way(kind, address)];
    const device = await SecureDevice.open({ ...options, ...address, dialers, journal });
    const account = this.#accounts.get(userId) as SecureSeeds;
    const party = { device, address, journal, options, account };
    this.#parties.push(party);
    return party;
  }
}

export function sameDevice(a: DeviceAddress, b: DeviceAddress): boolean {
  return a.userId === b.userId && a.deviceId === b.deviceId;
}

/** The other end of a chat, once it is open there. */
export async function theirsOf({ device }: Party, { sessionId }: SecureChat): Promise<SecureChat> {
  const found = () =>
    device.messenger.chats.find(
      (chat) => chat.isOpen && Buffer.from(chat.sessionId).equals(sessionId),
    );
  await device.until("no open chat", () => found() !== undefined);
  return found() as SecureChat;
}

/** The names of the codes with which a device has refused packets, in order. */
export function refusals({ device }: Party): string[] {
  return device.events.flatMap((event) =>
    event.kind === "secure-refused" ? [errorRule(event.code).name] : [],
  );
}

/** Waits for so many refusals, and for what they are. */
export async function refuses(party: Party, ...codes: readonly string[]): Promise<void> {
  const { device } = party;
  await device.until(`refusals: ${codes}`, () => refusals(party).length >= codes.length);
  assert.deepEqual(refusals(party), codes);
}

/** What each of two has got before. */
export interface Said {
  readonly ann?: readonly string[];
  readonly bob?: readonly string[];
}

/** Says something each way, and both have got what was said to them and nothing else, once. */
export async function talks({ ann, bob, chat, theirs }: Couple, before: Said = {}): Promise<void> {
  await chat.send("from ann");
  await theirs.send("from bob");
  const toBob = [...(before.bob ?? []), "from ann"];
  const toAnn = [...(before.ann ?? []), "from bob"];
  await bob.device.until("no text for bob", () => bob.device.texts.length >= toBob.length);
  await ann.device.until("no text for ann", () => ann.device.texts.length >= toAnn.length);
  assert.deepEqual(bob.device.texts, toBob);
  assert.deepEqual(ann.device.texts, toAnn);
}
