import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import type {
  ClientEnvelopeOptions,
  ClientEstablished,
  Expectation,
} from "../protocol/envelope/client.ts";
import { equalBytes } from "../protocol/envelope/octets.ts";
import type { CryptoProvider } from "../protocol/envelope/provider.ts";
import {
  isAtLeast,
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
  suiteOf,
} from "../protocol/envelope/suites.ts";
import type { ClientTicket } from "../protocol/envelope/ticket.ts";
import { JournalError } from "./journal.ts";
import { countedOf, type KnownService, learned, promiseOf } from "./known-service.ts";
import { SessionError } from "./results.ts";

/** An RSA key of one link; the private half stays where it was made. [ENV-23] */
export interface RsaKey {
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** Once; undefined when the ciphertext holds no secret. */
  decrypt(ciphertext: Uint8Array): Promise<Uint8Array | undefined> | (Uint8Array | undefined);
}

/** Where what is known of a service is kept between lives. */
export interface ServiceMemory {
  load(): KnownService | undefined;
  /** Whatever it throws ends the client with DATA_UNWRITABLE. [ENV-73] */
  save(known: KnownService): void;
}

export interface ServiceEnvelopeOptions {
  readonly crypto: CryptoProvider;
  /**
   * The service's pins, as its operator passed them on; "first-seen": whoever is there the first
   * time, which somebody in between can be; "none": anybody. [ENV-32]
   */
  readonly trust: readonly Uint8Array[] | "first-seen" | "none";
  /** By number, best first. */
  readonly suites?: readonly number[];
  /** A fresh RSA key for a link; where it is absent suite 0x0001 is not offered. */
  readonly makeRsaKey?: () => Promise<RsaKey>;
  /** Only what was learned on a link that the service has welcomed comes here. [ENV-73] */
  readonly memory?: ServiceMemory;
}

const SUITES_DEFAULT = [SUITE_XWING_AES256, SUITE_XWING_CHACHA20];
/** More than transports that race. */
const TICKETS_MAX = 4;

/**
 * What a device knows of one service's envelope, shared by all its diallers: whom to expect, what
 * was promised, and the tickets with which it changes transports. [ENV-34] [ENV-42]
 */
export class ServiceEnvelope {
  readonly crypto: CryptoProvider;
  readonly #options: ServiceEnvelopeOptions;
  readonly #suites: readonly number[];
  readonly #pins: readonly Uint8Array[] | undefined;
  #known: KnownService;
  /** By the device that they came to: another one's are of no use to it. [ENV-76] */
  readonly #tickets = new WeakMap<object, readonly ClientTicket[]>();

  /** @throws RangeError when there is no suite that it could ever offer */
  constructor(options: ServiceEnvelopeOptions) {
    this.crypto = options.crypto;
    this.#options = options;
    const hasRsa = options.makeRsaKey !== undefined;
    this.#suites = (options.suites ?? SUITES_DEFAULT).filter((number) => {
      return suiteOf(number) !== undefined && (number !== SUITE_RSA_AES128 || hasRsa);
    });
    if (this.#suites.length === 0) throw new RangeError("no suite to offer");
    const { trust, memory } = options;
    this.#pins = typeof trust === "string" ? undefined : trust;
    this.#known = countedOf(memory?.load() ?? { identities: [] }, this.#pins);
  }

  /** Whether there is a suite to offer that is as strong as was promised. [ENV-34] [ENV-77] */
  get canOffer(): boolean {
    const promise = promiseOf(this.#known);
    return this.#suites.some((number) => {
      const suite = suiteOf(number);
      return suite !== undefined && (promise === undefined || isAtLeast(suite, promise));
    });
  }

  /** The key that suite 0x0001 needs; undefined where it is not offered. */
  async rsaKey(): Promise<RsaKey | undefined> {
    if (!this.#suites.includes(SUITE_RSA_AES128)) return undefined;
    return await this.#options.makeRsaKey?.();
  }

  /** What to offer on the next link of a device; uses one of its tickets up. [ENV-44] */
  offer(
    rsaPublicKey: Uint8Array | undefined,
    { owner, nowMs }: { readonly owner: object; readonly nowMs: number },
  ): Omit<ClientEnvelopeOptions, "randomness"> {
    const suites = this.#suites.filter((suite) => suite !== SUITE_RSA_AES128 || rsaPublicKey);
    const minSuite = promiseOf(this.#known);
    const tickets = this.#ticketsOf(owner).filter(({ expiresMs }) => expiresMs > nowMs);
    const ticket = tickets.at(-1);
    this.#tickets.set(owner, tickets.slice(0, -1));
    return {
      suites,
      expects: this.#expects,
      ...(minSuite === undefined ? {} : { minSuite }),
      ...(ticket === undefined ? {} : { ticket }),
      ...(rsaPublicKey === undefined ? {} : { rsaPublicKey }),
    };
  }

  keep(ticket: ClientTicket, owner: object): void {
    this.#tickets.set(owner, [...this.#ticketsOf(owner), ticket].slice(-TICKETS_MAX));
  }

  /** The link that a ticket came over went wrong. [ENV-76] */
  drop(ticketId: Uint8Array, owner: object): void {
    const others = this.#ticketsOf(owner).filter((one) => !equalBytes(one.ticketId, ticketId));
    this.#tickets.set(owner, others);
  }

  /**
   * The service has welcomed the device on a link: what the handshake taught is kept now. [ENV-73]
   *
   * @throws JournalError DATA_UNWRITABLE when it cannot be; SessionError SERVER_IDENTITY_CHANGED
   *   when the device came to know another one while the link was on its way
   */
  welcomed({ serverId, policy, trust }: ClientEstablished): void {
    if (trust === "none") return;
    const { identities } = this.#known;
    const isExpected = identities.some((known) => equalBytes(known.serverId, serverId));
    if (identities.length > 0 && !isExpected) {
      throw new SessionError(ErrorCode.SERVER_IDENTITY_CHANGED);
    }
    const { nextServerId, minSuite } = policy;
    const fresh = learned(this.#known, { serverId, nextServerId, minSuite });
    if (fresh === this.#known) return;
    const counted = countedOf(fresh, this.#pins);
    try {
      this.#options.memory?.save(counted);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const detail = `what is known of the service cannot be kept: ${why}`;
      throw new JournalError(ErrorCode.DATA_UNWRITABLE, detail, { cause });
    }
    this.#known = counted;
  }

  #ticketsOf(owner: object): readonly ClientTicket[] {
    return this.#tickets.get(owner) ?? [];
  }

  get #expects(): Expectation {
    if (this.#options.trust === "none") return { kind: "none" };
    const serverIds = this.#known.identities.map(({ serverId }) => serverId);
    return { kind: this.#pins === undefined ? "first-use" : "pinned", serverIds };
  }
}
