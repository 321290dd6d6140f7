/** A planted bug: replaced in memory while Node loads the file, never in what is shipped. */
export interface Mutant {
  readonly name: string;
  /** What it does wrong, with the requirement it breaks. */
  readonly title: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The property that must kill it. */
  readonly killedBy: string;
}

/** No bug at all: the property is false, and machinery that does not notice is broken. */
export const CANARY: Pick<Mutant, "name" | "killedBy"> = { name: "canary", killedBy: "canary" };

export const MUTANTS: readonly Mutant[] = [
  {
    name: "resume-off-by-one",
    title: "[RES-3] resumes one event too late (P9)",
    file: "protocol/session/resume.ts",
    find: "return { cursor: claim.seq, outcome: replayFrom(claim.seq, head) };",
    replace:
      "const seq = Math.min(claim.seq + 1, head);\n  return { cursor: seq, " +
      "outcome: replayFrom(seq, head) };",
    killedBy: "session",
  },
  {
    name: "lost-untold",
    title: "[RES-4] does not say what retention removed",
    file: "protocol/session/resume.ts",
    find: "if (claim.seq + 1 < floor) {",
    replace: "if (claim.seq + 1 < floor && head < 0) {",
    killedBy: "session",
  },
  {
    name: "floor-off-by-one",
    title: "[RES-4] says LOST where nothing is missing",
    file: "protocol/session/resume.ts",
    find: "if (claim.seq + 1 < floor) {",
    replace: "if (claim.seq < floor) {",
    killedBy: "session",
  },
  {
    name: "epoch-unchecked",
    title: "[RES-5] resumes a cursor of another epoch (P14)",
    file: "protocol/session/resume.ts",
    find: "if (claim.epoch !== epoch) {",
    replace: "if (claim.epoch !== epoch && head < 0) {",
    killedBy: "session",
  },
  {
    name: "cursor-wrong-epoch",
    title: "[RES-6] pairs the new number with the old epoch (P14)",
    file: "protocol/session/welcome.ts",
    find: "cursor: { epoch: timeline.epoch, seq: resume.cursor },",
    replace: "cursor: { epoch: claim.cursor.epoch || timeline.epoch, seq: resume.cursor },",
    killedBy: "session",
  },
  {
    name: "cursor-goes-back",
    title: "[RES-15] takes over a cursor that is behind what was handled (P20)",
    file: "protocol/session/delivery-inbox.ts",
    find: "cursor.seq <= this.#cursor.seq) return false;",
    replace: "cursor.seq === this.#cursor.seq) return false;",
    killedBy: "session",
  },
  {
    name: "ack-before-commit",
    title: "[SEQ-3] acknowledges while the commit is under way (P20)",
    file: "server/sessions/driver.ts",
    find: "const outcome = await this.#planAndCommit(submits);",
    replace:
      "const underWay = this.#planAndCommit(submits);\n    const through = " +
      "submits.at(-1).seq;\n    const results = submits.map(({ operation }) => " +
      "({ code: 0, conversationSeq: 1, committedMs: 1, digest: " +
      "crc32(operation) }));\n    this.#session.committed({ through, results }, " +
      "alarms.nowMs());\n    this.#feed(() => {});\n    const outcome = await " +
      "underWay;",
    killedBy: "session",
  },
  {
    name: "ack-what-was-received",
    title: "[SEQ-3] acknowledges submits that still wait for the store",
    file: "protocol/session/server.ts",
    find: 'this.#writer.push("submitAck", receipt);',
    replace:
      'this.#writer.push("submitAck", { ...receipt, through: ' +
      "this.#submits.receivedThrough });",
    killedBy: "session",
  },
  {
    name: "dedupe-by-timeout",
    title: "[SEQ-15] forgets results after a second (P21)",
    file: "server/store/group.ts",
    find: "const verdict = judgeBatch(record, batch);",
    replace:
      "const age = this.committedMs - (record?.results.at(-1)?.committedMs ?? " +
      "this.committedMs);\n    const young = age < 1000 || record === " +
      "undefined;\n    const forgetful = young ? record : { ...record, through: " +
      "record.resultsThrough, results: [] };\n    const verdict = " +
      "judgeBatch(forgetful, batch);",
    killedBy: "session",
  },
  {
    name: "dedupe-missing",
    title: "[SEQ-4] does a repeated submit again (P19, P20)",
    file: "server/store/device-record.ts",
    find: 'if (verdict === "next") {\n      through',
    replace: 'if (verdict === "next" || verdict === "duplicate") {\n      through',
    killedBy: "hostile-device",
  },
  {
    name: "result-cache-too-small",
    title: "[SEQ-8] keeps two results of a larger window",
    file: "server/store/device-record.ts",
    find: "results: [...record.results, ...outcomes],",
    replace: "results: [...record.results, ...outcomes].slice(-2),",
    killedBy: "session",
  },
  {
    name: "results-dropped-early",
    title: "[SEQ-8] drops results that the device has not acknowledged",
    file: "server/store/device-record.ts",
    find: "dropResults(record, Math.min(position.resultsThrough, record.through))",
    replace: "dropResults(record, record.through)",
    killedBy: "session",
  },
  {
    name: "results-dropped-one-more",
    title: "[SEQ-8] drops one result too many",
    file: "server/store/device-record.ts",
    find: "const results = record.results.slice(resultsThrough - " + "record.resultsThrough);",
    replace:
      "const results = record.results.slice(resultsThrough - " + "record.resultsThrough + 1);",
    killedBy: "session",
  },
  {
    name: "results-shifted",
    title: "[SEQ-4] answers a repeat with its neighbour's result",
    file: "server/store/device-record.ts",
    find: "record.results.slice(Math.max(0, firstSeq - record.resultsThrough - 1))",
    replace: "record.results.slice(Math.max(0, firstSeq - record.resultsThrough))",
    killedBy: "session",
  },
  {
    name: "results-not-in-welcome",
    title: "[SEQ-4] Welcome leaves out the kept results",
    file: "server/store/device-record.ts",
    find: "const held = { epoch, through, resultsThrough, results };",
    replace: "const held = { epoch, through, resultsThrough: through, results: [] };",
    killedBy: "session",
  },
  {
    name: "fence-missing-commit",
    title: "[SES-6] lets an old generation commit (P11)",
    file: "server/store/device-record.ts",
    find: "record.generation !== batch.generation ||",
    replace: "record.generation < 0 ||",
    killedBy: "session",
  },
  {
    name: "fence-missing-advance",
    title: "[SES-6] lets an old generation acknowledge (P11)",
    file: "server/store/device-record.ts",
    find: "record.generation !== position.generation) return undefined;",
    replace: "record.generation < 0) return undefined;",
    killedBy: "session",
  },
  {
    name: "late-ready-attaches",
    title: "[SES-18] a late Ready supersedes the living session (P11)",
    file: "server/store/device-record.ts",
    find: "if (record === undefined || generation !== record.generation + 1) {",
    replace: "if (record === undefined) {",
    killedBy: "session",
  },
  {
    name: "welcome-outdated",
    title: "[SES-18] attaches although an older attachment committed since Welcome",
    file: "server/store/device-record.ts",
    find: 'const kind = record.through === outbox.through ? "attached" : "overtaken";',
    replace: 'const kind = "attached";',
    killedBy: "session",
  },
  {
    name: "epoch-granted-twice",
    title: "[RES-9] forgets which outbox epochs it granted",
    file: "server/store/device-record.ts",
    find: "const isGranted = outbox.epoch >= from && outbox.epoch <= through;",
    replace: "const isGranted = false;",
    killedBy: "session",
  },
  {
    name: "foreign-epoch-accepted",
    title: "[RES-9] takes an outbox epoch of another service for its own",
    file: "server/store/device-record.ts",
    find: "const isGranted = outbox.epoch >= from && outbox.epoch <= through;",
    replace: "const isGranted = outbox.epoch > 0 && outbox.epoch <= through;",
    killedBy: "session",
  },
  {
    name: "stale-epoch-accepted",
    title: "[RES-10] takes up an outbox epoch that is over",
    file: "server/store/device-record.ts",
    find: "if (outbox.epoch !== 0 && outbox.epoch < record.outboxEpoch) {",
    replace: "if (outbox.epoch < 0) {",
    killedBy: "session",
  },
  {
    name: "log-number-reused",
    title: "[SEQ-14] numbers a log from the last number again",
    file: "server/store/group.ts",
    find: "firstSeq: this.#view.logHead(log) + 1, events: []",
    replace: "firstSeq: this.#view.logHead(log), events: []",
    killedBy: "session",
  },
  {
    name: "commit-before-attach",
    title: "[SES-6] commits before the attachment is in force",
    file: "protocol/session/server.ts",
    find: "const submits = this.#inForce ? this.#submits.take() : undefined;",
    replace: "const submits = this.#submits.take();",
    killedBy: "session",
  },
  {
    name: "deliver-before-ready",
    title: "[SES-7] delivers before Ready",
    file: "protocol/session/server.ts",
    find: 'if (this.#phase !== "open" || this.#loading || this.#paused) return ' + "undefined;",
    replace:
      'if (this.#phase === "opening" || this.#phase === "preparing" || ' +
      "this.#loading || this.#paused) return undefined;",
    killedBy: "session",
  },
  {
    name: "wake-up-needed",
    title: "[SES-15] relies on every wake-up",
    file: "protocol/session/server.ts",
    find: "        this.#loadWanted = true;\n        return this.#audited",
    replace: "        return this.#audited",
    killedBy: "session",
  },
  {
    name: "credit-leak",
    title: "[SEQ-13] forgets to count one acknowledged delivery",
    file: "protocol/session/server.ts",
    find: "this.#deliveries.acknowledged(deliveredThrough - this.#deliveredThrough);",
    replace: "this.#deliveries.acknowledged(deliveredThrough - this.#deliveredThrough " + "- 1);",
    killedBy: "session",
  },
  {
    name: "delivery-window-ignored",
    title: "[SEQ-13] delivers more bytes than the window",
    file: "protocol/session/server.ts",
    find: "if (!this.#deliveries.admits(entry.event.length)) break;",
    replace: "",
    killedBy: "session",
  },
  {
    name: "retention-unnoticed",
    title: "[RES-4] goes on over what retention removed",
    file: "protocol/session/server.ts",
    find: "if (this.#sentThrough + 1 < page.bounds.floor) {",
    replace: "if (page.bounds.floor < 0) {",
    killedBy: "session",
  },
  {
    name: "results-never-acknowledged",
    title: "[SEQ-8] never moves the submit window",
    file: "protocol/session/submit-queue.ts",
    find: "if (resultsThrough > this.#resultsThrough) this.#resultsThrough = " + "resultsThrough;",
    replace: "",
    killedBy: "session",
  },
  {
    name: "batch-reversed",
    title: "[SEQ-14] commits a batch in reverse",
    file: "protocol/session/submit-queue.ts",
    find: "const batch = this.#waiting.slice(0, length);",
    replace: "const batch = this.#waiting.slice(0, length).reverse();",
    killedBy: "session",
  },
  {
    name: "ack-before-handled",
    title: "[SEQ-11] acknowledges what was only handed over",
    file: "protocol/session/delivery-inbox.ts",
    find: "return Math.min(this.#cursor.seq, this.#linkThrough);",
    replace: "return Math.min(this.#handedThrough, this.#linkThrough);",
    killedBy: "session",
  },
  {
    name: "ack-beyond-link",
    title: "[SEQ-9] acknowledges what this link never brought (P8)",
    file: "protocol/session/delivery-inbox.ts",
    find: "return Math.min(this.#cursor.seq, this.#linkThrough);",
    replace: "return this.#cursor.seq;",
    killedBy: "session",
  },
  {
    name: "duplicate-handed-over",
    title: "[SEQ-2] hands over what an earlier link brought (P20)",
    file: "protocol/session/delivery-inbox.ts",
    find: 'if (classify(delivery.seq, this.#handedThrough) !== "next") return ' + "undefined;",
    replace: 'if (classify(delivery.seq, this.#handedThrough) === "gap") return undefined;',
    killedBy: "session",
  },
  {
    name: "sent-before-journal",
    title: "[SEQ-7] sends a submit that the journal does not hold",
    file: "protocol/session/outbox.ts",
    find: "if (entry === undefined || !entry.durable) return false;",
    replace: "if (entry === undefined) return false;",
    killedBy: "session",
  },
  {
    name: "append-confirmed-by-count",
    title: "[SEQ-7] takes a settled submit's journal entry for its neighbour's",
    file: "protocol/session/outbox.ts",
    find: "const entry = this.#appending.shift();",
    replace: "const entry = this.#entries.find(({ durable }) => !durable);",
    killedBy: "session",
  },
  {
    name: "submit-window-ignored",
    title: "[SEQ-8] sends more submits than the window",
    file: "protocol/session/outbox.ts",
    find: "if (entry.seq > resultsThrough + window.count) return false;",
    replace: "",
    killedBy: "session",
  },
  {
    name: "submit-bytes-ignored",
    title: "[SEQ-8] sends more bytes than the window",
    file: "protocol/session/outbox.ts",
    find: "const fits = this.#sentBytes + entry.operation.length <= window.bytes;",
    replace: "const fits = true;",
    killedBy: "session",
  },
  {
    name: "resend-skips-first",
    title: "[SEQ-7] skips a submit when it sends again",
    file: "protocol/session/outbox.ts",
    find: "  relinked(): void {\n    this.#sentCount = 0;",
    replace: "  relinked(): void {\n    this.#sentCount = Math.min(1, this.#sentCount);",
    killedBy: "session",
  },
  {
    name: "renumbering-missing",
    title: "[RES-11] keeps old numbers under a new outbox epoch",
    file: "protocol/session/outbox.ts",
    find: "entry.seq = index + 1;",
    replace: "entry.seq += 0;",
    killedBy: "session",
  },
  {
    name: "rollback-unnoticed",
    title: "[RES-12] takes another life's result for its own",
    file: "protocol/session/outbox.ts",
    find: "const own = grant.results[resultIndex]?.digest === crc32(entry.operation);",
    replace: "const own = grant.results[resultIndex] !== undefined;",
    killedBy: "session",
  },
  {
    name: "rollback-reuses-numbers",
    title: "[RES-12] gives numbers out again that a forgotten life used",
    file: "protocol/session/outbox.ts",
    find: "this.#next = Math.max(this.#next, grant.through + 1);",
    replace: "",
    killedBy: "session",
  },
  {
    name: "results-claimed-early",
    title: "[SEQ-8] acknowledges Welcome's results before the journal has them",
    file: "protocol/session/client.ts",
    find: "    this.#resultsAcked = outbox.resultsThrough;",
    replace:
      "    this.#resultsAcked = outbox.resultsThrough;\n    " +
      "this.#resultsThrough = outbox.through;",
    killedBy: "session",
  },
  {
    name: "ready-before-journal",
    title: "[SES-7] is ready when an earlier link's Welcome is durable",
    file: "protocol/session/client.ts",
    find: 'if (this.#phase !== "installing" || this.#installsUnderWay > 0) return;',
    replace: 'if (this.#phase !== "installing") return;',
    killedBy: "session",
  },
  {
    name: "poll-forgotten-once-written",
    title: "[LNK-8] forgets bytes when a poll's answer was written (P1)",
    file: "server/links/longpoll-link.ts",
    find: "return { offset: this.#down.base, data, ended: last };",
    replace:
      "const offset = this.#down.base;\n    this.#down.acknowledged(offset + " +
      "data.length);\n    return { offset, data, ended: last };",
    killedBy: "session",
  },
  {
    name: "send-repeat-taken",
    title: "[LNK-7] takes a repeated Send twice (P2)",
    file: "protocol/byte-pipe.ts",
    find:
      "if (known < 0 || known >= data.length) return EMPTY;\n    this.#received " +
      "= offset + data.length;\n    return known === 0 ? data : " +
      "data.subarray(known);",
    replace:
      "this.#received = Math.max(this.#received, offset + data.length);\n    " + "return data;",
    killedBy: "session",
  },
  {
    name: "wall-clock-timers",
    title: "[SEQ-15] times links by the wall clock (P24)",
    file: "client/steady-clock.ts",
    find:
      "const passedMs = Math.max(wallMs - this.#lastWallMs, monotonicMs - " +
      "this.#lastMonotonicMs, 0);",
    replace: "const passedMs = wallMs - this.#lastWallMs;",
    killedBy: "session",
  },
  {
    name: "ack-ahead-accepted",
    title: "[SEQ-9] accepts an acknowledgement of what was never sent (P8)",
    file: "protocol/session/server.ts",
    find: "if (deliveredThrough > this.#sentThrough) {",
    replace: "if (deliveredThrough > Number.MAX_SAFE_INTEGER) {",
    killedBy: "hostile-device",
  },
  {
    name: "results-ahead-accepted",
    title: "[SEQ-9] accepts an acknowledgement of results never given (P8)",
    file: "protocol/session/submit-queue.ts",
    find: "if (resultsThrough > this.#ackedThrough) {",
    replace: "if (resultsThrough > Number.MAX_SAFE_INTEGER) {",
    killedBy: "hostile-device",
  },
  {
    name: "conflict-unnoticed",
    title: "[SEQ-5] takes other content under a used number for a repeat",
    file: "server/store/device-record.ts",
    find: "if (kept !== undefined && kept.digest !== submit.digest) {",
    replace: "if (kept === undefined && submit.digest < 0) {",
    killedBy: "hostile-device",
  },
  {
    name: "submit-credit-unchecked",
    title: "[SEQ-8] lets a device submit beyond the window",
    file: "protocol/session/submit-queue.ts",
    find: "const tooMany = submit.seq > this.#resultsThrough + this.#window.count;",
    replace: "const tooMany = false;",
    killedBy: "hostile-device",
  },
  {
    name: "gap-counted",
    title: "[SEQ-2] checks a gap by counting what came (P16)",
    file: "protocol/session/sequence.ts",
    find: 'return seq <= through ? "duplicate" : "gap";',
    replace: 'return seq <= through + 2 ? "duplicate" : "gap";',
    killedBy: "hostile-service",
  },
  {
    name: "delivery-gap-unnoticed",
    title: "[SEQ-2] goes on after a missing delivery (P16)",
    file: "protocol/session/delivery-inbox.ts",
    find: 'if (classify(delivery.seq, this.#linkThrough) === "gap") {',
    replace: "if (delivery.seq < 0) {",
    killedBy: "hostile-service",
  },
  {
    name: "positions-unaudited",
    title: "[SES-15] ignores the position in a Pong",
    file: "protocol/session/server.ts",
    find: "if (sentThrough <= this.#submits.receivedThrough) return;",
    replace: "return;",
    killedBy: "hostile-device",
  },
  {
    name: "delivery-credit-unchecked",
    title: "[SEQ-13] takes more deliveries than its window",
    file: "protocol/session/delivery-inbox.ts",
    find: "if (!this.#unhandled.admits(delivery.event.length)) {",
    replace: "if (delivery.seq < 0) {",
    killedBy: "hostile-service",
  },
  {
    name: "ack-of-unsent-accepted",
    title: "[SEQ-9] settles submits that it never sent (P8)",
    file: "protocol/session/client.ts",
    find: "if (through > this.#outbox.sentThrough) {",
    replace: "if (through > Number.MAX_SAFE_INTEGER) {",
    killedBy: "hostile-service",
  },
];
