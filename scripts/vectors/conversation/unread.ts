import {
  type ConversationCase,
  type ConversationFailure,
  conversationCase,
  type Range,
  setOf,
} from "./cases.ts";

const MAX = Number.MAX_SAFE_INTEGER;

interface State {
  /** The first number that the member may read. */
  readonly visible_from: number;
  readonly newest: number;
  readonly read?: readonly Range[];
  readonly recalled?: readonly Range[];
  /** Where it was called: by its name, by its role, with everybody. */
  readonly mentioned?: readonly (readonly Range[])[];
}

interface Derived {
  readonly unread: readonly Range[];
  readonly unread_count: number;
  readonly mentions: readonly Range[];
  readonly mention_count: number;
}

const NONE: Derived = { unread: [], unread_count: 0, mentions: [], mention_count: 0 };

function counted(
  [name, description]: readonly [string, string],
  { visible_from, newest, read = [], recalled = [], mentioned = [[]] }: State,
  derived: Derived,
  failure?: ConversationFailure,
): ConversationCase {
  const { unread, unread_count, mentions, mention_count } = derived;
  const members = {
    visible_from,
    newest,
    read: setOf(...read),
    recalled: setOf(...recalled),
    mentioned: mentioned.map((ranges) => setOf(...ranges)),
    unread: setOf(...unread),
    unread_count,
    mentions: setOf(...mentions),
    mention_count,
  };
  const about = ["CNV-33", `unread-${name}`, description] as const;
  return conversationCase(about, "unread", members, failure);
}

/** Of twenty messages. */
const SOME: State = {
  visible_from: 3,
  newest: 20,
  read: [
    [3, 8],
    [11, 11],
  ],
  recalled: [
    [9, 9],
    [14, 15],
  ],
  mentioned: [
    [
      [5, 5],
      [12, 12],
    ],
    [
      [14, 14],
      [17, 18],
    ],
    [
      [12, 12],
      [20, 20],
    ],
  ],
};

const OF_SOME: Derived = {
  unread: [
    [10, 10],
    [12, 13],
    [16, 20],
  ],
  unread_count: 8,
  mentions: [
    [12, 12],
    [17, 18],
    [20, 20],
  ],
  mention_count: 4,
};

function mistaken(name: string, description: string, derived: Partial<Derived>) {
  return counted([`mistake-${name}`, description], SOME, { ...OF_SOME, ...derived }, "MISTAKE");
}

export const UNREAD: readonly ConversationCase[] = [
  counted(["some", "Some read, some recalled, called three ways."], SOME, OF_SOME),
  counted(
    ["nothing-said", "A conversation without messages."],
    { visible_from: 1, newest: 0 },
    NONE,
  ),
  counted(
    ["nothing-read", "Nothing was read."],
    { visible_from: 1, newest: 20 },
    { ...NONE, unread: [[1, 20]], unread_count: 20 },
  ),
  counted(
    ["all-read", "Everything was read."],
    { visible_from: 1, newest: 20, read: [[1, 20]] },
    NONE,
  ),
  counted(
    ["newcomer", "Who has just come in and may not read what was before."],
    { visible_from: 21, newest: 20, mentioned: [[[5, 5]]] },
    NONE,
  ),
  counted(
    ["newcomer-one", "One message since."],
    {
      visible_from: 21,
      newest: 21,
      mentioned: [
        [
          [5, 5],
          [21, 21],
        ],
      ],
    },
    { unread: [[21, 21]], unread_count: 1, mentions: [[21, 21]], mention_count: 1 },
  ),
  counted(
    ["read-before", "Who came again: what it read at its first time is below."],
    { visible_from: 15, newest: 20, read: [[1, 10]], recalled: [[4, 4]] },
    { ...NONE, unread: [[15, 20]], unread_count: 6 },
  ),
  counted(
    ["own-sent", "Own messages are read: what others said between is not."],
    {
      visible_from: 1,
      newest: 6,
      read: [
        [2, 2],
        [4, 4],
        [6, 6],
      ],
    },
    {
      ...NONE,
      unread: [
        [1, 1],
        [3, 3],
        [5, 5],
      ],
      unread_count: 3,
    },
  ),
  counted(
    ["out-of-order", "The newest was read first."],
    {
      visible_from: 1,
      newest: 20,
      read: [[20, 20]],
      mentioned: [
        [
          [7, 7],
          [20, 20],
        ],
      ],
    },
    { unread: [[1, 19]], unread_count: 19, mentions: [[7, 7]], mention_count: 1 },
  ),
  counted(
    ["recalled-and-read", "What was read and recalled is taken away once."],
    { visible_from: 1, newest: 10, read: [[1, 5]], recalled: [[4, 7]] },
    { ...NONE, unread: [[8, 10]], unread_count: 3 },
  ),
  counted(
    ["all-recalled", "Everything was recalled, with who was called."],
    { visible_from: 1, newest: 3, recalled: [[1, 3]], mentioned: [[[2, 2]]] },
    NONE,
  ),
  counted(
    ["called-thrice", "By name, by role and with everybody in one message: one mention."],
    { visible_from: 1, newest: 2, read: [[1, 1]], mentioned: [[[2, 2]], [[2, 2]], [[2, 2]]] },
    { unread: [[2, 2]], unread_count: 1, mentions: [[2, 2]], mention_count: 1 },
  ),
  counted(
    ["2^53-1", "As many as there can be."],
    {
      visible_from: 1,
      newest: MAX,
      read: [[2 ** 31, 2 ** 31]],
      recalled: [[2 ** 32, 2 ** 32]],
      mentioned: [[[MAX, MAX]]],
    },
    {
      unread: [
        [1, 2 ** 31 - 1],
        [2 ** 31 + 1, 2 ** 32 - 1],
        [2 ** 32 + 1, MAX],
      ],
      unread_count: MAX - 2,
      mentions: [[MAX, MAX]],
      mention_count: 1,
    },
  ),
  mistaken("watermark", "As if all below the highest number read were read.", {
    unread: [
      [12, 13],
      [16, 20],
    ],
    unread_count: 7,
  }),
  mistaken("recalled", "Recalled messages are counted.", {
    unread: [
      [9, 10],
      [12, 20],
    ],
    unread_count: 11,
  }),
  mistaken("from-1", "Counted from 1 on.", {
    unread: [
      [1, 2],
      [10, 10],
      [12, 13],
      [16, 20],
    ],
    unread_count: 10,
  }),
  mistaken("subtracted", "Numbers subtracted: recalled ones outside are taken away too.", {
    unread_count: 20 - 3 + 1 - 7 - 3 - 1,
  }),
  mistaken("mentions-read", "Mentions that were read are counted.", {
    mentions: [
      [5, 5],
      [12, 12],
      [17, 18],
      [20, 20],
    ],
    mention_count: 5,
  }),
  mistaken("mentions-recalled", "Mentions that were recalled are counted.", {
    mentions: [
      [12, 12],
      [14, 14],
      [17, 18],
      [20, 20],
    ],
    mention_count: 5,
  }),
  mistaken("mentions-added-up", "A message that calls twice is counted twice.", {
    mention_count: 5,
  }),
];
