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
import { LinkError } from "./dialer.ts";

/** An RSA key of one link; the private half stays where it was made. [ENV-23] */
export interface RsaKey {
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  /** Once; undefined when the ciphertext holds no secret. */
  decrypt(ciphertext: Uint8Array): Promise<Uint8Array | undefined> | (Uint8Array | undefined);
}

/** What a device remembers of a service between its lives. */
export interface KnownService {
  /** The identities that are taken for it: pinned, or there the first time. */
  readonly serverIds: readonly Uint8Array[];
  /** The weakest suite that it has promised to accept. [ENV-34] */
  readonly minSuite: number | undefined;
}

/** Where that is kept. */
export interface ServiceMemory {
  load(): KnownService | undefined;
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
  #known: KnownService;
  #tickets: ClientTicket[] = [];

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
    const remembered = memory?.load() ?? { serverIds: [], minSuite: undefined };
    // Pins are what the user says now; what an announcement added to them stays. [ENV-33]
    const pins = Array.isArray(trust) ? merged(trust, remembered.serverIds) : remembered.serverIds;
    this.#known = { ...remembered, serverIds: pins };
  }

  /**
   * By number, best first: what may be offered beside what the service has promised. [ENV-34]
   *
   * @throws LinkError when nothing may, which dialling again does not change
   */
  get suites(): readonly number[] {
    const { minSuite } = this.#known;
    if (minSuite === undefined) return this.#suites;
    const strong = this.#suites.filter((number) => {
      const suite = suiteOf(number);
      return suite !== undefined && isAtLeast(suite, minSuite);
    });
    if (strong.length > 0) return strong;
    const detail = `the service has promised suite ${minSuite}, and this device has weaker ones`;
    throw new LinkError(ErrorCode.ENVELOPE_DOWNGRADED, detail);
  }

  /** The key that suite 0x0001 needs; undefined where it is not offered. @throws LinkError */
  async rsaKey(): Promise<RsaKey | undefined> {
    if (!this.suites.includes(SUITE_RSA_AES128)) return undefined;
    return await this.#options.makeRsaKey?.();
  }

  /** What to offer on the next link; uses a ticket up. [ENV-44] @throws LinkError */
  offer(
    rsaPublicKey: Uint8Array | undefined,
    nowMs: number,
  ): Omit<ClientEnvelopeOptions, "randomness"> {
    const suites = this.suites.filter((suite) => suite !== SUITE_RSA_AES128 || rsaPublicKey);
    const { minSuite } = this.#known;
    this.#tickets = this.#tickets.filter(({ expiresMs }) => expiresMs > nowMs);
    const ticket = this.#tickets.pop();
    return {
      suites,
      expects: this.#expects,
      ...(minSuite === undefined ? {} : { minSuite }),
      ...(ticket === undefined ? {} : { ticket }),
      ...(rsaPublicKey === undefined ? {} : { rsaPublicKey }),
    };
  }

  keep(ticket: ClientTicket): void {
    this.#tickets = [...this.#tickets, ticket].slice(-TICKETS_MAX);
  }

  /** The service is who it should be, or nobody else was there before. */
  established({ serverId, policy, trust }: ClientEstablished): void {
    if (trust === "none") return;
    const { nextServerId, minSuite } = policy;
    const announced = nextServerId.length === 0 ? [] : [nextServerId];
    const serverIds = merged(merged(this.#known.serverIds, [serverId]), announced);
    const isSame = serverIds.length === this.#known.serverIds.length;
    if (isSame && minSuite === this.#known.minSuite) return;
    this.#known = { serverIds, minSuite };
    this.#options.memory?.save(this.#known);
  }

  get #expects(): Expectation {
    const { trust } = this.#options;
    const { serverIds } = this.#known;
    if (trust === "none") return { kind: "none" };
    if (trust !== "first-seen") return { kind: "pinned", serverIds };
    return { kind: "first-use", serverIds };
  }
}

function merged(some: readonly Uint8Array[], more: readonly Uint8Array[]): Uint8Array[] {
  const fresh = more.filter((id) => !some.some((known) => equalBytes(known, id)));
  return [...some, ...fresh];
}
