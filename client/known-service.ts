import { equalBytes } from "../protocol/envelope/octets.ts";
import { isAtLeast, suiteOf } from "../protocol/envelope/suites.ts";

/** How a device came to know an identity; what only was there the first time is no pin. [ENV-70] */
export type IdentityOrigin = "given" | "announced" | "seen";

/** One identity of a service. */
export interface KnownIdentity {
  readonly serverId: Uint8Array;
  readonly origin: IdentityOrigin;
  /** Whose place it takes, oldest first: the last one announced it. [ENV-72] */
  readonly formers: readonly Uint8Array[];
  /** Whether it has been in force: its formers count no longer then. [ENV-72] */
  readonly isMet: boolean;
  /** The weakest suite that it has promised to accept. [ENV-34] */
  readonly minSuite: number | undefined;
}

/** What a device remembers of a service between its lives. */
export interface KnownService {
  readonly identities: readonly KnownIdentity[];
}

/** What a service said of itself under one identity. */
export interface ServiceWord {
  readonly serverId: Uint8Array;
  /** Empty: none. */
  readonly nextServerId: Uint8Array;
  readonly minSuite: number;
}

/** As many as a service answers with. */
const FORMERS_MAX = 8;

/**
 * What of a memory counts: with pins they and what they announced, nothing else; without pins all.
 * Those whose successor was met do not. The first one is the one to ask for. [ENV-70] [ENV-72]
 *
 * @param pins as they were given now; undefined where none were
 */
export function countedOf(
  { identities }: KnownService,
  pins: readonly Uint8Array[] | undefined,
): KnownService {
  const known = pins === undefined ? identities : chainedFrom(pins, identities);
  const standing = known.filter(({ serverId }) => !isReplaced(serverId, known));
  // Keys that replace each other in a circle must not end as a service that nobody knows.
  const counted = standing.length > 0 ? standing : known;
  const isAwaited = ({ formers, isMet }: KnownIdentity) => formers.length > 0 && !isMet;
  const awaited = counted.filter(isAwaited);
  return { identities: [...awaited, ...counted.filter((one) => !isAwaited(one))] };
}

/** The strongest promise of all; no suite is enough for one that is unknown. [ENV-34] */
export function promiseOf({ identities }: KnownService): number | undefined {
  return identities
    .flatMap(({ minSuite }) => minSuite ?? [])
    .reduce<number | undefined>((strongest, promised) => {
      const suite = suiteOf(promised);
      const isWeaker = suite !== undefined && strongest !== undefined;
      return isWeaker && !isAtLeast(suite, strongest) ? strongest : promised;
    }, undefined);
}

/** What is known when a service has said something; the same object when that is nothing new. */
export function learned(known: KnownService, word: ServiceWord): KnownService {
  const { identities } = known;
  const { serverId, minSuite } = word;
  const before = find(identities, serverId) ?? seenFirst(serverId);
  const present: KnownIdentity = { ...before, isMet: true, minSuite };
  const isHeard = before.isMet && before.minSuite === minSuite;
  if (isHeard && !isAnnouncing(known, present, word.nextServerId)) return known;
  const others = identities.filter((one) => one !== before && !has(present.formers, one.serverId));
  return { identities: [present, ...announced(present, others, word.nextServerId)] };
}

function isAnnouncing(known: KnownService, present: KnownIdentity, next: Uint8Array): boolean {
  if (!isSuccessor(present, next)) return false;
  return !has(find(known.identities, next)?.formers ?? [], present.serverId);
}

/** The last announcement of an identity is the one that it stands by. */
function announced(
  present: KnownIdentity,
  others: readonly KnownIdentity[],
  next: Uint8Array,
): readonly KnownIdentity[] {
  if (!isSuccessor(present, next)) return others;
  const formers = [...present.formers, present.serverId].slice(-FORMERS_MAX);
  const fresh = { serverId: next, isMet: false, minSuite: undefined, origin: "announced" } as const;
  const successor: KnownIdentity = { ...(find(others, next) ?? fresh), formers };
  const isTakenBack = ({ isMet, formers: [...of] }: KnownIdentity) => {
    const by = of.pop();
    return !isMet && by !== undefined && equalBytes(by, present.serverId);
  };
  const kept = others.filter((one) => !equalBytes(one.serverId, next) && !isTakenBack(one));
  return [...kept, successor];
}

/** Whoever has given way does not come back by an announcement. [ENV-72] */
function isSuccessor({ serverId, formers }: KnownIdentity, next: Uint8Array): boolean {
  return next.length > 0 && !equalBytes(next, serverId) && !has(formers, next);
}

function chainedFrom(
  pins: readonly Uint8Array[],
  identities: readonly KnownIdentity[],
): readonly KnownIdentity[] {
  const given = pins.map((serverId): KnownIdentity => {
    const known = find(identities, serverId);
    // What came with somebody who only was there is of unknown worth, a promise too. [ENV-70]
    const isKnown = known !== undefined && known.origin !== "seen";
    return { ...(isKnown ? known : seenFirst(serverId)), origin: "given" };
  });
  const chained = identities.filter(({ serverId, origin, formers }) => {
    return origin !== "seen" && !has(pins, serverId) && formers.some((id) => has(pins, id));
  });
  return [...given, ...chained];
}

function isReplaced(serverId: Uint8Array, identities: readonly KnownIdentity[]): boolean {
  return identities.some(({ isMet, formers }) => isMet && has(formers, serverId));
}

function seenFirst(serverId: Uint8Array): KnownIdentity {
  return { serverId, origin: "seen", formers: [], isMet: false, minSuite: undefined };
}

function find(identities: readonly KnownIdentity[], id: Uint8Array): KnownIdentity | undefined {
  return identities.find(({ serverId }) => equalBytes(serverId, id));
}

function has(ids: readonly Uint8Array[], id: Uint8Array): boolean {
  return ids.some((one) => equalBytes(one, id));
}
