import { createCipheriv, createHash, createHmac } from "node:crypto";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ed25519 } from "@noble/curves/ed25519.js";
import { ml_kem768_x25519 as xwing } from "@noble/post-quantum/hybrid.js";
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js";
import {
  ClientFinishedSchema,
  ClientHelloCoreSchema,
  ClientHelloSchema,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";

// Chapter 11 once more, step by step, from node:crypto, noble and Protobuf's codec: nothing of
// protocol/ is used, so that a bug there cannot become the expectation.

/** Bytes that look random, the same for the same name. */
export function drawn(name: string, length: number): Buffer {
  return createHash("shake256", { outputLength: length }).update(name).digest();
}

const hmac = (key: Uint8Array, text: Uint8Array) => createHmac("sha256", key).update(text).digest();

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function lv8(bytes: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
}

/** [ENV-1] */
export function th(label: string, ...items: readonly Uint8Array[]): Buffer {
  const parts = items.flatMap((item) => [u32(item.length), item]);
  const text = Buffer.concat([lv8(Buffer.from(label)), ...parts]);
  return createHash("sha256").update(text).digest();
}

/** [ENV-2] */
export function xl(secret: Uint8Array, label: string, context = "", length = 32): Buffer {
  const width = u32(length).subarray(2);
  const info = [width, lv8(Buffer.from(`phorn1 ${label}`)), lv8(Buffer.from(context, "hex"))];
  return hmac(secret, Buffer.concat([...info, Uint8Array.of(1)])).subarray(0, length);
}

/** [ENV-3] */
export function recordOf(
  type: number,
  body: Uint8Array,
  { epoch = 0, seq = 0 }: { epoch?: number; seq?: number } = {},
): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(type, 0);
  header.writeUInt8(1, 1);
  header.writeUInt16BE(epoch, 2);
  header.writeBigUInt64BE(BigInt(seq), 4);
  header.writeUInt32BE(body.length, 12);
  return Buffer.concat([header, body]);
}

export interface Identity {
  readonly ed25519: Uint8Array;
  readonly mlDsa65: Uint8Array;
  readonly serverId: Buffer;
  sign(text: Uint8Array): Buffer;
}

/** [ENV-27] [ENV-30] */
export function identity(name: string, isLasting: boolean): Identity {
  const seed = drawn(`${name} ed25519`, 32);
  const lasting = isLasting ? ml_dsa65.keygen(drawn(`${name} ml-dsa-65`, 32)) : undefined;
  const publicKey = ed25519.getPublicKey(seed);
  const mlDsa65 = lasting?.publicKey ?? new Uint8Array(0);
  return {
    ed25519: publicKey,
    mlDsa65,
    serverId: th("phorn-pin-1", publicKey, mlDsa65),
    sign: (text) => {
      const first = ed25519.sign(text, seed);
      if (lasting === undefined) return Buffer.from(first);
      const options = { extraEntropy: false } as const;
      return Buffer.concat([first, ml_dsa65.sign(text, lasting.secretKey, options)]);
    },
  };
}

export interface Plan {
  readonly name: string;
  readonly suites: readonly number[];
  /** What ServerHello says. */
  readonly suite: number;
  readonly isLasting?: boolean;
  readonly psk?: Buffer;
  readonly minSuite?: number;
  /** Changes of the cores, before they are hashed and signed. */
  readonly client?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
  readonly signer?: Identity;
}

export interface Built {
  readonly plan: Plan;
  readonly identity: Identity;
  readonly seed: Buffer;
  readonly clientHello: Buffer;
  readonly serverHello: Buffer;
  readonly clientFinished: Buffer;
  readonly signature: Buffer;
  readonly clientTraffic: Buffer;
  readonly serverTraffic: Buffer;
  readonly channelBinding: Buffer;
  readonly resumption: Buffer;
}

