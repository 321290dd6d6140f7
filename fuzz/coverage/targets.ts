import type { Fuzz } from "./search.ts";

/** A byte-level target, and what the search knows of it. */
export interface Target {
  /** Its file in `fuzz/targets/`, without the ending. */
  readonly name: string;
  /** The claim, with the ids of its requirements and pitfalls. */
  readonly title: string;
  /** Its module: late, as what it reads must be compiled while blocks are counted. */
  load(): Promise<{ readonly fuzz: Fuzz }>;
  /** Byte strings that mean something to it. */
  words(): Promise<readonly Uint8Array[]>;
  readonly bytesMax: number;
  /** Files and folders whose blocks lead the search: only what reads the bytes. */
  readonly sources: readonly string[];
  /** Random cases in `npm test`. */
  readonly smokeRuns: number;
}

const PROTOCOL = ["protocol/", "gen/posthorn/v1/hot_codecs.ts"];
const ENVELOPE = ["protocol/envelope/", "protocol/plain.ts"];

export const TARGETS: readonly Target[] = [
  {
    name: "delimit",
    title: "[FRM-1] [FRM-2] [FRM-3] [LNK-1] bytes in any cut give what their lengths say",
    load: () => import("../targets/delimit.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 512,
    sources: PROTOCOL,
    smokeRuns: 300,
  },
  {
    name: "frame",
    title:
      "[FRM-5] [FRM-6] [FRM-7] [FRM-8] [FRM-9] a frame is what schema and protobuf-es say (P31)",
    load: () => import("../targets/frame.ts"),
    words: async () => (await import("./wire-words.ts")).frameWords(),
    bytesMax: 512,
    sources: PROTOCOL,
    smokeRuns: 400,
  },
  {
    name: "hot-codecs",
    title: "[FRM-5] [FRM-9] no bytes are read or written otherwise than protobuf-es does (P31)",
    load: () => import("../targets/hot-codecs.ts"),
    words: async () => (await import("./wire-words.ts")).frameWords(),
    bytesMax: 256,
    sources: PROTOCOL,
    smokeRuns: 400,
  },
  {
    name: "sniff",
    title: "[LNK-2] [LNK-3] the first bytes alone say what a connection is",
    load: () => import("../targets/sniff.ts"),
    words: async () => (await import("./wire-words.ts")).openingWords(),
    bytesMax: 16,
    sources: PROTOCOL,
    smokeRuns: 200,
  },
  {
    name: "byte-pipe",
    title:
      "[LNK-7] [LNK-8] [LNK-9] [LNK-12] a pipe is a byte array, whatever is repeated (P3, P34)",
    load: () => import("../targets/byte-pipe.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 512,
    sources: PROTOCOL,
    smokeRuns: 300,
  },
  {
    name: "whole-frames",
    title: "[LNK-5] messages are cut between frames, and one that is not is found out",
    load: () => import("../targets/whole-frames.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 128,
    sources: PROTOCOL,
    smokeRuns: 100,
  },
  {
    name: "server-session",
    title:
      "[FRM-6] [LNK-6] [LNK-14] [SEQ-8] [SEQ-13] [SEQ-16] whatever bytes a device sends in any " +
      "phase, its session goes on within its windows or ends with one typed Close (P8)",
    load: () => import("../targets/server-session.ts"),
    words: async () => {
      const { HONEST } = await import("../targets/server-session.ts");
      const { frameWords, wordsOf } = await import("./wire-words.ts");
      return [...frameWords(), ...wordsOf(HONEST)];
    },
    bytesMax: 512,
    sources: PROTOCOL,
    smokeRuns: 300,
  },
  {
    name: "client-session",
    title:
      "[FRM-6] [LNK-14] [SEQ-4] [SEQ-10] [SEQ-13] [SEQ-16] whatever bytes a service sends in any " +
      "phase, the device goes on within its windows or ends with one typed Close (P16)",
    load: () => import("../targets/client-session.ts"),
    words: async () => {
      const { HONEST } = await import("../targets/client-session.ts");
      const { frameWords, wordsOf } = await import("./wire-words.ts");
      return [...frameWords(), ...wordsOf(HONEST)];
    },
    bytesMax: 512,
    sources: PROTOCOL,
    smokeRuns: 300,
  },
  {
    name: "long-poll",
    title:
      "[LNK-7] [LNK-8] [LNK-9] [LNK-10] [LNK-11] [LNK-12] every body of a request is answered as " +
      "the rules say, once, and nothing is lost or doubled (P3, P8, P34)",
    load: () => import("../targets/long-poll.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 512,
    sources: [...PROTOCOL, "server/links/"],
    smokeRuns: 200,
  },
  {
    name: "envelope-client",
    title:
      "[ENV-11] [ENV-13] [ENV-16] [ENV-17] [ENV-20] [ENV-29] [ENV-34] whatever bytes a service " +
      "says, a device's half of a link ends once, typed, or has what it asked for",
    load: () => import("../targets/envelope-client.ts"),
    words: async () => (await import("../targets/envelope-client.ts")).HONEST,
    bytesMax: 2048,
    sources: ENVELOPE,
    smokeRuns: 200,
  },
  {
    name: "envelope-server",
    title:
      "[ENV-11] [ENV-12] [ENV-13] [ENV-18] [ENV-20] [ENV-21] [ENV-44] [ENV-58] whatever bytes a " +
      "device says, a service's half of a link ends once, typed, or has what it accepts",
    load: () => import("../targets/envelope-server.ts"),
    words: async () => (await import("../targets/envelope-server.ts")).HONEST,
    bytesMax: 2048,
    sources: ENVELOPE,
    smokeRuns: 200,
  },
  {
    name: "envelope-records",
    title:
      "[ENV-3] [ENV-4] [ENV-5] [ENV-6] [ENV-8] [ENV-38] [ENV-39] [ENV-42] [ENV-49] [ENV-50] " +
      "[ENV-51] with the keys known, records of either side are what a plain reading says",
    load: () => import("../targets/envelope-records.ts"),
    words: async () => (await import("../targets/envelope-records.ts")).HONEST,
    bytesMax: 512,
    sources: ENVELOPE,
    smokeRuns: 200,
  },
  {
    name: "envelope-decoders",
    title:
      "[ENV-12] [ENV-16] [ENV-18] [ENV-27] [ENV-28] [ENV-33] [ENV-35] [ENV-57] hellos, identity " +
      "files, stored tickets, pins and login proofs are read whole, or refused as they should be",
    load: () => import("../targets/envelope-decoders.ts"),
    words: async () => {
      const { HONEST } = await import("../targets/envelope-decoders.ts");
      return [...HONEST, ...(await import("./text-words.ts")).identityWords()];
    },
    bytesMax: 2048,
    sources: [
      ...ENVELOPE,
      "server/envelope/",
      "server/sessions/logins.ts",
      "server/store/records.ts",
    ],
    smokeRuns: 200,
  },
  {
    name: "token",
    title: "[AUT-1] [AUT-2] [AUT-3] [AUT-5] only a signed token that is in force lets in (P25)",
    load: () => import("../targets/token.ts"),
    words: async () => (await import("./text-words.ts")).tokenWords(),
    bytesMax: 512,
    sources: ["server/auth/"],
    smokeRuns: 200,
  },
  {
    name: "config",
    title: "[OPS-1] [AUT-4] a configuration file is taken whole or refused by its key (P27)",
    load: () => import("../targets/config.ts"),
    words: async () => (await import("./text-words.ts")).configWords(),
    bytesMax: 1024,
    sources: ["server/config", "server/nearest.ts", "protocol/"],
    smokeRuns: 200,
  },
  {
    name: "secure-packet",
    title: "[SEC-14] [SEC-44] [SEC-46] bytes are a packet in its one form, or none",
    load: () => import("../targets/secure-packet.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 512,
    sources: ["protocol/secure/"],
    smokeRuns: 300,
  },
  {
    name: "secure-chats",
    title:
      "[SEC-26] [SEC-33] [SEC-52] whatever bytes come to a device with secure chats, in either " +
      "role, nothing throws, changes or is answered",
    load: () => import("../targets/secure-chats.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 512,
    sources: ["protocol/secure/"],
    smokeRuns: 15,
  },
  {
    name: "secure-session",
    title:
      "[SEC-51] [SEC-52] [SEC-70] whatever bytes come to a session, in either role, or to where " +
      "it is restored, nothing throws and nothing changes",
    load: () => import("../targets/secure-session.ts"),
    words: async () => (await import("./wire-words.ts")).numberWords(),
    bytesMax: 512,
    sources: ["protocol/secure/"],
    smokeRuns: 100,
  },
];
