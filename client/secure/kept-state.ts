import { SecureContentSchema } from "../../gen/posthorn/v1/secure_pb.ts";
import { decodePlain, encodePlain } from "../../protocol/plain.ts";
import type { SecureContentPlain } from "../../protocol/secure/established.ts";
import type { DeviceAddress } from "../../protocol/secure/peer.ts";
import { StateReader, StateWriter } from "../../protocol/secure/stored-state.ts";

/** A message that was opened, and that the application has not handled yet. */
export interface Unhandled {
  readonly sessionId: Uint8Array;
  readonly peer: DeviceAddress;
  readonly content: SecureContentPlain;
}

/** What a vault holds: the chats, and what was said in them and is nowhere else any more. */
export interface KeptState {
  readonly chats: Uint8Array;
  readonly unhandled: readonly Unhandled[];
}

const VERSION = 1;
/** More than a client ever leaves unhandled. */
const UNHANDLED_MAX = 100_000;

/** Erases the chats that were given: one copy is left. */
export function encodeKept({ chats, unhandled }: KeptState): Uint8Array {
  const into = new StateWriter();
  const text = new TextEncoder();
  into.u32(VERSION);
  into.bytes(chats);
  chats.fill(0);
  into.list(unhandled, ({ sessionId, peer, content }) => {
    into.bytes(sessionId);
    into.bytes(text.encode(peer.userId));
    into.bytes(text.encode(peer.deviceId));
    into.bytes(encodePlain(SecureContentSchema, content));
  });
  return into.finish();
}

/** Undefined when it is none, or of another version. Never throws. */
export function decodeKept(state: Uint8Array): KeptState | undefined {
  const from = new StateReader(state);
  const text = new TextDecoder();
  if (from.u32() !== VERSION) return undefined;
  const chats = from.bytes();
  const stored = from.list(UNHANDLED_MAX, () => ({
    sessionId: from.bytes(),
    peer: { userId: text.decode(from.bytes()), deviceId: text.decode(from.bytes()) },
    content: decodePlain(SecureContentSchema, from.bytes()),
  }));
  if (!from.isWhole) return undefined;
  const unhandled = stored.flatMap(({ content, ...rest }) =>
    typeof content === "string" ? [] : [{ ...rest, content }],
  );
  return { chats, unhandled };
}
