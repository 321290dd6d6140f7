import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  ClientFinishedSchema,
  ClientHelloCoreSchema,
  ClientHelloSchema,
  EnvelopeAlertSchema,
  ResumeMode,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../../gen/posthorn/v1/envelope_pb.ts";
import { type EnvelopeCase, envelopeCase, type Failure } from "./cases.ts";
import {
  type AeadName,
  drawn,
  ed25519Public,
  ed25519Sign,
  hmac,
  join,
  mlDsa65Public,
  mlDsa65Sign,
  NOTHING,
  signedText,
  th,
  xl,
  xwingKey,
  xwingSeal,
  ZEROS,
} from "./primitives.ts";
import {
  ALERT,
  CLIENT_FINISHED,
  CLIENT_HELLO,
  type ContentType,
  clearRecord,
  SERVER_HELLO,
  VectorDirection,
} from "./record-builder.ts";
import { oaepSealed, type RsaBits, rsaKey } from "./rsa-builder.ts";

// Whole links, honest up to the one place where they are told to lie.

export type Side = "device" | "service";

export interface VectorTicket {
  readonly ticket_id: Uint8Array;
  readonly psk: Uint8Array;
  readonly suite: number;
}

/** What a device knows and wants. */
export interface DeviceGiven {
  readonly suites?: readonly number[];
  /** Whom it has pinned: the service unless told otherwise; null is nobody. */
  readonly pins?: readonly Uint8Array[] | null;
  readonly min_suite?: number;
  readonly ticket?: VectorTicket;
  readonly ticket_only?: true;
  readonly rsaBits?: RsaBits;
}

/** What a service accepts. */
export interface ServiceGiven {
  readonly suites?: readonly number[];
  readonly allows_ticket_only?: boolean;
  readonly tickets?: readonly VectorTicket[];
  readonly hasMlDsa?: true;
  readonly policy?: Partial<VectorPolicy>;
}

export interface VectorPolicy {
  readonly min_suite: number;
  readonly rekey_records: number;
  readonly rekey_bytes: number;
  readonly lifetime_s: number;
  readonly next_server_id: Uint8Array;
}

const POLICY: VectorPolicy = {
  min_suite: 1,
  rekey_records: 2 ** 20,
  rekey_bytes: 2 ** 30,
  lifetime_s: 86_400,
  next_server_id: NOTHING,
};

type Init<Shape> = Extract<Shape, { readonly $typeName?: never }>;
type ClientCore = Init<MessageInitShape<typeof ClientHelloCoreSchema>>;
type ServerCore = Init<MessageInitShape<typeof ServerHelloCoreSchema>>;

/** Where a link may lie; all else follows honestly from what is said there. */
export interface Lies {
  readonly clientCore?: (core: ClientCore) => ClientCore;
  readonly clientCoreBytes?: (bytes: Uint8Array) => Uint8Array;
  readonly binder?: (binder: Uint8Array) => Uint8Array;
  readonly clientBody?: (body: Uint8Array) => Uint8Array;
  /** The suite that the service chooses. */
  readonly suite?: number;
  readonly ticketAccepted?: boolean;
  readonly kemCiphertext?: (ciphertext: Uint8Array) => Uint8Array;
  readonly serverCore?: (core: ServerCore) => ServerCore;
  readonly serverCoreBytes?: (bytes: Uint8Array) => Uint8Array;
  /** The text that is signed instead, or the signature itself. */
  readonly signedText?: (hellos: readonly Uint8Array[]) => Uint8Array;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  readonly algorithm?: number;
  readonly psk?: Uint8Array;
  readonly kemSecret?: Uint8Array;
  readonly serverConfirm?: (confirm: Uint8Array) => Uint8Array;
  readonly serverBody?: (body: Uint8Array) => Uint8Array;
  readonly clientConfirm?: (confirm: Uint8Array) => Uint8Array;
  readonly finishedBody?: (body: Uint8Array) => Uint8Array;
}

export interface LinkPlan {
  /** What everything random is drawn from. */
  readonly name: string;
  readonly device?: DeviceGiven;
  readonly service?: ServiceGiven;
  readonly lies?: Lies;
  /** Who says, in a link that comes about, what another implementation would not say itself. */
  readonly odd?: Side;
}

export interface VectorRecord {
  readonly from: Side;
  readonly record: Uint8Array;
  /** What a sealed record holds, when it is to open. */
  readonly opens?: { readonly type: ContentType; readonly content: Uint8Array };
}

