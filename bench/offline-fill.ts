import { ConversationKind, MemberRole } from "../gen/posthorn/v1/conversation_pb.ts";
import { madeConversationId } from "../protocol/conversation-id.ts";
import { encodeNumberSet } from "../protocol/number-set.ts";
import { sha256 } from "../protocol/sha256.ts";
import { type LoadDevice, operationOf } from "./load.ts";

/** Who is away. */
export const AWAY = "dora";

/** Of a hundred things that happen in a conversation; the rest are messages that call nobody. */
const SHARES = { reaction: 3, edit: 2, recall: 1, mention: 1 };
/** What of one conversation follows each other, and bytes of one message, at most. */
const BURST_MAX = 8;
const TEXT_BYTES = { least: 10, most: 200 };
/** What is submitted at once: what it makes is touched by what follows. */
const TURN = 2_000;
/** One conversation in so many was read to its half. */
const READ_EVERY = 2;

export interface Fill {
  /** The only one who says anything, so that numbers are known before they are given. */
  readonly sender: LoadDevice;
  /** Of the user who is away; reads some. */
  readonly reader: LoadDevice;
  readonly conversations: number;
  readonly events: number;
}

/**
 * Everything that is done is one event of the timeline: nothing is refused or without effect.
 *
 * @returns the number of the last one, which is told whole
 */
export async function fillTimeline(fill: Fill): Promise<number> {
  const { sender, reader, conversations, events } = fill;
  const draw = new Draw();
  const groups = Array.from({ length: conversations }, (_, index) => Group.make(sender, index));
  const marked = groups.filter((_, index) => index % READ_EVERY === 0);
  for (const group of groups) sender.submit(group.say(draw));
  await settled(sender, conversations * 2);
  for (let left = events - conversations * 2 - marked.length - 1; left > 0; ) {
    const several = Math.min(left, TURN);
    for (const group of groups) group.settled();
    for (let submitted = 0; submitted < several; ) {
      const group = groups[draw.below(groups.length)] as Group;
      const burst = Math.min(1 + draw.below(BURST_MAX), several - submitted);
      for (let count = 0; count < burst; count += 1) sender.submit(group.next(draw));
      submitted += burst;
    }
    await settled(sender, several);
    left -= several;
  }
  for (const group of marked) reader.submit(group.readToHalf());
  await settled(reader, marked.length);
  sender.submit((groups[0] as Group).react(1));
  await settled(sender, 1);
  return events;
}

function settled(device: LoadDevice, expected: number): Promise<void> {
  let left = expected;
  return new Promise((resolve) => {
    device.onSettled = (count) => {
      left -= count;
      if (left === 0) resolve();
    };
    device.pump();
  });
}

/** One conversation, and what has become of its messages. The first is left as it is. */
class Group {
  readonly #conversationId: string;
  readonly #recalled = new Set<number>();
  readonly #reacted = new Set<number>();
  /** Since the last turn. */
  readonly #touched = new Set<number>();
  #head = 0;
  #settledThrough = 1;

  static make(sender: LoadDevice, index: number): Group {
    const nonce = new Uint8Array(16).fill(index + 1);
    const members = [{ userId: AWAY, role: MemberRole.MEMBER }];
    const settings = { title: `group ${index}` };
    const value = { nonce, kind: ConversationKind.GROUP, settings, members };
    sender.submit(operationOf({ case: "createConversation", value }));
    return new Group(madeConversationId(sha256, sender.userId, nonce) as string);
  }

  private constructor(conversationId: string) {
    this.#conversationId = conversationId;
  }

  next(draw: Draw): Uint8Array {
    const { reaction, edit, recall, mention } = SHARES;
    const share = draw.below(100);
    const number = 1 + draw.below(this.#settledThrough);
    if (share < mention) return this.say(draw, [AWAY]);
    const isFree = !this.#recalled.has(number) && !this.#touched.has(number);
    if (number === 1 || !isFree || share >= mention + reaction + edit + recall) {
      return this.say(draw);
    }
    this.#touched.add(number);
    if (share < mention + reaction) return this.react(number);
    if (share < mention + reaction + edit) return this.#edit(number, draw);
    return this.#recall(number);
  }

  /** Everything so far is there. */
  settled(): void {
    this.#touched.clear();
    this.#settledThrough = this.#head;
  }

  say(draw: Draw, userIds: string[] = []): Uint8Array {
    this.#head += 1;
    const mentions = userIds.length === 0 ? {} : { mentions: { userIds } };
    const value = { conversationId: this.#conversationId, content: draw.text(), ...mentions };
    return operationOf({ case: "sendMessage", value });
  }

  /** Or does not any more. */
  react(number: number): Uint8Array {
    const remove = this.#reacted.delete(number);
    if (!remove) this.#reacted.add(number);
    return operationOf({ case: "react", value: { ...this.#of(number), reaction: "+1", remove } });
  }

  readToHalf(): Uint8Array {
    const through = Math.max(1, this.#head >> 1);
    const read = encodeNumberSet([{ from: 1, through }]);
    return operationOf({ case: "mark", value: { conversationId: this.#conversationId, read } });
  }

  #edit(number: number, draw: Draw): Uint8Array {
    const value = { ...this.#of(number), content: draw.text() };
    return operationOf({ case: "editMessage", value });
  }

  #recall(number: number): Uint8Array {
    this.#recalled.add(number);
    return operationOf({ case: "recallMessage", value: this.#of(number) });
  }

  #of(number: number) {
    return { conversationId: this.#conversationId, conversationSeq: BigInt(number) };
  }
}

/** The same in each run: Marsaglia's xorshift with 32 bits. */
class Draw {
  #state = 0x9e3779b9;

  below(bound: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) % bound;
  }

  text() {
    const { least, most } = TEXT_BYTES;
    const value = "said ".repeat(most).slice(0, least + this.below(most - least + 1));
    return { kind: { case: "text" as const, value } };
  }
}
