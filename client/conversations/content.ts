import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Attachment,
  type AttachmentKind,
  AttachmentSchema,
  type Content,
  ContentSchema,
  type Location,
  LocationSchema,
} from "../../gen/posthorn/v1/event_pb.ts";
import { ATTACHMENT_NAMES, type AttachmentName, nameOf, numberOf } from "./names.ts";

/** What a message says: text, bytes of the application's own meaning, or one of these. */
export type MessageContent = string | Uint8Array | AttachmentContent | LocationContent;

/** A picture, a recording or another file, kept elsewhere. What is left out is not known. */
export interface AttachmentContent {
  readonly kind: "attachment";
  readonly shownAs: AttachmentName;
  /** Where it is kept: an absolute URI. The service does not look at it. */
  readonly uri: string;
  readonly mediaType?: string;
  /** A file's name, for people. */
  readonly name?: string;
  /** Its size. */
  readonly byteCount?: number;
  /** Of its bytes, 32 bytes. */
  readonly sha256?: Uint8Array;
  /** Pixels. */
  readonly width?: number;
  /** Pixels. */
  readonly height?: number;
  readonly durationMs?: number;
  /** What is said with it. */
  readonly caption?: string;
}

/** A place on the earth, WGS 84, in degrees. */
export interface LocationContent {
  readonly kind: "location";
  readonly latitude: number;
  readonly longitude: number;
  /** For people. */
  readonly label?: string;
}

/** As the schema has it. */
export function contentFrom(content: MessageContent): Content {
  return create(ContentSchema, { kind: kindFrom(content) });
}

function kindFrom(content: MessageContent): Content["kind"] {
  if (typeof content === "string") return { case: "text", value: content };
  if (content instanceof Uint8Array) return { case: "custom", value: content };
  if (content.kind === "location") {
    const { kind: _, ...place } = content;
    return { case: "location", value: create(LocationSchema, place) };
  }
  const { kind: _, shownAs, byteCount = 0, ...rest } = content;
  const attachment: MessageInitShape<typeof AttachmentSchema> = {
    ...rest,
    kind: numberOf<AttachmentKind>(ATTACHMENT_NAMES, shownAs),
    bytes: BigInt(byteCount),
  };
  return { case: "attachment", value: create(AttachmentSchema, attachment) };
}

/** As applications have it; undefined for a kind that this version does not know. */
export function contentOf(content: Content | undefined): MessageContent | undefined {
  const kind = content?.kind;
  switch (kind?.case) {
    case "text":
    case "custom":
      return kind.value;
    case "attachment":
      return attachmentOf(kind.value);
    case "location":
      return locationOf(kind.value);
    default:
      return undefined;
  }
}

function attachmentOf(attachment: Attachment): AttachmentContent | undefined {
  const shownAs = nameOf(ATTACHMENT_NAMES, attachment.kind);
  if (shownAs === undefined) return undefined;
  const { uri, mediaType, name, bytes, sha256, width, height, durationMs, caption } = attachment;
  return {
    kind: "attachment",
    shownAs,
    uri,
    ...(mediaType !== "" && { mediaType }),
    ...(name !== "" && { name }),
    ...(bytes > 0n && { byteCount: Number(bytes) }),
    ...(sha256.length > 0 && { sha256 }),
    ...(width > 0 && { width }),
    ...(height > 0 && { height }),
    ...(durationMs > 0 && { durationMs }),
    ...(caption !== "" && { caption }),
  };
}

function locationOf({ latitude, longitude, label }: Location): LocationContent {
  const place = { kind: "location" as const, latitude, longitude };
  return label === "" ? place : { ...place, label };
}
