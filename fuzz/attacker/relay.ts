import type { Dialer } from "../../client/dialer.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { RecordReader, type SealRecord } from "../../protocol/envelope/records.ts";
import type { AcceptedLink, DialledLink, LinkHandler, LinkKind } from "../../protocol/link.ts";
import { contentOf } from "../../protocol/whole-frames.ts";
import { dialTo, type Entrance, listenOn } from "./transports.ts";

/** The two that somebody in between has to do with. */
export type Side = "device" | "service";

/** A record on its way. */
export interface Passing extends SealRecord {
  readonly link: RelayedLink;
  /** Whom it is for. */
  readonly to: Side;
  /** Of its direction, from 0. */
  readonly index: number;
  /** Header and body. */
  readonly bytes: Uint8Array;
}

/** What somebody in between does with each record; nothing passes by itself. */
export type Attack = (record: Passing) => void;

/** Nothing but what everybody in between does. */
export const pass: Attack = ({ link, to, bytes }) => link.send(to, bytes);

/**
 * Somebody in between a device and its service, on their real transports: reads records, has no
 * keys, and does with them whatever an {@link Attack} says.
 */
export class Relay {
  readonly kind: LinkKind;
  /** To the service itself. */
  readonly service: Dialer;
  attack: Attack = pass;
  /** Links to the service so far. */
  dialCount = 0;
  /** In the order in which devices opened them. */
  readonly links: RelayedLink[] = [];
  #entrance: Entrance | undefined;
  /** How many more links may go on; the others wait. */
  #admitted = Number.POSITIVE_INFINITY;
  #waiting: RelayedLink[] = [];

  private constructor(kind: LinkKind, service: Dialer) {
    this.kind = kind;
    const dial = async (signal: AbortSignal) => {
      const link = await service.dial(signal);
      this.dialCount += 1;
      return link;
    };
    this.service = { ...service, dial };
  }

  static async open(kind: LinkKind, servicePort: number): Promise<Relay> {
    const relay = new Relay(kind, dialTo(kind, servicePort));
    relay.#entrance = await listenOn(kind, (device) => relay.#accept(device));
    return relay;
  }

  get port(): number {
    return this.#entrance?.port ?? 0;
  }

  /** The link that was opened last. */
  get last(): RelayedLink {
    return this.links.at(-1) as RelayedLink;
  }

  /** Lets so many more links go on; what others say is kept. */
  admit(count: number): void {
    this.#admitted = count;
    while (this.#admitted > 0 && this.#waiting.length > 0) {
      this.#admitted -= 1;
      this.#waiting.shift()?.admitted();
    }
  }

  /** Honest again, for whoever comes. */
  reset(): void {
    this.attack = pass;
    this.#waiting = [];
    this.#admitted = Number.POSITIVE_INFINITY;
  }

  async close(): Promise<void> {
    for (const link of this.links) link.cut();
    await this.#entrance?.close();
  }

  #accept(device: AcceptedLink): LinkHandler {
    const link = new RelayedLink(this, device);
    this.links.push(link);
    this.#waiting.push(link);
    if (this.#admitted > 0) this.admit(this.#admitted);
    return link.device;
  }
}

/** One link through the relay. */
export class RelayedLink {
  /** Whole records, in the order in which they came. */
  readonly seen: Passing[] = [];
  /** All bytes that came from either side, sealed or not. */
  readonly from: Readonly<Record<Side, Uint8Array[]>> = { device: [], service: [] };
  /** Who has ended its transport, and what the transport said of it. */
  readonly ended = new Map<Side, string>();
  /** Called instead of passing on that the device has ended its transport. */
  onEnd: (() => void) | undefined;
  readonly device: LinkHandler;
  readonly #relay: Relay;
  readonly #deviceLink: AcceptedLink;
  #serviceLink: Promise<DialledLink> | undefined;
  #isSealed: boolean | undefined;
  /** What came before the link was let go on. */
  #early: (() => void)[] | undefined = [];
  #isCut = false;
  readonly #readers = { device: new RecordReader(), service: new RecordReader() };

  constructor(relay: Relay, device: AcceptedLink) {
    this.#relay = relay;
    this.#deviceLink = device;
    this.device = this.#handler("device");
  }

  /** Sends bytes to one side, as they are. */
  send(to: Side, bytes: Uint8Array): void {
    if (to === "device") this.#deviceLink.write(bytes.slice());
    else void this.#toService((link) => link.write(bytes.slice()));
  }

  /** Ends the transport of one side, in order as far as the transport goes. */
  end(side: Side): void {
    if (side === "device") this.#deviceLink.close(ErrorCode.GOODBYE);
    else void this.#toService((link) => link.close(ErrorCode.GOODBYE));
  }

  /** Ends both transports, and nothing that comes meanwhile goes on. */
  cut(): void {
    this.#isCut = true;
    this.#early = undefined;
    this.end("device");
    if (this.#serviceLink !== undefined) this.end("service");
  }

  /** The relay lets the link go on. */
  admitted(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) event();
  }

  /** The records for one side so far. */
  seenFor(side: Side): Passing[] {
    return this.seen.filter(({ to }) => to === side);
  }

  #toService(use: (link: DialledLink) => void): Promise<void> {
    this.#serviceLink ??= this.#dial();
    return this.#serviceLink.then(use, () => this.end("device"));
  }

  async #dial(): Promise<DialledLink> {
    const link = await this.#relay.service.dial(new AbortController().signal);
    link.start(this.#handler("service"));
    return link;
  }

  #handler(from: Side): LinkHandler {
    const whenAdmitted = (event: () => void) => {
      if (this.#early === undefined) event();
      else this.#early.push(event);
    };
    return {
      received: (bytes) => whenAdmitted(() => this.#received(from, bytes)),
      drained: () => {},
      closed: (_, detail) => whenAdmitted(() => this.#closed(from, detail)),
    };
  }

  #received(from: Side, bytes: Uint8Array): void {
    if (this.#isCut) return;
    const to = from === "device" ? "service" : "device";
    this.from[from].push(bytes);
    this.#isSealed ??= contentOf(bytes) === "records";
    if (!this.#isSealed) return this.send(to, bytes);
    const fault = this.#readers[from].push(bytes, (record) => {
      const whole = Buffer.concat([record.header, record.body]);
      const index = this.seenFor(to).length;
      const passing = { ...record, link: this, to, index, bytes: whole } as const;
      this.seen.push(passing);
      this.#relay.attack(passing);
      return true;
    });
    if (fault !== undefined) this.send(to, bytes);
  }

  #closed(from: Side, detail: string): void {
    this.ended.set(from, detail);
    if (from === "device" && this.onEnd !== undefined) return this.onEnd();
    const to = from === "device" ? "service" : "device";
    if (to === "device" || this.#serviceLink !== undefined) this.end(to);
  }
}
