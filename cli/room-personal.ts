import { listedDrafts } from "../client/conversations/lookups.ts";
import type { TodoName } from "../client/conversations/names.ts";
import { MUTED_FOR_EVER } from "../client/conversations/personal.ts";
import { UsageError } from "./command.ts";
import { contentText } from "./event-text.ts";
import type { Talking } from "./room-commands.ts";
import { messageNumber } from "./typed-text.ts";

// What is typed into a chat for oneself, and what is to be done.

const MINUTE_MS = 60_000;
const MINUTES_MAX = 525_600;

/** Keeps a text for later, on all devices of the user; without one, says what is kept. */
export function draft({ client, conversations, current, submitted, print }: Talking, rest: string) {
  const { id } = current;
  if (rest !== "") return submitted(conversations.saveDraft(id, { content: rest }));
  const asked = listedDrafts(client).then((drafts) => {
    const kept = drafts.find(({ conversationId }) => conversationId === id);
    print(kept === undefined ? "-- no draft is kept here --" : `   ${contentText(kept.content)}`);
  });
  submitted(asked);
}

/** Takes away what was kept. */
export function undraft({ conversations, current, submitted }: Talking): void {
  submitted(conversations.saveDraft(current.id, undefined));
}

export function mute({ conversations, current, submitted }: Talking, rest: string): void {
  submitted(conversations.mute(current.id, mutedUntil(rest, Date.now())));
}

export function unmute({ conversations, current, submitted }: Talking): void {
  submitted(conversations.mute(current.id, 0));
}

/** @throws UsageError for what is no number of minutes, or of more than a year */
export function mutedUntil(minutes: string, nowMs: number): number {
  if (minutes === "") return MUTED_FOR_EVER;
  const count = Number(minutes);
  if (Number.isSafeInteger(count) && count > 0 && count <= MINUTES_MAX) {
    return nowMs + count * MINUTE_MS;
  }
  throw new UsageError(`how long? /mute [MINUTES], ${MINUTES_MAX} at most`);
}

export const todo = marking("open");
export const done = marking("done");
export const untodo = marking(undefined);

function marking(state: TodoName | undefined) {
  return ({ conversations, current, submitted }: Talking, rest: string): void => {
    submitted(conversations.markTodo(current.id, messageNumber(rest), state));
  };
}
