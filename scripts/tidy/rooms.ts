/** What the files of one room may import, besides each other. */
export interface Room {
  /** Folders and files, relative to the root. */
  readonly reads: readonly string[];
  /**
   * "node": `node:` modules and dependencies; "tools": development dependencies too; otherwise just
   * these.
   */
  readonly packages: "node" | "tools" | readonly string[];
}

const PROTOBUF = "@bufbuild/protobuf";
const NODE_CLIENT: Room = { reads: ["gen", "protocol", "platform", "client"], packages: "node" };
const PRODUCT = ["gen", "protocol", "platform", "client", "server"];

/**
 * Who may import whom. A room is a folder, or one file with rights of its own; the longest name
 * that fits decides. Arrows go one way: no two rooms may import each other, so that each can be
 * read and tested without those above it.
 */
export const ROOMS: Readonly<Record<string, Room>> = {
  gen: { reads: [], packages: [PROTOBUF] },
  protocol: { reads: ["gen"], packages: [PROTOBUF, "@noble"] },
  platform: { reads: ["gen", "protocol"], packages: "node" },

  client: { reads: ["gen", "protocol"], packages: [PROTOBUF, "@connectrpc/connect"] },
  "client/node.ts": NODE_CLIENT,
  "client/file-journal.ts": NODE_CLIENT,
  "client/file-login.ts": NODE_CLIENT,
  "client/secure/secret-files.ts": NODE_CLIENT,
  "client/links/tcp.ts": NODE_CLIENT,

  server: {
    reads: [
      "gen",
      "protocol",
      "platform",
      "server/auth",
      "server/backend",
      "server/links",
      "server/operations",
      "server/rpc",
      "server/services",
      "server/sessions",
      "server/signals",
      "server/store/store.ts",
      "server/store/plans.ts",
    ],
    packages: "node",
  },
  "server/server.ts": { reads: ["gen", "protocol", "platform", "server"], packages: "node" },
  "server/links": { reads: ["gen", "protocol", "platform"], packages: "node" },
  "server/operations": {
    reads: [
      "gen",
      "protocol",
      "server/store/store.ts",
      "server/store/plans.ts",
      "server/store/documents.ts",
    ],
    packages: [PROTOBUF],
  },
  "server/sessions": {
    reads: [
      "gen",
      "protocol",
      "server/auth/authenticate.ts",
      "server/operations",
      "server/services",
      "server/signals",
      "server/store/store.ts",
      "server/store/plans.ts",
    ],
    packages: "node",
  },
  "server/backend": {
    reads: [
      "gen",
      "protocol",
      "server/auth",
      "server/config-error.ts",
      "server/operations",
      "server/services",
      "server/sessions",
      "server/signals",
      "server/store/store.ts",
    ],
    packages: "node",
  },
  "server/rpc": {
    reads: ["gen", "protocol", "server/auth/authenticate.ts", "server/links", "server/services"],
    packages: "node",
  },
  "server/signals": {
    reads: [
      "gen",
      "protocol",
      "server/operations",
      "server/store/store.ts",
      "server/store/plans.ts",
      "server/store/documents.ts",
    ],
    packages: [PROTOBUF],
  },
  "server/services": {
    reads: [
      "gen",
      "protocol",
      "server/operations",
      "server/store/store.ts",
      "server/store/plans.ts",
      "server/store/documents.ts",
    ],
    packages: "node",
  },
  "server/auth": { reads: ["gen", "protocol", "server/config-error.ts"], packages: "node" },
  "server/store": { reads: ["gen", "protocol", "platform"], packages: "node" },

  cli: { reads: PRODUCT, packages: "node" },
  // The generator prints gen/ and therefore cannot need it.
  codegen: { reads: ["protocol/violation.ts"], packages: "node" },
  demo: { reads: [...PRODUCT, "cli"], packages: "tools" },
  fuzz: { reads: PRODUCT, packages: "tools" },
  bench: { reads: [...PRODUCT, "cli"], packages: "tools" },
  scripts: { reads: [...PRODUCT, "cli", "codegen", "fuzz"], packages: "tools" },
};

/** The room of a file; undefined when it stands in none. */
export function roomOf(path: string): string | undefined {
  return Object.keys(ROOMS)
    .filter((name) => isWithin(path, name))
    .sort((a, b) => b.length - a.length)[0];
}

/** Whether a path is a folder or file, or lies in it. */
export function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}

/** Who may name a store by its kind; everybody else is given the interface. */
export const STORE_NAMERS = ["server/store", "server/server.ts", "fuzz", "bench"];

/** What a store is to everybody else: its promises, what it is asked to do, and its documents. */
export const STORE_INTERFACE = [
  "server/store/store.ts",
  "server/store/plans.ts",
  "server/store/documents.ts",
];

/** Who may say that something is durable: stores, and the world of the simulator, which is one. */
export const DURABLE_MAKERS = ["server/store", "fuzz/sim"];

/** What package.json publishes: the only files that pass on what others export. */
export const ENTRIES = [
  "client/index.ts",
  "client/node.ts",
  "protocol/index.ts",
  "server/index.ts",
];

/** Time and chance are arguments here. */
export const PURE_PLACES = ["protocol", "server/operations", "fuzz/sim"];

/** In these rooms timers are allowed in TIMER_PLACES only. */
export const TIMED_ROOMS = ["client", "platform", "server"];
export const TIMER_PLACES = [
  "client/client.ts",
  "client/links",
  "client/sleep.ts",
  "platform",
  "server/links",
  "server/rpc",
  "server/server.ts",
  "server/sessions/alarms.ts",
];