const IDENTITY = {
  ed25519: drawn("identity ed25519", 32),
  mlDsa65: drawn("identity ml-dsa-65", 32),
};
const AEADS: Readonly<Record<number, AeadName>> = {
  1: "aes-128-gcm",
  2: "aes-256-gcm",
  3: "chacha20-poly1305",
};

export function serverIdOf(hasMlDsa = false): Uint8Array {
  const second = hasMlDsa ? mlDsa65Public(IDENTITY.mlDsa65) : NOTHING;
  return th("phorn-pin-1", ed25519Public(IDENTITY.ed25519), second);
}

const unchanged = (bytes: Uint8Array) => bytes;

/** A handshake, and the two directions behind it. */
export class LinkVector {
  readonly records: VectorRecord[] = [];
  readonly secrets: Readonly<Record<string, Uint8Array>>;
  readonly up: VectorDirection;
  readonly down: VectorDirection;
  readonly #plan: LinkPlan;
  readonly #randomness: Uint8Array;
  readonly #policy: VectorPolicy;

  constructor(plan: LinkPlan) {
    this.#plan = plan;
    this.#randomness = drawn(`${plan.name} randomness`, 200);
    this.#policy = { ...POLICY, ...plan.service?.policy };
    const hello = this.#clientHello();
    const { suite, number, ticket } = this.#choice();
    const { ciphertext, secret } = this.#agreed(number);
    const isAccepted = plan.lies?.ticketAccepted ?? ticket !== undefined;
    const core = this.#serverCore({ number, ciphertext, isAccepted });
    const heard = [hello.core, hello.binder, core];
    const signature = this.#signature(heard);
    const psk = plan.lies?.psk ?? ticket?.psk ?? ZEROS;
    const kemSecret = plan.lies?.kemSecret ?? secret;
    this.secrets = secretsOf([...heard, signature], psk, kemSecret);
    this.#serverHello(core, signature);
    this.#finished();
    const aead = AEADS[suite] as AeadName;
    this.up = new VectorDirection(aead, this.secrets.c_traffic_1 as Uint8Array);
    this.down = new VectorDirection(aead, this.secrets.s_traffic_1 as Uint8Array);
  }

  /** A sealed record that opens. */
  seal(from: Side, type: ContentType, content: Uint8Array): this {
    const record = this.of(from).seal(type, content);
    return this.push({ from, record, opens: { type, content } });
  }

  push(record: VectorRecord): this {
    this.records.push(record);
    return this;
  }

  of(side: Side): VectorDirection {
    return side === "device" ? this.up : this.down;
  }

  /** The case of everything that was said. */
  valid(about: readonly [string, string, string]): EnvelopeCase {
    const { odd } = this.#plan;
    const members = { ...this.#given(), odd, records: this.records, secrets: this.secrets };
    return envelopeCase(about, "link", members);
  }

  /**
   * The case that ends where `judge` refuses a record of the other side: the last one here, or the
   * one of the handshake that lies. What it answers is part of the case.
   */
  refused(
    about: readonly [string, string, string],
    { judge, failure, at = this.records.length }: Refusal,
  ): EnvelopeCase {
    const heard = this.records.slice(0, at);
    const isSealed = heard.some(({ record }) => record[0] === CLIENT_FINISHED) && at > 3;
    const alert = isSealed ? this.of(judge).seal("alert", alertBody(20)) : clearAlert();
    const records = [...heard, { from: judge, record: alert }];
    return envelopeCase(about, "link", { ...this.#given(), records, judge }, failure);
  }

  get #device(): DeviceGiven {
    return this.#plan.device ?? {};
  }

  get #suites(): readonly number[] {
    return this.#device.suites ?? [2];
  }

  #given(): object {
    const { pins, min_suite, ticket, ticket_only, rsaBits } = this.#device;
    const { hasMlDsa, suites = [1, 2, 3], tickets = [] } = this.#plan.service ?? {};
    const known = pins === undefined ? [serverIdOf(hasMlDsa)] : (pins ?? undefined);
    return {
      device: {
        suites: this.#suites,
        pins: known,
        min_suite,
        ticket,
        ticket_only,
        client_random: this.#randomness.subarray(0, 32),
        xwing_seed: this.#randomness.subarray(32, 64),
        rsa_private_key: this.#hasRsa ? rsaKey(rsaBits ?? 2048).pkcs8 : undefined,
      },
      service: {
        suites,
        allows_ticket_only: this.#plan.service?.allows_ticket_only ?? true,
        tickets,
        ed25519_seed: IDENTITY.ed25519,
        ml_dsa_65_seed: hasMlDsa ? IDENTITY.mlDsa65 : undefined,
        server_random: this.#randomness.subarray(64, 96),
        link_id: this.#randomness.subarray(96, 112),
        kem_randomness: this.#randomness.subarray(112, 176),
        policy: this.#policy,
      },
    };
  }

