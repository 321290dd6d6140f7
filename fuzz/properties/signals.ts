import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  ConversationKind,
  ConversationRecordSchema,
  MemberRole,
} from "../../gen/posthorn/v1/conversation_pb.ts";
import {
  PresenceAudience,
  PresencePolicySchema,
  PresenceState,
} from "../../gen/posthorn/v1/signal_pb.ts";
import { blocksRef } from "../../server/operations/blocks.ts";
import { contactsRef, presencePolicyRef } from "../../server/operations/presence.ts";
import { documentRefOf, logRefOf } from "../../server/store/store.ts";
import { property, type Seen } from "../property.ts";
import { SignalNode, SignalSession, senderOf } from "../sim/signal-node.ts";
import { ModelDevice, type Policy, type Room, SignalRules } from "../sim/signal-rules.ts";

const USERS = ["alice", "bob", "carol", "dave"];
const DEVICES_MAX = 6;
const FAN_OUT_MAX = 3;
const AUDIENCES = [
  PresenceAudience.UNSPECIFIED,
  PresenceAudience.EVERYBODY,
  PresenceAudience.CONTACTS,
  PresenceAudience.NOBODY,
];
const STATES = [
  PresenceState.UNSPECIFIED,
  PresenceState.OFFLINE,
  PresenceState.AWAY,
  PresenceState.BUSY,
  PresenceState.ONLINE,
];
const { READER, MEMBER, ADMIN } = MemberRole;
/** An id of a conversation that somebody has made, which a name begins. */
const made = (name: string) => `g:${name.padEnd(26, "a")}`;
type Roles = readonly (readonly [userId: string, role: MemberRole])[];
const MADE: readonly (readonly [id: string, kind: ConversationKind, roles: Roles])[] = [
  [
    made("few"),
    ConversationKind.GROUP,
    [
      ["alice", ADMIN],
      ["bob", MEMBER],
      ["carol", READER],
    ],
  ],
  [
    made("channel"),
    ConversationKind.CHANNEL,
    [
      ["alice", ADMIN],
      ["bob", MEMBER],
    ],
  ],
  [
    made("many"),
    ConversationKind.GROUP,
    [
      ["alice", ADMIN],
      ["bob", MEMBER],
      ["carol", MEMBER],
      ["erin", MEMBER],
    ],
  ],
];
const ROOMS: ReadonlyMap<string, Room> = new Map([
  ["d:alice:bob", { members: ["alice", "bob"], writers: ["alice", "bob"], isLarge: false }],
  [made("few"), { members: ["alice", "bob", "carol"], writers: ["alice", "bob"], isLarge: false }],
  [made("channel"), { members: ["alice", "bob"], writers: ["alice"], isLarge: false }],
  [made("many"), { members: ["alice", "bob", "carol", "erin"], writers: ["alice"], isLarge: true }],
]);
const CONVERSATIONS = [...ROOMS.keys(), made("unknown"), "d:bob:alice", ""];

const KINDS = [
  "attach",
  "leave",
  "presence",
  "watch",
  "typing",
  "policy",
  "blocks",
  "pause",
  "grow",
] as const;

interface Step {
  readonly kind: (typeof KINDS)[number];
  /** A user to attach; of all others one of the devices that are there. */
  readonly who: number;
  readonly what: number;
  readonly other: number;
  /** How much time passes then. */
  readonly ms: number;
}

interface Case {
  /** Of each user: two audiences, whom it has written to, and whom it blocks. */
  readonly people: readonly {
    readonly stateTo: number;
    readonly lastSeenTo: number;
    readonly contacts: readonly string[];
    readonly blocked: readonly string[];
  }[];
  readonly steps: readonly Step[];
}

function policyOf(stateTo: number, lastSeenTo: number, blocked: readonly string[]): Policy {
  const audience = (index: number) => AUDIENCES[index % AUDIENCES.length] as PresenceAudience;
  return { stateTo: audience(stateTo), lastSeenTo: audience(lastSeenTo), blocked };
}

interface BenchLink {
  readonly device: ModelDevice;
  readonly session: SignalSession;
}

/** The signals of a real node, and beside them the rules. */
class Bench {
  readonly #node = new SignalNode({ fanOutMembersMax: FAN_OUT_MAX });
  readonly #rules: SignalRules;
  readonly #links: BenchLink[] = [];
  readonly #seen: Seen;
  #head = 0;

  constructor(people: Case["people"], seen: Seen) {
    this.#seen = seen;
    const drawn = USERS.map((userId, index) => {
      const { stateTo = 0, lastSeenTo = 0, contacts = [], blocked = [] } = people[index] ?? {};
      const others = blocked.filter((one) => one !== userId);
      const policy = policyOf(stateTo, lastSeenTo, others);
      return [userId, { policy, contacts: new Set(contacts) }] as const;
    });
    this.#rules = new SignalRules(new Map(drawn), ROOMS, () => this.#node.nowMs);
    for (const [userId, { policy, contacts }] of drawn) {
      this.#put(userId, policy);
      if (contacts.size === 0) continue;
      this.#node.put(contactsRef("", userId), Buffer.from([...contacts].join("\n")));
    }
    for (const [id, kind, roles] of MADE) {
      const members = roles.map(([userId, role], ordinal) => ({ userId, role, ordinal }));
      const record = create(ConversationRecordSchema, { kind, members });
      const bytes = toBinary(ConversationRecordSchema, record);
      this.#node.put(documentRefOf("", `conversation:${id}`), bytes);
    }
  }

