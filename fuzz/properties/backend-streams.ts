import { deepEqual, equal } from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { EnsureUserRequestSchema } from "../../gen/posthorn/v1/backend_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import { StoreError, userRefOf } from "../../server/store/store.ts";
import { type Answered, DESK, DeskNode, sayTo } from "../backend/desk.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";

const USERS = ["ann", "bob"];
const STREAMS = ["a", "b"];
const PAGE = { count: 1_000, bytes: 1_000_000 };

interface Step {
  readonly kind:
    | "next"
    | "repeat"
    | "other text"
    | "other user"
    | "gap"
    | "together"
    | "nobody"
    | "crash before"
    | "crash after"
    | "failed write"
    | "by a user"
    | "as a user";
  readonly stream: number;
  readonly user: number;
  /** Of what was committed, from the newest back. */
  readonly back: number;
}

interface Committed {
  readonly asUserId: string;
  readonly text: string;
  readonly answered: Answered;
}

/** One backend at one store, and what chapter 21 says of its streams. */
class Scene {
  readonly #seen: Seen;
  readonly #streams = new Map<string, Committed[]>(STREAMS.map((name) => [name, []]));
  readonly #timeline: string[] = [];
  #how: "writes" | "fails" | "dies before" | "dies after" = "writes";
  #node = new DeskNode(undefined, (write) => this.#flush(write));
  #texts = 0;

  constructor(seen: Seen) {
    this.#seen = seen;
  }

  async start(): Promise<void> {
    for (const user of USERS) await this.#node.store.ensureUser(userRefOf("", user));
    for (const stream of STREAMS) await this.#next(stream, "ann");
  }

  async take({ kind, stream: at, user, back }: Step): Promise<void> {
    const stream = STREAMS[at] as string;
    const asUserId = USERS[user] as string;
    const done = this.#streams.get(stream) as Committed[];
    const seq = done.length - (back % done.length);
    const old = done[seq - 1] as Committed;
    switch (kind) {
      case "next":
        return await this.#next(stream, asUserId);
      case "repeat":
        return deepEqual(await this.#submit(stream, seq, old), old.answered, "[BCK-6]");
      case "other text":
        return await this.#refused(stream, seq, { ...old, text: `${old.text}!` });
      case "other user":
        return await this.#refused(stream, seq, { ...old, asUserId: `${old.asUserId}x` });
      case "gap": {
        const far = { asUserId, text: "too far" };
        const { code } = await this.#submit(stream, done.length + 2 + back, far);
        return equal(codeText(code), "STREAM_GAP", "[BCK-7]");
      }
      case "together":
        return await this.#together(stream, asUserId);
      case "nobody":
        return await this.#next(stream, "nobody");
      case "crash before":
        return await this.#crash(stream, asUserId, "dies before");
      case "crash after":
        return await this.#crash(stream, asUserId, "dies after");
      case "failed write":
        return await this.#fail(stream, asUserId);
      case "by a user":
        return await this.#byUser(stream, asUserId);
      case "as a user": {
        const { code } = await this.#node.ask("DevicesService/List", new Uint8Array(0), DESK);
        return equal(codeText(code), "NOT_PERMITTED", "a backend is no user [BCK-2]");
      }
    }
  }

  async check(): Promise<void> {
    const { entries } = await this.#node.store.loadTimeline(userRefOf("", "ann"), 0, PAGE);
    const lines = entries.map(({ event }) => {
      const { kind } = fromBinary(EventSchema, event);
      if (kind.case !== "message") return kind.case ?? "nothing";
      equal(kind.value.senderDeviceId, "", "[BCK-11]");
      return `${kind.value.senderUserId}: ${kind.value.content?.kind.value}`;
    });
    deepEqual(lines, this.#timeline, "each once, in order [BCK-5]");
  }

  async #next(stream: string, asUserId: string): Promise<void> {
    const said = this.#say(asUserId);
    const done = this.#streams.get(stream) as Committed[];
    this.#took(stream, said, await this.#submit(stream, done.length + 1, said));
  }

  /** The same number at once: each is answered, and one has the effect. */
  async #together(stream: string, asUserId: string): Promise<void> {
    const said = this.#say(asUserId);
    const seq = (this.#streams.get(stream) as Committed[]).length + 1;
    const [first, ...others] = await Promise.all(
      [1, 2, 3].map(() => this.#submit(stream, seq, said)),
    );
    for (const other of others) deepEqual(other, first, "[BCK-6]");
    this.#took(stream, said, first as Answered);
    this.#seen("together");
  }

  /** The node dies on either side of the commit, before it has answered. */
  async #crash(stream: string, asUserId: string, how: "dies before" | "dies after") {
    const said = this.#say(asUserId);
    const seq = (this.#streams.get(stream) as Committed[]).length + 1;
    this.#how = how;
    const died = new Promise<void>((resolve) => {
      this.#died = resolve;
    });
    void this.#submit(stream, seq, said);
    await died;
    this.#how = "writes";
    this.#node = new DeskNode(this.#node.store.disk, (write) => this.#flush(write));
    this.#took(stream, said, await this.#submit(stream, seq, said));
    this.#seen(how);
  }

  async #fail(stream: string, asUserId: string): Promise<void> {
    const said = this.#say(asUserId);
    const seq = (this.#streams.get(stream) as Committed[]).length + 1;
    this.#how = "fails";
    const failed = await this.#submit(stream, seq, said).catch((error: unknown) => error);
    this.#how = "writes";
    equal(failed instanceof StoreError, true, "a write that fails is no answer");
    this.#took(stream, said, await this.#submit(stream, seq, said));
    this.#seen("failed write");
  }

  async #byUser(stream: string, userId: string): Promise<void> {
    const seq = (this.#streams.get(stream) as Committed[]).length + 1;
    const caller = { tenant: "", userId, deviceId: "phone" };
    const said = this.#say(userId);
    const { code } = await this.#node.submit(this.#request(stream, seq, said), caller);
    equal(codeText(code), "NOT_PERMITTED", "a user is no backend [BCK-2]");
    const request = toBinary(EnsureUserRequestSchema, create(EnsureUserRequestSchema, { userId }));
    const made = await this.#node.ask("BackendService/EnsureUser", request, caller);
    equal(codeText(made.code), "NOT_PERMITTED", "a user makes no users [BCK-2]");
  }

  async #refused(stream: string, seq: number, said: Omit<Committed, "answered">): Promise<void> {
    const { code } = await this.#submit(stream, seq, said);
    equal(codeText(code), "SUBMIT_CONFLICT", "[BCK-6]");
    this.#seen("conflict");
  }

  #say(asUserId: string): Omit<Committed, "answered"> {
    this.#texts += 1;
    return { asUserId, text: `no. ${this.#texts}` };
  }

