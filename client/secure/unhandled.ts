import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { decodePlain, encodePlain } from "../../protocol/plain.ts";
import type { SecureContentPlain } from "../../protocol/secure/established.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import { StateReader, StateWriter } from "../../protocol/secure/stored-state.ts";

/** A message that was opened, that the application has not handled, and that is nowhere else. */
export interface Unhandled {
  readonly sessionId: Uint8Array;
  readonly peer: DeviceAddress;
  readonly content: SecureContentPlain;
}

const VERSION = 1;

/** As a vault keeps it. */
export function encodeUnhandled({ sessionId, peer, content }: Unhandled): Uint8Array {
  const into = new StateWriter();
  const text = new TextEncoder();
  into.u32(VERSION);
  into.bytes(sessionId);
  into.bytes(text.encode(peer.userId));
  into.bytes(text.encode(peer.deviceId));
  into.bytes(encodePlain(SecureContentSchema, content));
  return into.finish();
}

/** Undefined when it is none, or of another version. Never throws. */
export function decodeUnhandled(record: Uint8Array): Unhandled | undefined {
  const from = new StateReader(record);
  const text = new TextDecoder();
  if (from.u32() !== VERSION) return undefined;
  const sessionId = from.bytes();
  const peer = { userId: text.decode(from.bytes()), deviceId: text.decode(from.bytes()) };
  const content = decodePlain(SecureContentSchema, from.bytes());
  if (!from.isWhole || typeof content === "string") return undefined;
  return { sessionId, peer, content };
}