  async take({ kind, who, what, other, ms }: Step): Promise<void> {
    const link = this.#links[who % Math.max(1, this.#links.length)];
    if (kind === "attach") this.#attach(USERS[who % USERS.length] as string);
    else if (kind === "policy") this.#setPolicy(USERS[who % USERS.length] as string, what, other);
    else if (kind === "blocks") this.#setBlocks(USERS[who % USERS.length] as string, what);
    else if (kind === "grow") this.#grow(what);
    else if (link === undefined) return;
    else if (kind === "leave") this.#leave(link);
    else if (kind === "pause") link.session.pause(!link.session.isPaused);
    else if (kind === "watch") {
      const userIds = USERS.filter((_, index) => (what & (1 << index)) !== 0);
      link.session.say({ case: "watch", value: { userIds } });
    } else if (kind === "presence") {
      const state = STATES[what % STATES.length] as PresenceState;
      // What is no state is not heard.
      if (state !== PresenceState.UNSPECIFIED) {
        link.session.say({ case: "setPresence", value: { state } });
      }
    } else {
      const conversationId = CONVERSATIONS[what % CONVERSATIONS.length] as string;
      link.session.say({ case: "typing", value: { conversationId, active: other % 2 === 0 } });
    }
    await this.#pass(ms);
  }

  async end(): Promise<void> {
    for (const { session } of this.#links) if (session.isPaused) session.pause(false);
    await this.#pass(8_000);
    for (const id of [made("few"), made("many")])
      this.#node.grown(logRefOf("", id), this.#head + 1);
    await this.#pass(1_000);
    const heads = new Map([
      [made("few"), 0],
      [made("many"), this.#head + 1],
    ]);
    for (const { device } of this.#links) device.settled(heads);
  }

  #attach(userId: string): void {
    if (this.#links.length >= DEVICES_MAX) return;
    const device = new ModelDevice(this.#rules, userId, this.#seen);
    this.#rules.attached(device);
    const session = new SignalSession(this.#node, senderOf(userId), device);
    this.#links.push({ device, session });
  }

  #leave(link: BenchLink): void {
    this.#links.splice(this.#links.indexOf(link), 1);
    this.#rules.left(link.device);
    link.session.leave();
  }

  #setPolicy(userId: string, stateTo: number, lastSeenTo: number): void {
    const { blocked } = this.#rules.person(userId).policy;
    this.#change(userId, policyOf(stateTo, lastSeenTo, blocked), "setPresencePolicy");
  }

  #setBlocks(userId: string, what: number): void {
    const { policy } = this.#rules.person(userId);
    const blocked = USERS.filter((one, index) => one !== userId && (what & (1 << index)) !== 0);
    this.#change(userId, { ...policy, blocked }, "changeBlocks");
  }

  #change(userId: string, policy: Policy, by: "setPresencePolicy" | "changeBlocks"): void {
    this.#rules.setPolicy(userId, policy);
    this.#put(userId, policy);
    const operation = { case: by, value: {} };
    this.#node.board.committed(senderOf(userId), [
      { kind: "operation", operation: operation as never },
    ]);
  }

  #put(userId: string, { blocked, ...audiences }: Policy): void {
    const bytes = toBinary(PresencePolicySchema, create(PresencePolicySchema, audiences));
    this.#node.put(presencePolicyRef("", userId), bytes);
    this.#node.put(blocksRef("", userId), Buffer.from(blocked.join("\n")));
  }

  #grow(times: number): void {
    for (let time = 0; time <= times; time += 1) {
      this.#head += 1;
      for (const id of [made("few"), made("many")]) this.#node.grown(logRefOf("", id), this.#head);
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.#node.pass(ms, () => this.#rules.elapsed());
  }
}

const drawnStep = fc.record<Step>({
  kind: fc.constantFrom(...KINDS),
  who: fc.nat(11),
  what: fc.nat(15),
  other: fc.nat(3),
  ms: fc.constantFrom(0, 0, 20, 120, 300, 1_000, 7_000),
});
/** What makes the other steps matter. */
const usualStep = fc.oneof(
  fc.record<Step>({
    kind: fc.constantFrom("attach", "typing", "presence"),
    who: fc.nat(11),
    what: fc.nat(15),
    other: fc.nat(1),
    ms: fc.constantFrom(0, 20, 300),
  }),
  fc.record<Step>({
    kind: fc.constant("watch"),
    who: fc.nat(11),
    what: fc.constant(15),
    other: fc.constant(0),
    ms: fc.constantFrom(20, 300),
  }),
  fc.record<Step>({
    kind: fc.constant("pause"),
    who: fc.nat(11),
    what: fc.constant(0),
    other: fc.constant(0),
    ms: fc.constantFrom(300, 1_000),
  }),
);

export const signals = property<Case>({
  name: "signals",
  title:
    "[SIG-5] [SIG-6] [SIG-7] [SIG-10] [SIG-11] [SIG-13] [SIG-15] [SIG-16] [SIG-18] [USR-24] " +
    "devices are told what they may know, in time or not at all, and in the end of everything " +
    "what it is",
  smokeRuns: 60,
  kinds: ["typing", "head", "shown", "hidden", "blocked"],
  arbitrary: fc.record({
    people: fc.tuple(
      ...USERS.map(() =>
        fc.record({
          stateTo: fc.nat(AUDIENCES.length - 1),
          lastSeenTo: fc.nat(AUDIENCES.length - 1),
          contacts: fc.subarray(USERS),
          blocked: fc.subarray(USERS, { maxLength: 1 }),
        }),
      ),
    ),
    steps: fc.array(fc.oneof(usualStep, drawnStep), { minLength: 1, maxLength: 40 }),
  }),
  start: (seen) => ({
    check: async ({ people, steps }) => {
      const bench = new Bench(people, seen);
      for (const step of steps) await bench.take(step);
      await bench.end();
    },
  }),
});
