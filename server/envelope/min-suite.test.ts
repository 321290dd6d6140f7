import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Client, connect } from "../../client/client.ts";
import type { Journal } from "../../client/journal.ts";
import { type KnownService, promiseOf } from "../../client/known-service.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf, nodeEnvelope } from "../../client/node.ts";
import type { ServiceEnvelope } from "../../client/service-envelope.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import {
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
} from "../../protocol/envelope/suites.ts";
import { configFrom } from "../config.ts";
import type { Log } from "../observe.ts";
import { createServer, type PosthornServer } from "../server.ts";
import { openIdentities } from "./identity-file.ts";

const BACKOFF = { baseMs: 10, capMs: 20 };
const ALL = [SUITE_RSA_AES128, SUITE_XWING_AES256, SUITE_XWING_CHACHA20];
const SCHEMES = ["tcp", "ws", "http"];

/** Why links ended before they had a session, as the services' logs name it. */
const refused: string[] = [];
const ignore = () => {};
const LOG: Log = {
  debug: ignore,
  info: (at, data) => {
    if (at === "link.closed") refused.push((data as { code: string }).code);
  },
  warn: ignore,
  error: ignore,
};

/** One identity, and three services with it: what was promised first, kept, and taken back. */
let folder = "";
let strong: PosthornServer;
let weak: PosthornServer;
const start = (data: string, envelopeMinSuite: number) => {
  const file = { port: 0, data, envelope: "required", envelopeMinSuite };
  return createServer(configFrom({ file: { ...file, longPoll: { coalesceMs: 0 } } }), LOG);
};
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-min-suite-"));
  openIdentities(join(folder, "strong"));
  await cp(join(folder, "strong"), join(folder, "weak"), { recursive: true });
  strong = await start(join(folder, "strong"), SUITE_XWING_AES256);
  weak = await start(join(folder, "weak"), SUITE_RSA_AES128);
});
after(async () => {
  await strong.close();
  await weak.close();
  await rm(folder, { recursive: true, force: true });
});

