import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import {
  ClientFinishedSchema,
  type ClientHello,
  type ClientHelloCore,
  ClientHelloCoreSchema,
  ClientHelloSchema,
  ResumeMode,
  type ServerHello,
  type ServerHelloCore,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { decodePlain, encodePlain, type Plain } from "../plain.ts";
import { type Violation, violation } from "../violation.ts";
import { areSoundKeys } from "./identity.ts";
import {
  CORE_BYTES_MAX,
  ENVELOPE_VERSION,
  LIFETIME_S_MAX,
  LINK_ID_BYTES,
  OFFERS_MAX,
  RANDOM_BYTES,
  REKEY_BYTES_MAX,
  REKEY_BYTES_MIN,
  REKEY_RECORDS_MAX,
  REKEY_RECORDS_MIN,
  TICKET_ID_BYTES,
} from "./limits.ts";
import { equalBytes } from "./octets.ts";
import { HASH_BYTES } from "./provider.ts";

// The messages of the handshake, read strictly: what is not exactly a hello is none.

export type ClientCore = Plain<ClientHelloCore>;
export type ServerCore = Plain<ServerHelloCore>;

/** A ClientHello: what it says, and the bytes that are hashed. [ENV-1] */
export interface ReadClientHello {
  readonly core: ClientCore;
  readonly coreBytes: Uint8Array;
  readonly binder: Uint8Array;
}

/** Reads a ClientHello; never throws. [ENV-12] */
export function readClientHello(body: Uint8Array): ReadClientHello | Violation {
  const hello: Plain<ClientHello> | undefined = decodeWhole(ClientHelloSchema, body);
  const core = hello && decodeCore(ClientHelloCoreSchema, hello.core);
  if (hello === undefined || core === undefined) return malformed("ENV-12", "not a ClientHello");
  if (isTooLong(hello.core)) return malformed("ENV-12", "a core that is too long");
  const fault = clientFault(core, hello.binder);
  if (fault !== undefined) return malformed("ENV-12", fault);
  return { core, coreBytes: hello.core, binder: hello.binder };
}

function clientFault(core: ClientCore, binder: Uint8Array): string | undefined {
  const { offers, pinnedServerId, ticketId, resumeMode } = core;
  const hasTicket = ticketId.length > 0;
  const numbers = offers.map(({ suite }) => suite);
  const modes: readonly number[] = [ResumeMode.PSK_KEM, ResumeMode.PSK_ONLY];
  if (core.version !== ENVELOPE_VERSION) return `version ${core.version}`;
  if (core.clientRandom.length !== RANDOM_BYTES) return "client_random is not 32 bytes";
  if (offers.length > OFFERS_MAX) return `${offers.length} offers`;
  if (new Set(numbers).size !== numbers.length) return "a suite is offered twice";
  if (numbers.some((suite) => suite === 0 || suite > 0xffff)) return "an offer is no suite";
  if (!isEmptyOr(pinnedServerId, HASH_BYTES)) return "pinned_server_id is not 32 bytes";
  if (!isEmptyOr(ticketId, TICKET_ID_BYTES)) return "ticket_id is not 16 bytes";
  if (binder.length !== (hasTicket ? HASH_BYTES : 0)) return `a binder of ${binder.length} bytes`;
  if (hasTicket ? !modes.includes(resumeMode) : resumeMode !== ResumeMode.UNSPECIFIED) {
    return `resume_mode ${resumeMode}`;
  }
  if (offers.length === 0 && resumeMode !== ResumeMode.PSK_ONLY) return "nothing is offered";
  return undefined;
}

/** A ServerHello: what it says, and the bytes that are hashed and signed. [ENV-1] */
export interface ReadServerHello {
  readonly core: ServerCore;
  readonly coreBytes: Uint8Array;
  readonly keys: NonNullable<ServerCore["serverKeys"]>;
  readonly policy: NonNullable<ServerCore["policy"]>;
  readonly algorithm: number;
  readonly signature: Uint8Array;
  readonly confirm: Uint8Array;
}

/** Reads a ServerHello; never throws. [ENV-16] */
export function readServerHello(body: Uint8Array): ReadServerHello | Violation {
  const hello: Plain<ServerHello> | undefined = decodeWhole(ServerHelloSchema, body);
  const core = hello && decodeCore(ServerHelloCoreSchema, hello.core);
  if (hello === undefined || core === undefined) return malformed("ENV-16", "not a ServerHello");
  if (isTooLong(hello.core)) return malformed("ENV-16", "a core that is too long");
  const { serverKeys: keys, policy } = core;
  const fault = serverFault(core) ?? policyFault(policy);
  if (fault !== undefined || keys === undefined || policy === undefined) {
    return malformed("ENV-16", fault ?? "no policy");
  }
  if (hello.serverConfirm.length !== HASH_BYTES) {
    return malformed("ENV-16", "server_confirm is not 32 bytes");
  }
  const { signatureAlgorithm: algorithm, signature, serverConfirm: confirm } = hello;
  return { core, coreBytes: hello.core, keys, policy, algorithm, signature, confirm };
}

function serverFault(core: ServerCore): string | undefined {
  const { serverKeys } = core;
  if (core.version !== ENVELOPE_VERSION) return `version ${core.version}`;
  if (core.serverRandom.length !== RANDOM_BYTES) return "server_random is not 32 bytes";
  if (core.linkId.length !== LINK_ID_BYTES) return "link_id is not 16 bytes";
  if (serverKeys === undefined || !areSoundKeys(serverKeys)) return "server_keys are no identity";
  return undefined;
}

function policyFault(policy: ServerCore["policy"]): string | undefined {
  if (policy === undefined) return "no policy";
  const { rekeyRecords, rekeyBytes, lifetimeS, nextServerId } = policy;
  if (!isWithin(rekeyRecords, REKEY_RECORDS_MIN, REKEY_RECORDS_MAX)) {
    return `rekey_records ${rekeyRecords}`;
  }
  if (!isWithin(rekeyBytes, REKEY_BYTES_MIN, REKEY_BYTES_MAX)) return `rekey_bytes ${rekeyBytes}`;
  if (!isWithin(lifetimeS, 1, LIFETIME_S_MAX)) return `lifetime_s ${lifetimeS}`;
  if (!isEmptyOr(nextServerId, HASH_BYTES)) return "next_server_id is not 32 bytes";
  return undefined;
}

/** The confirm of a ClientFinished; never throws. [ENV-18] */
export function readClientFinished(body: Uint8Array): Uint8Array | Violation {
  const finished = decodeWhole(ClientFinishedSchema, body);
  if (finished?.clientConfirm.length === HASH_BYTES) return finished.clientConfirm;
  return malformed("ENV-18", "not a ClientFinished");
}

/** Of either hello: the schema's bound. */
function isTooLong(core: Uint8Array): boolean {
  return core.length > CORE_BYTES_MAX;
}

function isWithin(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

function isEmptyOr(bytes: Uint8Array, length: number): boolean {
  return bytes.length === 0 || bytes.length === length;
}

/**
 * What is outside of every hash has no place where something could hide, and one form: what a
 * Protobuf library makes of unknown fields or wrong wire types does not matter. [ENV-12]
 */
function decodeWhole<Desc extends DescMessage>(
  desc: Desc,
  body: Uint8Array,
): Plain<MessageShape<Desc>> | undefined {
  const read = decodeCore(desc, body);
  return read !== undefined && equalBytes(encodePlain(desc, read), body) ? read : undefined;
}

function decodeCore<Desc extends DescMessage>(
  desc: Desc,
  bytes: Uint8Array,
): Plain<MessageShape<Desc>> | undefined {
  const read = decodePlain(desc, bytes);
  return typeof read === "string" ? undefined : read;
}

function malformed(requirement: string, detail: string): Violation {
  return violation(ErrorCode.ENVELOPE_MALFORMED, requirement, detail);
}