  get #hasRsa(): boolean {
    return this.#suites.includes(1);
  }

  #clientHello(): { readonly core: Uint8Array; readonly binder: Uint8Array } {
    const { pins, ticket, ticket_only, rsaBits } = this.#device;
    const lies = this.#plan.lies ?? {};
    const xwing = xwingKey(this.#randomness.subarray(32, 64)).publicKey;
    const offers = ticket_only
      ? []
      : this.#suites.map((suite) => {
          const publicKey = suite === 1 ? rsaKey(rsaBits ?? 2048).spki : xwing;
          return { suite, publicKey };
        });
    const honest: ClientCore = {
      version: 1,
      clientRandom: this.#randomness.subarray(0, 32),
      offers,
      pinnedServerId: (pins === undefined ? [this.#serverId] : (pins ?? []))[0] ?? NOTHING,
      ticketId: ticket?.ticket_id ?? NOTHING,
      resumeMode: modeOf(this.#device),
    };
    const said = create(ClientHelloCoreSchema, lies.clientCore?.(honest) ?? honest);
    const core = (lies.clientCoreBytes ?? unchanged)(toBinary(ClientHelloCoreSchema, said));
    const right =
      ticket === undefined
        ? NOTHING
        : hmac(xl(ticket.psk, "binder"), th("phorn-link-1 binder", core));
    const binder = (lies.binder ?? unchanged)(right);
    const message = create(ClientHelloSchema, { core, binder });
    const body = (lies.clientBody ?? unchanged)(toBinary(ClientHelloSchema, message));
    this.push({ from: "device", record: clearRecord(CLIENT_HELLO, body) });
    return { core, binder };
  }

  get #serverId(): Uint8Array {
    return serverIdOf(this.#plan.service?.hasMlDsa);
  }

  /** What the service chooses: honestly, or what it is told. [ENV-13] [ENV-45] [ENV-46] */
  #choice(): {
    /** In force. */
    readonly suite: number;
    /** As ServerHello says it. */
    readonly number: number;
    readonly ticket: VectorTicket | undefined;
  } {
    const { ticket, ticket_only } = this.#device;
    const { service = {}, lies = {} } = this.#plan;
    const { tickets = [], suites = [1, 2, 3] } = service;
    const isKnown = tickets.includes(ticket as VectorTicket) && lies.binder === undefined;
    const chosen = this.#suites.find((suite) => suites.includes(suite)) ?? 2;
    const number = lies.suite ?? (ticket_only ? 0 : chosen);
    const suite = number === 0 ? (ticket?.suite ?? 2) : number;
    const isInForce = isKnown && ticket?.suite === suite && lies.ticketAccepted !== false;
    return { suite, number, ticket: isInForce ? ticket : undefined };
  }

  #agreed(number: number): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array } {
    const randomness = this.#randomness.subarray(112, 176);
    const change = this.#plan.lies?.kemCiphertext ?? unchanged;
    if (number === 0) return { ciphertext: change(NOTHING), secret: ZEROS };
    if (number === 1) {
      const key = rsaKey(this.#device.rsaBits ?? 2048);
      const secret = randomness.subarray(0, 32);
      const seedName = `${this.#plan.name} oaep`;
      return { ciphertext: change(oaepSealed(key, secret, { seedName })), secret };
    }
    const { publicKey } = xwingKey(this.#randomness.subarray(32, 64));
    const { ciphertext, secret } = xwingSeal(publicKey, randomness);
    return { ciphertext: change(ciphertext), secret };
  }

  #serverCore({ number, ciphertext, isAccepted }: Answer): Uint8Array {
    const { service = {}, lies = {} } = this.#plan;
    const { min_suite, rekey_records, rekey_bytes, lifetime_s, next_server_id } = this.#policy;
    const mlDsa65 = service.hasMlDsa ? mlDsa65Public(IDENTITY.mlDsa65) : NOTHING;
    const honest: ServerCore = {
      version: 1,
      serverRandom: this.#randomness.subarray(64, 96),
      linkId: this.#randomness.subarray(96, 112),
      suite: number,
      kemCiphertext: ciphertext,
      serverKeys: { ed25519: ed25519Public(IDENTITY.ed25519), mlDsa65 },
      ticketAccepted: isAccepted,
      policy: {
        minSuite: min_suite,
        rekeyRecords: rekey_records,
        rekeyBytes: rekey_bytes,
        lifetimeS: lifetime_s,
        nextServerId: next_server_id,
      },
    };
    const said = create(ServerHelloCoreSchema, lies.serverCore?.(honest) ?? honest);
    return (lies.serverCoreBytes ?? unchanged)(toBinary(ServerHelloCoreSchema, said));
  }

  #signature(heard: readonly Uint8Array[]): Uint8Array {
    const { service = {}, lies = {} } = this.#plan;
    const honest = () => linkText(heard);
    const text = lies.signedText?.(heard) ?? honest();
    const first = ed25519Sign(IDENTITY.ed25519, text);
    const second = service.hasMlDsa ? mlDsa65Sign(IDENTITY.mlDsa65, text) : NOTHING;
    return (lies.signature ?? unchanged)(join(first, second));
  }

  #serverHello(core: Uint8Array, signature: Uint8Array): void {
    const { service = {}, lies = {} } = this.#plan;
    const confirm = this.secrets.server_confirm as Uint8Array;
    const message = create(ServerHelloSchema, {
      core,
      signatureAlgorithm: lies.algorithm ?? (service.hasMlDsa ? 2 : 1),
      signature,
      serverConfirm: (lies.serverConfirm ?? unchanged)(confirm),
    });
    const body = (lies.serverBody ?? unchanged)(toBinary(ServerHelloSchema, message));
    this.push({ from: "service", record: clearRecord(SERVER_HELLO, body) });
  }

  #finished(): void {
    const { lies = {} } = this.#plan;
    const right = this.secrets.client_confirm as Uint8Array;
    const clientConfirm = (lies.clientConfirm ?? unchanged)(right);
    const message = create(ClientFinishedSchema, { clientConfirm });
    const body = (lies.finishedBody ?? unchanged)(toBinary(ClientFinishedSchema, message));
    this.push({ from: "device", record: clearRecord(CLIENT_FINISHED, body) });
  }
}