  #took(stream: string, said: Omit<Committed, "answered">, answered: Answered): void {
    const isKnown = USERS.includes(said.asUserId);
    const expected = isKnown ? ErrorCode.UNSPECIFIED : ErrorCode.USER_UNKNOWN;
    deepEqual([answered.code, answered.refused], [ErrorCode.UNSPECIFIED, expected], "[BCK-8]");
    (this.#streams.get(stream) as Committed[]).push({ ...said, answered });
    if (isKnown) this.#timeline.push(`${said.asUserId}: ${said.text}`);
  }

  #submit(stream: string, seq: number, said: Omit<Committed, "answered">): Promise<Answered> {
    return this.#node.submit(this.#request(stream, seq, said));
  }

  #request(stream: string, seq: number, { asUserId, text }: Omit<Committed, "answered">) {
    return { stream, seq: BigInt(seq), asUserId, operation: sayTo("ann", text) };
  }

  #died: () => void = () => {};

  async #flush(write: () => void): Promise<void> {
    switch (this.#how) {
      case "fails":
        throw new Error("no space is left");
      case "dies before":
        this.#died();
        return await new Promise(() => {});
      case "dies after":
        write();
        this.#died();
        return await new Promise(() => {});
      default:
        return write();
    }
  }
}

const step = fc.record<Step>({
  kind: fc.constantFrom(
    "next",
    "next",
    "repeat",
    "other text",
    "other user",
    "gap",
    "together",
    "nobody",
    "crash before",
    "crash after",
    "failed write",
    "by a user",
    "as a user",
  ),
  stream: fc.nat(STREAMS.length - 1),
  user: fc.nat(USERS.length - 1),
  back: fc.nat(9),
});

export const backendStreams = property<Step[]>({
  name: "backend-streams",
  title:
    "[BCK-2] [BCK-5] [BCK-6] [BCK-7] [BCK-8] [BCK-11] a number has one effect and one result, " +
    "whatever dies and however often it is asked, and nobody but a backend asks",
  smokeRuns: 60,
  kinds: ["together", "dies before", "dies after", "failed write", "conflict"],
  arbitrary: fc.array(step, { minLength: 1, maxLength: 40 }),
  start: (seen) => ({
    check: async (steps) => {
      const scene = new Scene(seen);
      await scene.start();
      for (const one of steps) {
        await scene.take(one);
        await scene.check();
      }
    },
  }),
});
