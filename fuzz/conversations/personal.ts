import { MemberRole as Role } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { Asked } from "./asked.ts";
import type { Model } from "./model.ts";
import { type Answer, type By, mayWrite, readable, USER_ID } from "./model-state.ts";
import { isBlocked } from "./model-users.ts";
import { type DraftLine, muteText, todoText } from "./texts.ts";

// Drafts, mutes and to-do marks as section 16.10 has them, written down a second time.

const DRAFTS_MAX = 100;

/** One for all devices of a user; the last one is the one there is. [CNV-70] to [CNV-74] */
export function saveDraft(model: Model, asked: Extract<Asked, { kind: "draft" }>, by: By): Answer {
  const { text, reference, calls } = asked;
  const { drafts } = model.user(by.userId);
  const before = drafts.get(asked.in);
  const savedMs = by.plannedMs;
  const nothing = { in: asked.in, text: undefined, calledUsers: [], calledRoles: [] };
  if (text === undefined) {
    const isThere = before?.line.text !== undefined;
    const place = model.place(by.userId, asked.in);
    if (!isThere && typeof place === "number") return [place];
    const line = { ...nothing, everyone: false, savedMs, device: by.deviceId };
    if (isThere) saved(model, line, by);
    return 0;
  }
  const broken = model.textBroken(text);
  const isKind = reference === undefined || (reference.kind >= 1 && reference.kind <= 4);
  const isNumber = reference === undefined || (reference.seq >= 1 && reference.seq < 2 ** 53);
  const areNames =
    calls?.users.every((userId) => USER_ID.test(userId)) !== false &&
    calls?.roles.every((role) => role >= Role.READER && role <= Role.OWNER) !== false;
  if (!isKind || !isNumber || !areNames) broken.push(ErrorCode.CONTENT_INVALID);
  const place = model.place(by.userId, asked.in);
  if (typeof place === "number") return [...broken, place];
  const kept = [...drafts.values()].filter(({ line }) => line.text !== undefined);
  const isNew = before?.line.text === undefined;
  if (isNew && kept.length >= DRAFTS_MAX) broken.push(ErrorCode.DRAFTS_FULL);
  if (broken.length > 0) return broken;
  const { users = [], roles = [], everyone = false } = calls ?? {};
  const called = { calledUsers: new Set(users), calledRoles: new Set(roles), everyone };
  saved(model, { in: asked.in, text, reference, ...called, savedMs, device: by.deviceId }, by);
  return 0;
}

function saved(model: Model, line: DraftLine, by: By): void {
  const { drafts } = model.user(by.userId);
  const draft = drafts.get(line.in) ?? { line, committedMs: by.committedMs };
  draft.line = line;
  drafts.set(line.in, draft);
  model.tell([by.userId], { draft }, by);
}

export function muteConversation(
  model: Model,
  { in: id, untilMs }: Extract<Asked, { kind: "mute" }>,
  by: By,
): Answer {
  const broken: ErrorCode[] = untilMs >= 2 ** 53 ? [ErrorCode.SETTING_INVALID] : [];
  const place = model.place(by.userId, id);
  if (typeof place === "number") return [...broken, place];
  if (broken.length > 0) return broken;
  const { mutes } = model.user(by.userId);
  if ((mutes.get(id) ?? 0) === untilMs) return 0;
  mutes.set(id, untilMs);
  model.tell([by.userId], { text: muteText(id, untilMs) }, by);
  return 0;
}

/** One for all members. [CNV-80] [CNV-81] */
export function markTodo(
  model: Model,
  { in: id, seq, state }: Extract<Asked, { kind: "todo" }>,
  by: By,
): Answer {
  const broken: ErrorCode[] = [0, 1, 2].includes(state) ? [] : [ErrorCode.SETTING_INVALID];
  const place = model.place(by.userId, id);
  if (typeof place === "number") return [...broken, place];
  if (isBlocked(model.state, id)) broken.push(ErrorCode.BLOCKED);
  const message = readable(place, seq, by.committedMs);
  if (message === undefined) return [...broken, ErrorCode.MESSAGE_UNKNOWN];
  if (!mayWrite(place)) broken.push(ErrorCode.NOT_PERMITTED);
  if (broken.length > 0) return broken;
  if ((message.todo?.state ?? 0) === state) return 0;
  const todo = { state, by: by.userId, setMs: by.plannedMs };
  message.todo = state === 0 ? undefined : todo;
  model.tell(model.near(place, message, by), { text: todoText(`${id}#${seq}`, todo) }, by);
  return 0;
}
