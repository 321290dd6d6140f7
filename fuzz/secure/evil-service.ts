import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, connect } from "../../client/client.ts";
import type { Dialer } from "../../client/dialer.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import {
  ListDevicesRequestSchema,
  type ListDevicesResponse,
  ListDevicesResponseSchema,
} from "../../gen/posthorn/v1/directory_pb.ts";
import { type Event, EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { type SecurePacket, SecurePacketSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { decodePlain, encodePlain, type Plain } from "../../protocol/plain.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import { assert } from "../../protocol/violation.ts";
import { configFrom } from "../../server/config.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { wayTo } from "../attacker/transports.ts";
import { evilDialer } from "./evil-link.ts";

export type PacketKind = NonNullable<SecurePacket["kind"]["case"]>;

/** A packet as a device is about to get it. */
export interface PassingPacket {
  readonly from: DeviceAddress;
  readonly to: DeviceAddress;
  readonly kind: PacketKind;
  readonly bytes: Uint8Array;
}

/** What a device gets: from whom the service says that it is. Undefined: it is gone. */
export type Arrival = Pick<PassingPacket, "from" | "bytes"> | undefined;

/** What a device is told of somebody's devices. */
export type Listed = Plain<ListDevicesResponse>;

type EventKind = MessageInitShape<typeof EventSchema>["kind"];

interface Injected {
  readonly to: DeviceAddress;
  readonly kind: EventKind;
}

const SERVICE = { port: 0, longPoll: { coalesceMs: 0 } };
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
/** Takes a place in a timeline, to be filled with a lie. */
const ACCOMPLICE = "accomplice";

/**
 * A real service in the hands of somebody who lies at will about packets, senders, devices and
 * keys, and never breaks a rule of sessions: what it says beside what is true takes the places of
 * messages that an accomplice sends.
 */
export class EvilService {
  /** What becomes of each packet that a device is about to get. */
  packets: (packet: PassingPacket) => Arrival = (packet) => packet;
  /** What is answered to who asks for somebody's devices. */
  directory: (said: Listed, about: string, asker: DeviceAddress) => Listed = (said) => said;
  /** Whether a device is told that somebody's devices have changed. */
  news: (about: string, told: DeviceAddress) => boolean = () => true;
  /** All packets that came to a link of a device, whatever became of them. */
  readonly seen: PassingPacket[] = [];
  /** Of its store. */
  readonly folder: string;
  readonly #server: PosthornServer;
  readonly #injected = new Map<string, Injected>();
  #accomplice: Promise<Client> | undefined;

  private constructor(folder: string, server: PosthornServer) {
    this.folder = folder;
    this.#server = server;
  }

  static async open(): Promise<EvilService> {
    const folder = await mkdtemp(join(tmpdir(), "posthorn-evil-"));
    const config = configFrom({ file: { ...SERVICE, data: join(folder, "data") } });
    return new EvilService(folder, await createServer(config, SILENT));
  }

  get port(): number {
    return this.#server.address.port;
  }

  /** A device's way to the service; by somebody else's port where one is given. */
  way(kind: LinkKind, device: DeviceAddress, port: number = this.port): Dialer {
    return evilDialer(wayTo(kind, port), {
      event: (bytes) => this.#event(bytes, device),
      reply: (call, response) => {
        const { userId } = fromBinary(ListDevicesRequestSchema, call.request);
        const said = decodePlain(ListDevicesResponseSchema, response);
        assert(typeof said !== "string", "what the service says can be read");
        return encodePlain(ListDevicesResponseSchema, this.directory(said, userId, device));
      },
    });
  }

  /** Honest again. */
  reset(): void {
    this.packets = (packet) => packet;
    this.directory = (said) => said;
    this.news = () => true;
    this.seen.length = 0;
  }

  /** Gives a device a packet that nobody has sent to it now. */
  async inject(to: DeviceAddress, { from, bytes }: NonNullable<Arrival>): Promise<void> {
    await this.injectEvent(to, arrived({ from, to, bytes }));
  }

  /** Puts an event into a device's timeline; the user's other devices see an empty packet. */
  async injectEvent(to: DeviceAddress, kind: EventKind): Promise<void> {
    const marker = `evil ${this.#injected.size}`;
    this.#injected.set(marker, { to, kind });
    this.#accomplice ??= connect({
      dialers: [wayTo("tcp", this.port)],
      userId: ACCOMPLICE,
      deviceId: ACCOMPLICE,
      journal: memoryJournal(),
    });
    await (await this.#accomplice).send(to.userId, marker);
  }

  async close(): Promise<void> {
    await (await this.#accomplice)?.close();
    await this.#server.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  #event(bytes: Uint8Array, device: DeviceAddress): Uint8Array {
    const { kind } = fromBinary(EventSchema, bytes);
    const told = this.#told(kind, device);
    if (told === undefined) return bytes;
    return toBinary(EventSchema, create(EventSchema, { kind: told }));
  }

  /** @returns undefined for what stays as it is */
  #told(kind: Event["kind"], to: DeviceAddress): EventKind | undefined {
    const nothing = arrived({ from: to, to, bytes: new Uint8Array(0) });
    switch (kind.case) {
      case "message": {
        const injected = this.#injected.get(`${kind.value.content?.kind.value}`);
        if (injected === undefined) return undefined;
        return injected.to.deviceId === to.deviceId ? injected.kind : nothing;
      }
      case "directoryChanged":
        return this.news(kind.value.userId, to) ? undefined : nothing;
      case "packetArrived": {
        const { packet: bytes, senderUserId, senderDeviceId } = kind.value;
        const read = bytes.length > 0 && fromBinary(SecurePacketSchema, bytes).kind.case;
        if (!read) return undefined;
        const from = { userId: senderUserId, deviceId: senderDeviceId };
        const packet = { from, to, kind: read, bytes: Uint8Array.from(bytes) };
        this.seen.push(packet);
        const arrival = this.packets(packet);
        if (arrival === packet) return undefined;
        return arrival === undefined ? nothing : arrived({ ...arrival, to });
      }
      default:
        return nothing;
    }
  }
}

function arrived({ from, to, bytes }: Omit<PassingPacket, "kind">): EventKind {
  const value = {
    senderUserId: from.userId,
    senderDeviceId: from.deviceId,
    toDeviceId: to.deviceId,
    expiresMs: BigInt(Date.now() + 60_000),
    packet: bytes,
  };
  return { case: "packetArrived", value };
}
