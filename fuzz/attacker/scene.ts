import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../../client/client.ts";
import type { Dialer } from "../../client/dialer.ts";
import { sealed } from "../../client/links/sealed.ts";
import { type MemoryJournal, memoryJournal } from "../../client/memory-journal.ts";
import { ServiceEnvelope, type ServiceEnvelopeOptions } from "../../client/service-envelope.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { LinkRsaKey } from "../../platform/native-rsa.ts";
import { parsePin } from "../../protocol/envelope/identity.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { configFrom } from "../../server/config.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";
import { Relay } from "./relay.ts";
import { dialTo, wayTo } from "./transports.ts";

const SERVICE = { port: 0, envelope: "required", longPoll: { coalesceMs: 0 } };
const BACKOFF = { baseMs: 10, capMs: 20 };
/** How long anything may take that is waited for. */
const PATIENCE_MS = 8_000;
/** What a reader of the service's store writes to find the end of it. */
const MARKER = "read so far ";

interface SceneParts {
  readonly folder: string;
  readonly service: PosthornServer;
  readonly codes: string[];
  readonly relay: Relay;
}

/** A service, somebody in between, and devices that know the service only through them. */
export class Scene {
  readonly service: PosthornServer;
  readonly relay: Relay;
  /** Why the service ended links, by the names of the codes in its log. */
  readonly codes: string[];
  readonly #folder: string;
  readonly #devices: Device[] = [];
  #userCount = 0;
  /** Each is a link past the relay. */
  #markerCount = 0;
  #codesCleared = 0;

  private constructor({ folder, service, codes, relay }: SceneParts) {
    this.#folder = folder;
    this.service = service;
    this.codes = codes;
    this.relay = relay;
  }

  /** @param config of the service, besides what all scenes have */
  static async open(kind: LinkKind, config: object = {}): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), "posthorn-attacker-"));
    const codes: string[] = [];
    const file = { data: folder, ...SERVICE, ...config };
    const service = await createServer(configFrom({ file }), codeLog(codes));
    const relay = await Relay.open(kind, service.address.port);
    return new Scene({ folder, service, codes, relay });
  }

  get pin(): Uint8Array {
    return parsePin(this.service.pin as string) as Uint8Array;
  }

  /** The way to the service that leads through the relay. */
  get way(): Dialer {
    return wayTo(this.relay.kind, this.relay.port);
  }

  /** Another user's name in each test. */
  user(): string {
    this.#userCount += 1;
    return `user${this.#userCount}`;
  }

  /** What a device knows of the service: its pin, unless told otherwise. */
  envelope(asked: Partial<ServiceEnvelopeOptions> = {}): ServiceEnvelope {
    // The smallest that is legal: they are made while a test waits.
    const makeRsaKey = () => LinkRsaKey.generate(2048);
    return new ServiceEnvelope({ crypto: NATIVE_CRYPTO, makeRsaKey, trust: [this.pin], ...asked });
  }

  /** A device behind the relay; pins the service unless told otherwise. */
  async device(asked: Partial<DeviceOptions> = {}): Promise<Device> {
    const envelope = asked.envelope ?? this.envelope();
    const dialer = asked.dialer ?? sealed(this.way, envelope);
    const userId = asked.userId ?? this.user();
    const device = await Device.begin({ journal: memoryJournal(), ...asked, userId, dialer });
    this.#devices.push(device);
    return device;
  }

  /** What the service has stored for a user, as another device of theirs finds it directly. */
  async stored(userId: string): Promise<string[]> {
    this.#markerCount += 1;
    const marker = `${MARKER}${this.#markerCount}`;
    const dialer = sealed(dialTo("tcp", this.service.address.port), this.envelope());
    const deviceId = `reader${this.#markerCount}`;
    const reader = await Device.begin({ userId, deviceId, dialer, journal: memoryJournal() });
    await reader.client.send(userId, marker);
    await until(`${marker} is read`, () => reader.all.includes(marker));
    await reader.client.close();
    return reader.received;
  }

  /** Between tests: nobody is left, and the attacker honest again. */
  async clear(): Promise<void> {
    // A client that stopped loudly says so once more.
    for (const { client } of this.#devices.splice(0)) await client.close().catch(() => {});
    for (const link of this.relay.links.splice(0)) link.cut();
    this.relay.reset();
    this.#codesCleared += this.codes.splice(0).length;
    const isOver = () => {
      return this.#codesCleared + this.codes.length >= this.relay.dialCount + this.#markerCount;
    };
    await until("the service has seen all links end", isOver);
    this.#codesCleared += this.codes.splice(0).length;
  }

  async close(): Promise<void> {
    await this.clear();
    await this.relay.close();
    await this.service.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export interface DeviceOptions {
  readonly userId: string;
  readonly deviceId?: string;
  readonly token?: string;
  readonly dialer: Dialer;
  readonly envelope?: ServiceEnvelope;
  readonly journal: MemoryJournal;
}

/** A client of the repository, and all that it was told. */
export class Device {
  readonly client: Client;
  readonly userId: string;
  readonly journal: DeviceOptions["journal"];
  /** Why its links ended, by the names of the codes. */
  readonly codes: string[] = [];
  /** What the service has acknowledged. */
  readonly acknowledged: string[] = [];
  /** All texts of the timeline, in order. */
  readonly all: string[] = [];

  private constructor(client: Client, { userId, journal }: DeviceOptions) {
    this.client = client;
    this.userId = userId;
    this.journal = journal;
    let last = "";
    client.onStatus(({ state, error }) => {
      const isEnd = state === "waiting" || state === "closed";
      if (isEnd && state !== last && error !== undefined) this.codes.push(errorRule(error).name);
      last = state;
    });
    void this.#read().catch(() => {});
  }

  static async begin(options: DeviceOptions): Promise<Device> {
    const { dialer, deviceId = "d", token, userId, journal } = options;
    const credential = token === undefined ? { userId } : { token };
    const common = { dialers: [dialer], deviceId, journal, backoff: BACKOFF, upgradeMs: 0 };
    return new Device(await connect({ ...common, ...credential }), options);
  }

  /** What came to the application, in order, without what readers of the store wrote. */
  get received(): string[] {
    return this.all.filter((text) => !text.startsWith(MARKER));
  }

  /** Sends texts to the user's own timeline. */
  async send(...texts: readonly string[]): Promise<void> {
    const sends = texts.map(async (text) => {
      await this.client.send(this.userId, text);
      this.acknowledged.push(text);
    });
    await Promise.all(sends);
  }

  /** As {@link send}, for who looks at `acknowledged` later. */
  sendLater(...texts: readonly string[]): void {
    this.send(...texts).catch(() => {});
  }

  async #read(): Promise<void> {
    for await (const event of this.client.events()) {
      if (event.kind === "message") this.all.push(String(event.content));
    }
  }
}

/** Looks until it is so. @throws Error with what was waited for, when that takes too long */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** Keeps the codes with which links end, and nothing else. */
function codeLog(codes: string[]): Log {
  const ignore = () => {};
  const info = (at: string, data: object) => {
    if (at === "link.closed" || at === "session.closed")
      codes.push((data as { code: string }).code);
  };
  return { debug: ignore, info, warn: ignore, error: ignore };
}
