import { fromJson, type JsonObject, toBinary, toJson } from "@bufbuild/protobuf";
import { EventSchema } from "../../../gen/posthorn/v1/event_pb.ts";
import { type ConversationFailure, conversationCase, type Range } from "./cases.ts";

export const GROUP = "g:abcdefghijklmnopqrstuvwxyz";
export const SEQ_MAX = String(Number.MAX_SAFE_INTEGER);

/** What an event says, for people. */
export type Meaning =
  | "message"
  | "message-edited"
  | "message-recalled"
  | "message-expired"
  | "reaction"
  | "reaction-removed"
  | "marks"
  | "conversation"
  | "preferences"
  | "draft"
  | "draft-gone"
  | "mute"
  | "unmute"
  | "todo-open"
  | "todo-done"
  | "todo-removed"
  | "device"
  | "profile"
  | "contacts"
  | "blocks"
  | "unknown";

export type What = readonly [ids: string, name: string, description: string, means: Meaning];

interface Said {
  readonly event: JsonObject;
  /** Of marks. */
  readonly read?: readonly Range[];
}

/** Written by Protobuf's own codec. */
export function bytesOf(event: JsonObject): Uint8Array {
  const message = fromJson(EventSchema, event);
  const said = JSON.stringify(toJson(EventSchema, message));
  if (said !== JSON.stringify(event)) throw new TypeError(`${said} is another form`);
  return toBinary(EventSchema, message);
}

export function read(what: What, said: Said, bytes: Uint8Array, failure?: ConversationFailure) {
  const [ids, name, description, means] = what;
  const about = [ids, `event-${name}`, description] as const;
  return conversationCase(about, "event", { encoded: bytes, means, ...said }, failure);
}

export function event(what: What, kind: string, json: JsonObject, ranges?: readonly Range[]) {
  const said = { event: { [kind]: json }, ...(ranges === undefined ? {} : { read: ranges }) };
  return read(what, said, bytesOf(said.event));
}

/** An event, and what it does not say. */
export function misreadEvent([ids, name, description, means]: What, is: JsonObject) {
  const what = [ids, `mistake-${name}`, description, means] as const;
  return read(what, { event: is }, bytesOf(is), "MISTAKE");
}
