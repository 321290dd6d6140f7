/** A message that somebody meant to send, and what was meant to become of it. */
export interface Meant {
  /** Makes it unlike all others. */
  readonly id: number;
  readonly conversationId: string;
  readonly senderUserId: string;
  readonly mentioned: readonly string[];
  /** What it said, and says after each edit. */
  readonly texts: string[];
  isRecalled: boolean;
  /** Edits and recalls of it: each is delivered once more. */
  changeCount: number;
}

/** Every text begins with the number of its message. */
export function textOf(id: number, text: string): string {
  return `#${id} ${text}`;
}

/** The number at the beginning of a text. */
export function idIn(text: string): number {
  return Number(/^#(\d+) /.exec(text)?.[1] ?? -1);
}
