import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { SecureContentSchema } from "../../../gen/posthorn/v1/secure_pb.ts";
import { aeadSeal, big, hmac, join, lv32, NOTHING } from "../envelope/primitives.ts";
import { hmac512, sealingKeys } from "./schedule.ts";

// One message, honest up to the one place where it is told to lie. [SEC-44] to [SEC-50]

type Init<Shape> = Extract<Shape, { readonly $typeName?: never }>;
export type ContentInit = Init<MessageInitShape<typeof SecureContentSchema>>;
type Change = (bytes: Uint8Array) => Uint8Array;

export function contentOf(said: ContentInit): Uint8Array {
  return toBinary(SecureContentSchema, create(SecureContentSchema, said));
}

export interface HeaderSaid {
  readonly version?: number;
  readonly type?: number;
  /** What the parts say, unless told otherwise. */
  readonly flags?: number;
  readonly sessionId: Uint8Array;
  readonly epoch: number;
  readonly n: number;
  readonly pn: number;
  readonly ratchetKey?: Uint8Array | undefined;
  readonly ciphertext?: Uint8Array | undefined;
  readonly commitment?: Uint8Array | undefined;
}

export function headerOf(said: HeaderSaid): Uint8Array {
  const { ratchetKey, ciphertext, commitment } = said;
  const flags = (ratchetKey ? 1 : 0) | (ciphertext ? 2 : 0) | (commitment ? 4 : 0);
  return join(
    big(said.version ?? 1, 1),
    big(said.type ?? 0x10, 1),
    big(said.flags ?? flags, 2),
    said.sessionId,
    big(said.epoch, 4),
    big(said.n, 4),
    big(said.pn, 4),
    ratchetKey ?? NOTHING,
    ciphertext ?? NOTHING,
    commitment ?? NOTHING,
  );
}

/** [SEC-48]: the smallest that holds so many bytes; undefined when none does. */
export function bucketOf(bytes: number): number | undefined {
  return [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536].find((one) => bytes <= one);
}

/** @param frankingKey before the length, in a session with franking */
export function innerOf(content: Uint8Array, frankingKey: Uint8Array = NOTHING): Uint8Array {
  const said = join(frankingKey, big(content.length, 4), content);
  const bytes = bucketOf(said.length);
  if (bytes === undefined) throw new TypeError(`${content.length} bytes are too many`);
  return join(said, new Uint8Array(bytes - said.length));
}

export interface MessageLies {
  /** What the header says; it is additional data, and under the TAG, as it is then. */
  readonly says?: (said: HeaderSaid) => HeaderSaid;
  readonly header?: Change;
  readonly content?: Change;
  readonly inner?: Change;
  /** Seals with another message key, under this one's TAG. */
  readonly sealsWith?: Uint8Array;
  /** Puts another message key's TAG on. */
  readonly tagsWith?: Uint8Array;
  /** Where the TAG is over what is said here. */
  readonly ciphertext?: (ciphertext: Uint8Array, header: Uint8Array) => Uint8Array;
  readonly tag?: Change;
  /** Changed by somebody in between. */
  readonly message?: Change;
  readonly commitment?: Change;
  /** A commitment where none was agreed on, or none where one was. */
  readonly isFranked?: boolean;
}

export interface MessageParts {
  readonly header: Uint8Array;
  readonly inner: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
  readonly message: Uint8Array;
}

const unchanged: Change = (bytes) => bytes;

export interface SealingPlan {
  readonly messageKey: Uint8Array;
  readonly said: HeaderSaid;
  readonly content: Uint8Array;
  readonly frankingKey?: Uint8Array | undefined;
  readonly lies?: MessageLies | undefined;
}

export function commitmentOf(frankingKey: Uint8Array, inner: Uint8Array): Uint8Array {
  return hmac(frankingKey, inner);
}

export function sealMessage(plan: SealingPlan): MessageParts {
  const { messageKey, said, frankingKey = NOTHING, lies = {} } = plan;
  const content = (lies.content ?? unchanged)(plan.content);
  const inner = (lies.inner ?? unchanged)(innerOf(content, frankingKey));
  const isFranked = lies.isFranked ?? frankingKey.length > 0;
  const honest = commitmentOf(frankingKey, inner.subarray(frankingKey.length));
  const commitment = isFranked ? (lies.commitment ?? unchanged)(honest) : undefined;
  const saying = lies.says ?? ((honestly: HeaderSaid) => honestly);
  const header = (lies.header ?? unchanged)(headerOf(saying({ ...said, commitment })));
  const { enc: key, nonce } = sealingKeys(lies.sealsWith ?? messageKey);
  const sealed = aeadSeal({ aead: "aes-256-gcm", key, nonce, header }, inner);
  const ciphertext = lies.ciphertext?.(sealed, header) ?? sealed;
  const { tag_key } = sealingKeys(lies.tagsWith ?? messageKey);
  const mac = hmac512(tag_key, join(lv32(header), lv32(ciphertext)));
  const tag = (lies.tag ?? unchanged)(mac.subarray(0, 32));
  const message = join(big(header.length, 2), header, lv32(ciphertext), tag);
  return { header, inner, ciphertext, tag, message: (lies.message ?? unchanged)(message) };
}
