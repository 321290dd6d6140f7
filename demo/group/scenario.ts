import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { errorRule } from "../../gen/posthorn/v1/error_rules.ts";
import { openIdentities } from "../../server/envelope/identity-file.ts";
import type { SeededRandom } from "../random.ts";
import { ServerProcess } from "../server-process.ts";
import { demoTexts } from "../texts.ts";
import { judgeGroups } from "./judge.ts";
import { GroupMember, turn } from "./member.ts";
import { idIn, type Meant, textOf } from "./truth.ts";

const USERS = 50;
/** How many of the users are in each group. */
const GROUPS = [50, 25, 8] as const;
const KILLS = 4;
/** Devices that come when everything is over, and read it all from the beginning. */
const LATE = 5;
const TEXT_BYTES_MAX = 4_000;

export interface GroupOptions {
  readonly random: SeededRandom;
  /** Messages, edits and recalls of all users. */
  readonly actionCount: number;
  readonly envelope: string;
  readonly file: string | undefined;
}

/**
 * Fifty users in three groups write, call each other, edit and take back, while half of their
 * devices go away and come back on other transports and the server is killed. At the end every
 * device's view is compared with what was meant.
 */
export async function groupDemo(options: GroupOptions) {
  const folder = await mkdtemp(join(tmpdir(), "posthorn-demo-"));
  const data = join(folder, "data");
  const server = await ServerProcess.start(data, options.envelope);
  const isSealed = options.envelope === "required";
  const pin = isSealed ? openIdentities(data).present.serverId : undefined;
  const run = new Run(options, { server, folder, pin });
  try {
    return await run.go();
  } finally {
    await run.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Place {
  readonly server: ServerProcess;
  readonly folder: string;
  readonly pin: Uint8Array | undefined;
}

class Run {
  readonly #options: GroupOptions;
  readonly #place: Place;
  readonly #users: GroupMember[];
  readonly #late: GroupMember[] = [];
  readonly #meant: Meant[] = [];
  readonly #members = new Map<string, Set<string>>();
  readonly #texts: readonly string[];
  readonly #counts = { messages: 0, edits: 0, recalls: 0, mentions: 0, moves: 0 };
  #done = 0;

  constructor(options: GroupOptions, place: Place) {
    this.#options = options;
    this.#place = place;
    this.#texts = demoTexts(options.file).filter(
      (text) => text !== "" && Buffer.byteLength(text) <= TEXT_BYTES_MAX,
    );
    this.#users = Array.from({ length: USERS }, (_, index) => this.#member(index, "phone"));
  }

  async go() {
    const startedMs = performance.now();
    await Promise.all(this.#users.map((user) => user.comes()));
    await this.#makeGroups();
    const { actionCount } = this.#options;
    const each = Math.ceil(actionCount / USERS);
    const faults = this.#faults(each * USERS);
    await Promise.all(this.#users.map((user) => this.#acts(user, each)));
    await faults;
    await this.#allDelivered(this.#users);
    for (let index = 0; index < LATE; index += 1) {
      const late = this.#member(index * 7, "tablet");
      this.#late.push(late);
      await late.comes();
    }
    await this.#allDelivered(this.#late);
    const witnesses = [
      ...this.#users.map(({ userId, delivered }) => ({ userId, delivered, isLate: false })),
      ...this.#late.map(({ userId, delivered }) => ({ userId, delivered, isLate: true })),
    ];
    const verdict = judgeGroups(witnesses, this.#meant, this.#members);
    const { killCount: kills } = this.#place.server;
    const delivered = witnesses.reduce((sum, one) => sum + one.delivered.length, 0);
    const ms = Math.round(performance.now() - startedMs);
    const { envelope } = this.#options;
    return { ...verdict, delivered, users: USERS, ...this.#counts, kills, envelope, ms };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#users, ...this.#late].map((user) => user.goes()));
  }

  #member(index: number, deviceId: string): GroupMember {
    const { server, folder, pin } = this.#place;
    const userId = `user${String(index).padStart(2, "0")}`;
    const at = { serverPort: server.port, folder, pin };
    return new GroupMember({ userId, deviceId, turn: index % 3, ...at });
  }

  async #makeGroups(): Promise<void> {
    for (const [index, size] of GROUPS.entries()) {
      const owner = this.#users[index] as GroupMember;
      const others = this.#users.filter((user) => user !== owner).slice(0, size - 1);
      await owner.does(async (conversations) => {
        const { conversationId, made } = await conversations.create({
          title: `group of ${size}`,
          members: others.map(({ userId }) => ({ userId })),
        });
        await made;
        const userIds = [owner, ...others].map(({ userId }) => userId);
        this.#members.set(conversationId, new Set(userIds));
      });
    }
    if (this.#members.size !== GROUPS.length) throw new Error("a group was not made");
  }

  async #acts(user: GroupMember, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const chance = this.#options.random.below(100);
      if (chance < 12) await this.#edits(user);
      else if (chance < 20) await this.#recalls(user);
      else await this.#says(user);
      this.#done += 1;
    }
  }

  async #says(user: GroupMember): Promise<void> {
    const { random } = this.#options;
    const own = [...this.#members].filter(([, userIds]) => userIds.has(user.userId));
    const [conversationId, userIds] = own[random.below(own.length)] as (typeof own)[number];
    const others = [...userIds];
    const mentioned = random.below(4) === 0 ? [others[random.below(others.length)] as string] : [];
    const id = this.#meant.length + 1;
    const text = textOf(id, this.#texts[id % this.#texts.length] as string);
    const { userId: senderUserId } = user;
    const meant: Meant = {
      id,
      conversationId,
      senderUserId,
      mentioned,
      texts: [text],
      isRecalled: false,
      changeCount: 0,
    };
    this.#meant.push(meant);
    this.#counts.messages += 1;
    this.#counts.mentions += mentioned.length;
    const code = await user.does((conversations) =>
      conversations.send(conversationId, text, { mentions: { userIds: mentioned } }),
    );
    if (code !== undefined) throw new Error(`a message was refused: ${errorRule(code).name}`);
  }

  async #edits(user: GroupMember): Promise<void> {
    const own = this.#ownMessage(user);
    if (own === undefined) return await this.#says(user);
    const { meant, conversationSeq } = own;
    const text = textOf(meant.id, `edited ${meant.texts.length} times`);
    meant.texts.push(text);
    await this.#changes(user, meant, (conversations) =>
      conversations.edit(meant.conversationId, conversationSeq, text),
    );
    this.#counts.edits += 1;
  }

  async #recalls(user: GroupMember): Promise<void> {
    const own = this.#ownMessage(user);
    if (own === undefined) return await this.#says(user);
    const { meant, conversationSeq } = own;
    meant.isRecalled = true;
    await this.#changes(user, meant, (conversations) =>
      conversations.recall(meant.conversationId, conversationSeq),
    );
    this.#counts.recalls += 1;
  }

  async #changes(user: GroupMember, meant: Meant, change: Parameters<GroupMember["does"]>[0]) {
    const code = await user.does(change);
    if (code !== undefined) throw new Error(`a change was refused: ${errorRule(code).name}`);
    meant.changeCount += 1;
  }

  /** One that it has been delivered itself: only then does it know its number. */
  #ownMessage(user: GroupMember) {
    const own = user.delivered.flatMap(({ text, conversationSeq }) => {
      const meant = text === undefined ? undefined : this.#meant[idIn(text) - 1];
      const isOwn = meant?.senderUserId === user.userId && !meant.isRecalled;
      return isOwn ? [{ meant, conversationSeq }] : [];
    });
    return own[this.#options.random.below(Math.max(1, own.length))];
  }

  /** Kills, and devices that go and come back, spread over the actions. */
  async #faults(total: number): Promise<void> {
    const moving = this.#users.filter((_, index) => index % 2 === 1);
    const steps = [
      ...moving.map((user, index) => ({ at: (index + 1) / (moving.length + 2), user })),
      ...Array.from({ length: KILLS }, (_, index) => ({
        at: (index + 0.5) / KILLS,
        user: undefined,
      })),
    ].sort((a, b) => a.at - b.at);
    const back: Promise<void>[] = [];
    for (const { at, user } of steps) {
      // Who is away does nothing: the others get to the end without it.
      while (this.#done < at * total * 0.9) await turn();
      if (user === undefined) await this.#place.server.killAndRestart();
      else back.push(this.#moves(user, total));
    }
    await Promise.all(back);
  }

  async #moves(user: GroupMember, total: number): Promise<void> {
    await user.goes();
    const until = Math.min(this.#done + total / 20, total * 0.9);
    const deadlineMs = performance.now() + 3_000;
    while (this.#done < until && performance.now() < deadlineMs) await turn();
    await user.comesBack();
    this.#counts.moves += 1;
  }

  /** Waits until nothing has come for a while, and everybody has what everybody has. */
  async #allDelivered(users: readonly GroupMember[]): Promise<void> {
    const deadlineMs = performance.now() + 60_000;
    const total = () => users.reduce((sum, { delivered }) => sum + delivered.length, 0);
    let last = -1;
    let quietSinceMs = performance.now();
    while (performance.now() < deadlineMs) {
      const now = total();
      if (now !== last) quietSinceMs = performance.now();
      last = now;
      if (performance.now() - quietSinceMs > 1_500) return;
      await turn();
    }
    throw new Error(errorRule(ErrorCode.TOO_SLOW).name);
  }
}