export interface Refusal {
  readonly judge: Side;
  readonly failure: Failure;
  /** How many records there are up to the refused one; all unless told otherwise. */
  readonly at?: number;
}

interface Answer {
  readonly number: number;
  readonly ciphertext: Uint8Array;
  readonly isAccepted: boolean;
}

function modeOf({ ticket, ticket_only }: DeviceGiven): ResumeMode {
  if (ticket === undefined) return ResumeMode.UNSPECIFIED;
  return ticket_only ? ResumeMode.PSK_ONLY : ResumeMode.PSK_KEM;
}

/** [ENV-14] @param heard both cores with the binder between them */
export function linkText(heard: readonly Uint8Array[]): Uint8Array {
  return signedText("Posthorn link v1 server signature", th("phorn-link-1", ...heard));
}

/** [ENV-15] */
function secretsOf(
  heard: readonly Uint8Array[],
  psk: Uint8Array,
  kemSecret: Uint8Array,
): Record<string, Uint8Array> {
  const hash = (...more: readonly Uint8Array[]) => th("phorn-link-1", ...heard, ...more);
  const th2 = hash();
  const prk = hmac(th2, join(psk, kemSecret));
  const server_confirm = hmac(xl(prk, "s confirm", th2), th2);
  const th3 = hash(server_confirm);
  const client_confirm = hmac(xl(prk, "c confirm", th2), th3);
  const th4 = hash(server_confirm, client_confirm);
  return {
    psk,
    kem_secret: kemSecret,
    th1: th("phorn-link-1", ...heard.slice(0, 3)),
    th2,
    prk,
    server_confirm,
    th3,
    client_confirm,
    th4,
    c_traffic_1: xl(prk, "c traffic", th4),
    s_traffic_1: xl(prk, "s traffic", th4),
    resumption: xl(prk, "resumption", th4),
    channel_binding: xl(xl(prk, "exporter", th4), "channel binding"),
  };
}

export function alertBody(code: number): Uint8Array {
  return toBinary(EnvelopeAlertSchema, create(EnvelopeAlertSchema, { code }));
}

export function clearAlert(): Uint8Array {
  return clearRecord(ALERT, alertBody(40));
}

/** A ticket as the link of a name gave it out. [ENV-42] */
export function ticketOf(name: string, suite: number): VectorTicket {
  const ticket_id = drawn(`${name} ticket id`, 16);
  return { ticket_id, psk: xl(drawn(`${name} resumption`, 32), "ticket", ticket_id), suite };
}