/** Logs come when the transport has ended, and that may be after the device knows. */
async function untilRefused(code: string): Promise<void> {
  const endMs = performance.now() + 8_000;
  while (refused.length === 0 && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  assert.equal(refused[0], code);
}

class Memory {
  known: KnownService | undefined;
  saveCount = 0;

  get promise(): number | undefined {
    return this.known && promiseOf(this.known);
  }

  load(): KnownService | undefined {
    return this.known;
  }

  save(known: KnownService): void {
    this.saveCount += 1;
    this.known = known;
  }
}

interface Life {
  readonly memory?: Memory;
  readonly suites?: readonly number[];
}

function lifeOf({ memory, suites = ALL }: Life = {}) {
  const chosen: number[] = [];
  const known = memory === undefined ? {} : { memory };
  const trust = [openIdentities(join(folder, "strong")).present.serverId];
  const envelope = nodeEnvelope({ trust, suites, ...known });
  const welcomed = envelope.welcomed.bind(envelope);
  envelope.welcomed = (link) => {
    chosen.push(link.suite.number);
    welcomed(link);
  };
  return { envelope, chosen };
}

async function attached(
  node: PosthornServer,
  scheme: string,
  envelope: ServiceEnvelope,
  journal: Journal = memoryJournal(),
): Promise<Client> {
  const dialers = dialersOf(`${scheme}://127.0.0.1:${node.address.port}`, envelope);
  return await connect({ dialers, userId: "u", deviceId: "d", journal, backoff: BACKOFF });
}

/** One message; says which suites links had. @throws SessionError */
async function talk(node: PosthornServer, scheme: string, life: Life = {}): Promise<number[]> {
  const { envelope, chosen } = lifeOf(life);
  const client = await attached(node, scheme, envelope);
  try {
    await client.send("u", "x");
  } finally {
    await client.close().catch(ignore);
  }
  return chosen;
}

for (const scheme of SCHEMES) {
  describe(`the weakest suite of a service, over ${scheme}`, () => {
    test("[ENV-13] [ENV-58] a weaker offer is passed over, though it comes first", async () => {
      assert.deepEqual(await talk(weak, scheme), [SUITE_RSA_AES128]);
      assert.deepEqual(await talk(strong, scheme), [SUITE_XWING_AES256]);
      const other = [SUITE_RSA_AES128, SUITE_XWING_CHACHA20];
      assert.deepEqual(await talk(strong, scheme, { suites: other }), [SUITE_XWING_CHACHA20]);
    });

    test("[ENV-13] [ENV-58] a device with nothing but weaker ones is refused", async () => {
      refused.length = 0;
      const { envelope, chosen } = lifeOf({ suites: [SUITE_RSA_AES128] });
      const client = await attached(strong, scheme, envelope);
      const status = new Promise<ErrorCode | undefined>((resolve) => {
        client.onStatus(({ state, error }) => state === "waiting" && resolve(error));
      });
      assert.equal(await status, ErrorCode.ENVELOPE_REFUSED);
      await client.close();
      await untilRefused("ENVELOPE_SUITE_REFUSED");
      assert.deepEqual(chosen, []);
    });

    test("[ENV-34] what was promised is remembered, and taking it back is a loud stop", async () => {
      const memory = new Memory();
      await talk(weak, scheme, { memory });
      assert.equal(memory.promise, SUITE_RSA_AES128);
      await talk(strong, scheme, { memory });
      assert.equal(memory.promise, SUITE_XWING_AES256);
      refused.length = 0;
      const { saveCount } = memory;
      const downgraded = { code: ErrorCode.ENVELOPE_DOWNGRADED };
      // The same identity with a lesser promise: the device is what finds out.
      await assert.rejects(talk(weak, scheme, { memory }), downgraded);
      await untilRefused("ENVELOPE_REFUSED");
      assert.equal(memory.promise, SUITE_XWING_AES256, "and it is remembered as before");
      assert.equal(memory.saveCount, saveCount);
      assert.deepEqual(await talk(strong, scheme, { memory }), [SUITE_XWING_AES256]);
      assert.deepEqual(await talk(weak, scheme), [SUITE_RSA_AES128], "others were not told");
    });

    test("[ENV-34] [ENV-77] with nothing left to offer a device stops before it dials", async () => {
      refused.length = 0;
      const memory = new Memory();
      const { serverId } = openIdentities(join(folder, "strong")).present;
      for (const minSuite of [SUITE_XWING_CHACHA20, 0x0101]) {
        const known = { serverId, origin: "given", formers: [], isMet: true, minSuite } as const;
        memory.known = { identities: [known] };
        const { envelope } = lifeOf({ memory, suites: [SUITE_RSA_AES128] });
        const client = await attached(strong, scheme, envelope);
        const status = new Promise<ErrorCode | undefined>((resolve) => {
          client.onStatus(({ state, error }) => {
            if (state === "waiting" || state === "closed") resolve(error);
          });
        });
        assert.equal(await status, ErrorCode.ENVELOPE_SUITE_REFUSED);
        await client.close().catch(ignore);
      }
      assert.deepEqual(refused, [], "no link was seen");
    });
  });
}

test("[ENV-45] [ENV-58] a ticket of a suite that has become too weak is no way in", async () => {
  const data = join(folder, "raised");
  await cp(join(folder, "weak"), data, { recursive: true });
  let node = await start(data, SUITE_RSA_AES128);
  const { envelope, chosen } = lifeOf();
  const resumed: boolean[] = [];
  // Tickets are a device's: the same journal is the same device. [ENV-76]
  const journal: Journal = { ...memoryJournal(), close: async () => {} };
  const welcomed = envelope.welcomed.bind(envelope);
  envelope.welcomed = (link) => {
    resumed.push(link.isResumed);
    welcomed(link);
  };
  const once = async () => {
    const client = await attached(node, "tcp", envelope, journal);
    await client.send("u", "x");
    await client.close();
    return { suites: chosen.splice(0), resumed: resumed.splice(0) };
  };
  try {
    assert.deepEqual(await once(), { suites: [SUITE_RSA_AES128], resumed: [false] });
    assert.deepEqual(await once(), { suites: [SUITE_RSA_AES128], resumed: [true] });
    await node.close();
    node = await start(data, SUITE_XWING_AES256);
    assert.deepEqual(await once(), { suites: [SUITE_XWING_AES256], resumed: [false] });
  } finally {
    await node.close();
  }
});

test("[ENV-34] a device that could never offer anything is the application's mistake", () => {
  assert.throws(() => nodeEnvelope({ trust: "none", suites: [0x0101] }), /no suite to offer/);
});
