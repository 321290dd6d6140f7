import type { Mutant } from "./mutant.ts";

/** Bugs in the session host, its store and its links. */
export const SERVER_MUTANTS: readonly Mutant[] = [
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
    name: "conflict-unnoticed",
    title: "[SEQ-5] takes other content under a used number for a repeat",
    file: "server/store/device-record.ts",
    find: "if (kept !== undefined && kept.digest !== submit.digest) {",
    replace: "if (kept === undefined && submit.digest < 0) {",
    killedBy: "hostile-device",
  },
  {
    name: "grant-not-written",
    title: "[RES-9] forgets granted epochs when the store is opened again",
    file: "server/store/records.ts",
    find: ".number(record.granted.through)",
    replace: ".number(record.outboxEpoch)",
    killedBy: "stores",
  },
  {
    name: "results-mixed-on-disk",
    title: "[SEQ-4] writes the parts of a result in another order than it reads them",
    file: "server/store/records.ts",
    find: "writer.number(result.code).number(result.conversationSeq)",
    replace: "writer.number(result.conversationSeq).number(result.code)",
    killedBy: "stores",
  },
  {
    name: "stale-plan-committed",
    title: "[SEQ-6] commits a plan whose users are gone",
    file: "server/store/group.ts",
    find:
      "if (!verdict.fresh.every((submit) => this.#holds(submit))) return { " + 'kind: "stale" };',
    replace: "",
    killedBy: "stores",
  },
  {
    name: "number-from-before-commit",
    title: "[SEQ-14] numbers a timeline before the order of the group is fixed (P17)",
    file: "server/store/group.ts",
    find:
      "if (last !== undefined && last.log === log && last.firstLogSeq + " +
      "last.count === logSeq) {",
    replace: "if (last !== undefined && last.log === log) {",
    killedBy: "stores",
  },
  {
    name: "last-words-unheard",
    title: "[LNK-6] lets the reset of a refused upgrade end the process",
    file: "server/links/last-words.ts",
    find: '  socket.on("error", () => socket.destroy());\n',
    replace: "",
    killedBy: "link-first-bytes",
  },
  {
    name: "host-unchecked",
    title: "[ERR-1] throws where nobody catches for a Host header that is none",
    file: "server/links/longpoll-library.ts",
    find: 'throw invalid("the request has no legal Host");',
    replace: 'setImmediate(() => Promise.reject(new Error("none")));\n    throw invalid("");',
    killedBy: "link-first-bytes",
  },
  {
    name: "websocket-status-out-of-range",
    title: "[LNK-14] keeps a link for ever that was closed with a number above 999",
    file: "server/links/websocket.ts",
    find: "return status > CLOSE_CODE_BASE && status <= CLOSE_CODE_MAX ? status : CLOSE_CODE_BASE;",
    replace: "return status;",
    killedBy: "link-websocket",
  },
  {
    name: "websocket-part-of-a-frame",
    title: "[LNK-5] takes a message that ends inside a frame",
    file: "server/links/websocket.ts",
    find: 'const isWhole = binary && isWholeMessage(data, this.#content ?? "frames");',
    replace: "const isWhole = binary;",
    killedBy: "link-websocket",
  },
  {
    name: "json-bytes-counted-as-letters",
    title: "[LNK-7] refuses a Send in JSON of as many bytes as were granted",
    file: "server/links/longpoll-http.ts",
    find: "Math.ceil(sendBytesMax / 3) * 4 + REQUEST_OVERHEAD_BYTES",
    replace: "sendBytesMax + REQUEST_OVERHEAD_BYTES",
    killedBy: "link-longpoll-forms",
  },
  {
    name: "undecodable-untyped",
    title: "[ERR-1] calls a body that cannot be decoded its own failure",
    file: "server/links/longpoll-library.ts",
    find: "if (details === undefined && !isItsOwn) throw invalid(message ?? code);",
    replace: "",
    killedBy: "link-longpoll-forms",
  },
  {
    name: "poll-not-superseded",
    title: "[LNK-10] forgets the older poll when a newer one comes",
    file: "server/links/longpoll-link.ts",
    find:
      'this.#poll?.settle(violation(ErrorCode.POLL_SUPERSEDED, "LNK-10", ' +
      '"a newer poll came"));',
    replace: "",
    killedBy: "bytes-long-poll",
  },
  {
    name: "link-frames-too-large",
    title: "[FRM-4] takes large frames before Ready",
    file: "protocol/session/server.ts",
    find: "new Delimiter(FRAME_BYTES_MAX_OPENING)",
    replace: "new Delimiter(16 * FRAME_BYTES_MAX_OPENING)",
    killedBy: "link-framing",
  },
  {
    name: "older-link-untold",
    title: "[SES-6] does not tell the older link that it is superseded",
    file: "server/sessions/hub.ts",
    find: "        other.superseded();\n",
    replace: "",
    killedBy: "link-session",
  },
];
