import { varint } from "../builder.ts";
import { join } from "../envelope/primitives.ts";
import { type ConversationCase, conversationCase, hex, type Range, setOf } from "./cases.ts";

/** An index that may say anything. */
interface Said {
  readonly firstSeq: number;
  readonly seq: number;
  readonly conversations: readonly Named[];
  readonly events?: readonly { readonly seq: number; readonly event: Uint8Array }[];
}

interface Named {
  readonly id: string;
  readonly told: readonly Range[];
  readonly read?: readonly Range[];
  /** In place of the sets above. */
  readonly bytes?: { readonly told?: Uint8Array; readonly read?: Uint8Array };
}

const number = (field: number, value: number) =>
  value === 0 ? new Uint8Array(0) : Uint8Array.from([...varint(field << 3), ...varint(value)]);
const bytes = (field: number, value: Uint8Array) =>
  value.length === 0
    ? value
    : join(Uint8Array.from([...varint((field << 3) | 2), ...varint(value.length)]), value);

function encoded({ firstSeq, seq, conversations, events = [] }: Said): Uint8Array {
  return join(
    number(1, seq),
    number(2, firstSeq),
    ...conversations.map(({ id, told, read = [], bytes: lies = {} }) => {
      const sets = { told: setOf(...told), read: setOf(...read), ...lies };
      const name = new TextEncoder().encode(id);
      return bytes(3, join(bytes(1, name), bytes(2, sets.told), bytes(3, sets.read)));
    }),
    ...events.map((one) => bytes(4, join(number(1, one.seq), bytes(4, one.event)))),
  );
}

const ANN = { id: "d:ann:bob", told: [[1, 3]] } as const;
const ZOE = { id: "d:bob:zoe", told: [[7, 7]] } as const;
const GROUP = "g:aaaaaaaaaaaaaaaaaaaaaaaaaa";
const event = (seq: number) => ({ seq, event: Uint8Array.of(0x2a, 0) });
const PLAIN: Said = { firstSeq: 11, seq: 20, conversations: [ANN] };

function legal(name: string, description: string, said: Said): ConversationCase {
  const { firstSeq, seq, conversations, events = [] } = said;
  const sizes = [
    ...conversations.map(({ id, told, read = [] }) => {
      return id.length + setOf(...told).length + setOf(...read).length;
    }),
    ...events.map((one) => one.event.length),
  ];
  return conversationCase(["CAT-5 CAT-8", `index-${name}`, description], "index", {
    encoded: encoded(said),
    first_seq: firstSeq,
    seq,
    conversations: conversations.map(({ id, told, read = [] }) => {
      return { conversation_id: id, told, read };
    }),
    event_seqs: events.map((one) => one.seq),
    window_bytes: sizes.reduce((sum, size) => sum + size, 0),
  });
}

function refused(name: string, description: string, said: Partial<Said>): ConversationCase {
  const about = ["CAT-5 CAT-6", `index-${name}`, description] as const;
  const members = { encoded: encoded({ ...PLAIN, ...said }) };
  return conversationCase(about, "index", members, "INDEX_MALFORMED");
}

const many = (count: number) =>
  Array.from({ length: count }, (_, at): Named => {
    return { id: `d:u${String(at).padStart(3, "0")}:z`, told: [[1, 1]] };
  });
const named = (one: Partial<Named>) => ({ conversations: [{ ...ANN, ...one }] });
const lies = (told: string, read = "") => named({ bytes: { told: hex(told), read: hex(read) } });

export const INDEXES: readonly ConversationCase[] = [
  legal("one", "Messages of one conversation, nothing read.", PLAIN),
  legal("read", "What was read of them.", {
    ...PLAIN,
    conversations: [
      {
        id: GROUP,
        told: [
          [3, 7],
          [10, 10],
          [300, 302],
        ],
        read: [
          [4, 6],
          [20, 300],
        ],
      },
    ],
  }),
  legal("several", "Several conversations, and events that are told whole.", {
    firstSeq: 11,
    seq: 20,
    conversations: [ANN, ZOE, { id: GROUP, told: [[2, 2]], read: [[2, 2]] }],
    events: [event(11), event(14), event(20)],
  }),
  legal("told-again", "Fewer numbers than it covers: some were told more than once.", {
    ...PLAIN,
    firstSeq: 1,
    conversations: [ZOE],
  }),
  legal("exactly", "As many as it covers.", { ...PLAIN, firstSeq: 18 }),
  legal("highest", "The highest timeline number.", {
    ...PLAIN,
    firstSeq: Number.MAX_SAFE_INTEGER - 2,
    seq: Number.MAX_SAFE_INTEGER,
  }),
  legal("65536", "As many events as one covers.", { ...PLAIN, firstSeq: 5, seq: 65_540 }),
  legal("256", "As many conversations as one names.", {
    firstSeq: 1,
    seq: 256,
    conversations: many(256),
  }),
  refused("first-0", "A first number of 0.", { firstSeq: 0, seq: 9 }),
  refused("backwards", "An end before its beginning.", { firstSeq: 21 }),
  refused("65537", "One event too many.", { firstSeq: 5, seq: 65_541 }),
  refused("257", "One conversation too many.", {
    firstSeq: 1,
    seq: 257,
    conversations: many(257),
  }),
  refused("nothing", "No conversation.", { conversations: [] }),
  refused("falling-ids", "Ids that fall.", { conversations: [ZOE, ANN] }),
  refused("id-twice", "An id twice.", { conversations: [ANN, ANN] }),
  refused("no-id", "An id that is none.", named({ id: "d:bob:ann" })),
  refused("nothing-told", "No number.", named({ told: [] })),
  refused("read-below", "Read below what is told.", named({ told: [[2, 4]], read: [[1, 2]] })),
  refused("read-above", "Read above what is told.", named({ read: [[3, 4]] })),
  refused("told-touching", "Ranges that touch.", lies("00000000")),
  refused("told-long", "A varint that is not its shortest form.", lies("800000")),
  refused("told-cut", "Half a range.", lies("00")),
  refused("read-touching", "Ranges that touch, of what was read.", lies("0002", "00000000")),
  refused("event-before", "An event before it.", { events: [event(10)] }),
  refused("event-behind", "An event behind it.", { events: [event(21)] }),
  refused("event-twice", "An event twice.", { events: [event(12), event(12)] }),
  refused("events-falling", "Events that fall.", { events: [event(13), event(12)] }),
  refused("too-many-told", "More numbers than it covers.", { firstSeq: 19 }),
  refused("too-much-told", "More numbers and events than it covers.", {
    firstSeq: 18,
    events: [event(19)],
  }),
  refused("bomb", "Some bytes that stand for 2^52 numbers.", named({ told: [[1, 2 ** 52]] })),
];
