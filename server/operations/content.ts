import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  type Attachment,
  AttachmentKind,
  type Content,
  type Location,
} from "../../gen/posthorn/v1/event_pb.ts";
import type { OperationLimits } from "./plan.ts";

const URI_BYTES_MAX = 2048;
const MEDIA_TYPE_BYTES_MAX = 128;
const NAME_BYTES_MAX = 256;
const SHA256_BYTES = 32;
/** A scheme and something after it (RFC 3986 §3), without what a URI cannot hold. */
const URI_PATTERN = /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/;
/** What is shown on one line holds none of these. */
const CONTROL_PATTERN = /\p{Cc}/u;
/** type "/" subtype, perhaps with parameters (RFC 6838 §4.2). */
const MEDIA_TYPE_PATTERN = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(;[\x20-\x7e]*)?$/;

/** Why a content cannot be sent; undefined when it can. [CNV-12] */
export function contentRefusal(
  content: Content | undefined,
  limits: OperationLimits,
): ErrorCode | undefined {
  const kind = content?.kind;
  switch (kind?.case) {
    case "text":
      if (kind.value.length === 0) return ErrorCode.MESSAGE_EMPTY;
      return isWithin(kind.value, limits.contentBytes) ? undefined : ErrorCode.MESSAGE_TOO_LARGE;
    case "custom":
      if (kind.value.length === 0) return ErrorCode.MESSAGE_EMPTY;
      return kind.value.length > limits.contentBytes ? ErrorCode.MESSAGE_TOO_LARGE : undefined;
    case "attachment":
      return attachmentRefusal(kind.value, limits);
    case "location":
      return isLocation(kind.value) ? undefined : ErrorCode.CONTENT_INVALID;
    default:
      return ErrorCode.MESSAGE_EMPTY;
  }
}

function attachmentRefusal(
  { kind, uri, mediaType, name, sha256, caption }: Attachment,
  limits: OperationLimits,
): ErrorCode | undefined {
  const isValid =
    kind >= AttachmentKind.IMAGE &&
    kind <= AttachmentKind.FILE &&
    isUri(uri, URI_BYTES_MAX) &&
    (mediaType === "" ||
      (mediaType.length <= MEDIA_TYPE_BYTES_MAX && MEDIA_TYPE_PATTERN.test(mediaType))) &&
    isWithin(name, NAME_BYTES_MAX) &&
    (sha256.length === 0 || sha256.length === SHA256_BYTES);
  if (!isValid) return ErrorCode.CONTENT_INVALID;
  return isWithin(caption, limits.contentBytes) ? undefined : ErrorCode.MESSAGE_TOO_LARGE;
}

function isLocation({ latitude, longitude, label }: Location): boolean {
  // NaN is on neither side.
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && isWithin(label, NAME_BYTES_MAX);
}

/** An absolute URI. */
export function isUri(uri: string, bytesMax: number): boolean {
  return uri.length <= bytesMax && URI_PATTERN.test(uri);
}

/** What people call somebody: one line. */
export function isName(name: string, bytesMax: number): boolean {
  return isWithin(name, bytesMax) && !CONTROL_PATTERN.test(name);
}

/**
 * Whether a text is so many bytes of UTF-8 at most. Encodes only what may be too long: UTF-8 never
 * takes more than three bytes a code unit.
 */
export function isWithin(text: string, bytesMax: number): boolean {
  return text.length * 3 <= bytesMax || getTextEncoding().encodeUtf8(text).length <= bytesMax;
}
