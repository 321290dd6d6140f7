import type { Mutant } from "./mutant.ts";

const BUCKET = "protocol/token-bucket.ts";
const TABLE = "protocol/bucket-table.ts";
const BUDGET = "server/operations/operation-budget.ts";

/** Bugs in how much users and addresses are granted. */
export const LIMIT_MUTANTS: readonly Mutant[] = [
  {
    name: "limits-overfull",
    title: "[LIM-1] lets a bucket fill above what it holds at once",
    file: BUCKET,
    find: "return Math.max(0, this.#missing - back);",
    replace: "return this.#missing - back;",
    killedBy: "buckets",
  },
  {
    name: "limits-clock-set-back",
    title: "[LIM-1] takes a clock that was set back for time that has passed",
    file: BUCKET,
    find: "const back = Math.max(0, nowMs - this.#atMs) * this.#rule.refill;",
    replace: "const back = Math.abs(nowMs - this.#atMs) * this.#rule.refill;",
    killedBy: "buckets",
  },
  {
    name: "limits-told-too-early",
    title: "[LIM-1] says a time at which there is not enough yet",
    file: BUCKET,
    find: "Math.ceil(over / refill)",
    replace: "Math.max(1, Math.floor(over / refill))",
    killedBy: "buckets",
  },
  {
    name: "limits-newcomer-full",
    title: "[LIM-2] gives who has shared the bucket of newcomers a full one besides",
    file: TABLE,
    find: "this.#shared.copy(nowMs)",
    replace: "new TokenBucket(this.#rule, nowMs)",
    killedBy: "buckets",
  },
  {
    name: "limits-spent-forgotten",
    title: "[LIM-2] forgets buckets that are not full",
    file: TABLE,
    find: "if (bucket.isFull(nowMs)) this.#buckets.delete(key);",
    replace: "if (this.#buckets.size >= this.#keysMax) this.#buckets.delete(key);",
    killedBy: "buckets",
  },
  {
    name: "limits-table-unbounded",
    title: "[LIM-2] keeps a bucket for whoever comes",
    file: TABLE,
    find: "return this.#buckets.size < this.#keysMax ? ",
    replace: "return this.#buckets.size >= 0 ? ",
    killedBy: "buckets",
  },
  {
    name: "limits-refusal-costs",
    title: "[LIM-3] takes from a bucket what it refuses",
    file: BUDGET,
    find: "else for (const { table, key, count } of shares) table.spend(key, count, nowMs);",
    replace: "for (const { table, key, count } of shares) table.spend(key, count, nowMs);",
    killedBy: "server/operations/operation-budget.test.ts",
  },
  {
    name: "limits-time-forgotten",
    title: "[LIM-3] keeps a refusal without its time, so that a repeat is answered otherwise",
    file: "server/store/records.ts",
    find: "code === ErrorCode.UNSPECIFIED ? conversationSeq : retryAfterMs",
    replace: "conversationSeq",
    killedBy: "server/store/lmdb.test.ts",
  },
  {
    name: "limits-repeat-judged-anew",
    title: "[LIM-3] answers a repeat by what there is left now",
    file: "server/store/device-record.ts",
    find: "    if (kept !== undefined && kept.digest !== submit.digest) {",
    replace:
      '    if (kept?.retryAfterMs && submit.plan.kind === "refuse") ' +
      "Object.assign(kept, submit.plan, { retryAfterMs: 0 });\n" +
      "    if (kept !== undefined && kept.digest !== submit.digest) {",
    killedBy: "server/sessions/budget.test.ts",
  },
  {
    name: "limits-thief-keeps-device",
    title: "[LIM-6] lets a device use up what its user needs to end it",
    file: BUDGET,
    find: "if (ENDINGS.has(kind)) {",
    replace: "if (ENDINGS.has(kind) && weight < 0) {",
    killedBy: "server/sessions/budget.test.ts",
  },
  {
    name: "limits-calls-unlimited",
    title: "[LIM-8] answers calls however many there were",
    file: "server/services/service.ts",
    find: "if (waitMs > 0) throw new CallRefused(ErrorCode.TOO_OFTEN, { retryAfterMs: waitMs });",
    replace: "",
    killedBy: "server/limits.test.ts",
  },
  {
    name: "limits-guess-on",
    title: "[LIM-10] looks at what an address shows, however much of it was wrong",
    file: "server/sessions/driver.ts",
    find: "if ((attempts?.attemptWaitMs(this.#link.peer) ?? 0) > 0) {",
    replace: "if ((attempts?.attemptWaitMs(this.#link.peer) ?? 0) > 1e9) {",
    killedBy: "server/sessions/budget.test.ts",
  },
];