/** A handshake of the suites that need no chance but what is given. [ENV-15] */
export function build(plan: Plan): Built {
  const { name, suites, suite, psk } = plan;
  const seed = drawn(`${name} client`, 96).subarray(32, 64);
  const { publicKey } = xwing.keygen(seed);
  const known = identity("vector", plan.isLasting ?? false);
  const ch = toBinary(
    ClientHelloCoreSchema,
    create(ClientHelloCoreSchema, {
      version: 1,
      clientRandom: drawn(`${name} client`, 96).subarray(0, 32),
      offers: suites.map((number) => ({ suite: number, publicKey })),
      pinnedServerId: known.serverId,
      ...(psk === undefined ? {} : { ticketId: drawn("ticket", 16) }),
      ...(psk === undefined ? {} : { resumeMode: suite === 0 ? 2 : 1 }),
      ...plan.client,
    } as MessageInitShape<typeof ClientHelloCoreSchema>),
  );
  const binder = psk ? hmac(xl(psk, "binder"), th("phorn-link-1 binder", ch)) : Buffer.alloc(0);
  const randomness = drawn(`${name} server`, 112);
  const agreed = suite === 0 ? undefined : xwing.encapsulate(publicKey, randomness.subarray(48));
  const signer = plan.signer ?? known;
  const sh = toBinary(
    ServerHelloCoreSchema,
    create(ServerHelloCoreSchema, {
      version: 1,
      serverRandom: randomness.subarray(0, 32),
      linkId: randomness.subarray(32, 48),
      suite,
      kemCiphertext: agreed?.cipherText ?? new Uint8Array(0),
      serverKeys: { ed25519: signer.ed25519, mlDsa65: signer.mlDsa65 },
      ticketAccepted: psk !== undefined,
      policy: {
        minSuite: plan.minSuite ?? 1,
        rekeyRecords: 1_048_576,
        rekeyBytes: 1_073_741_824,
        lifetimeS: 86_400,
      },
      ...plan.server,
    } as MessageInitShape<typeof ServerHelloCoreSchema>),
  );
  const secrets = schedule({ ch, binder, sh, signer, psk, z: agreed?.sharedSecret });
  const { signature, serverConfirm, clientConfirm } = secrets;
  const hello = create(ClientHelloSchema, { core: ch, binder });
  const signatureAlgorithm = signer.mlDsa65.length > 0 ? 2 : 1;
  const answer = { core: sh, signatureAlgorithm, signature, serverConfirm };
  return {
    ...secrets,
    plan,
    identity: known,
    seed,
    clientHello: recordOf(1, toBinary(ClientHelloSchema, hello)),
    serverHello: recordOf(2, toBinary(ServerHelloSchema, create(ServerHelloSchema, answer))),
    clientFinished: recordOf(
      3,
      toBinary(ClientFinishedSchema, create(ClientFinishedSchema, { clientConfirm })),
    ),
  };
}

interface ScheduleInput {
  readonly ch: Uint8Array;
  readonly binder: Uint8Array;
  readonly sh: Uint8Array;
  readonly signer: Identity;
  readonly psk: Uint8Array | undefined;
  readonly z: Uint8Array | undefined;
}

function schedule({ ch, binder, sh, signer, psk, z }: ScheduleInput) {
  const zeros = Buffer.alloc(32);
  const context = "Posthorn link v1 server signature\0";
  const th1 = th("phorn-link-1", ch, binder, sh);
  const signature = signer.sign(Buffer.concat([Buffer.alloc(64, 0x20), Buffer.from(context), th1]));
  const heard = [ch, binder, sh, signature];
  const th2 = th("phorn-link-1", ...heard);
  const prk = hmac(th2, Buffer.concat([psk ?? zeros, z ?? zeros]));
  const serverConfirm = hmac(xl(prk, "s confirm", th2.toString("hex")), th2);
  const th3 = th("phorn-link-1", ...heard, serverConfirm);
  const clientConfirm = hmac(xl(prk, "c confirm", th2.toString("hex")), th3);
  const th4 = th("phorn-link-1", ...heard, serverConfirm, clientConfirm).toString("hex");
  return {
    signature,
    serverConfirm,
    clientConfirm,
    clientTraffic: xl(prk, "c traffic", th4),
    serverTraffic: xl(prk, "s traffic", th4),
    resumption: xl(prk, "resumption", th4),
    channelBinding: xl(xl(prk, "exporter", th4), "channel binding"),
  };
}

/** Seals an inner text, whatever it is. [ENV-5] */
export function sealInner(
  traffic: Uint8Array,
  inner: Uint8Array,
  { suite, epoch = 1, seq = 0 }: { suite: number; epoch?: number; seq?: number },
): Buffer {
  let secret = traffic;
  for (let at = 1; at < epoch; at += 1) secret = xl(secret, "traffic upd");
  const nonce = xl(secret, "iv", "", 12);
  nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ seq) >>> 0, 8);
  const name = suite === 3 ? "chacha20-poly1305" : "aes-256-gcm";
  const header = recordOf(4, new Uint8Array(inner.length + 16), { epoch, seq }).subarray(0, 16);
  const options = { authTagLength: 16 };
  const cipher = createCipheriv(name as "aes-256-gcm", xl(secret, "key"), nonce, options);
  cipher.setAAD(header);
  const text = Buffer.concat([cipher.update(inner), cipher.final()]);
  return Buffer.concat([header, text, cipher.getAuthTag()]);
}

/** Content with its type, padded as a sender has to. [ENV-8] [ENV-9] */
export function innerOf(type: number, content: Uint8Array): Buffer {
  const length = content.length + 1;
  const padded = Buffer.alloc(Math.ceil(length / 64) * 64);
  padded.set(content);
  padded[content.length] = type;
  return padded;
}

/** The same ServerHello with a bit of its signature changed. */
export function withOtherSignature({ serverHello, signature }: Built): Buffer {
  const honest = fromBinary(ServerHelloSchema, serverHello.subarray(16));
  const other = Uint8Array.from(signature);
  other[0] = (other[0] as number) ^ 1;
  return recordOf(2, toBinary(ServerHelloSchema, { ...honest, signature: other }));
}
