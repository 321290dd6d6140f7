import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { type Client, connect } from "../../client/client.ts";
import type { Dialer } from "../../client/dialer.ts";
import { sealed } from "../../client/links/sealed.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf, nodeEnvelope } from "../../client/node.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { pinText } from "../../protocol/envelope/identity.ts";
import {
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
} from "../../protocol/envelope/suites.ts";
import { configFrom } from "../config.ts";
import type { Log } from "../observe.ts";
import { createServer, type PosthornServer } from "../server.ts";
import { identityPath, openIdentities } from "./identity-file.ts";

const STRACE = spawnSync("strace", ["-e", "trace=none", "true"]).status === 0;
const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

let folder = "";
let server: PosthornServer;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-envelope-"));
  const file = { port: 0, data: folder, envelope: "required", longPoll: { coalesceMs: 0 } };
  server = await createServer(configFrom({ file }), SILENT);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const urlOf = (scheme: string) => `${scheme}://127.0.0.1:${server.address.port}`;
const pin = () => openIdentities(folder).present.serverId;
const BACKOFF = { baseMs: 10, capMs: 20 };

async function attached(dialers: readonly Dialer[], userId: string): Promise<Client> {
  const journal = memoryJournal();
  return await connect({ dialers, deviceId: "d", userId, journal, backoff: BACKOFF });
}

/** Sends a message to oneself and waits for it. */
async function roundTrip(client: Client, userId: string, text: string): Promise<void> {
  await client.send(userId, text);
  for await (const event of client.events()) {
    if (event.kind === "message" && event.content === text) return;
  }
}

describe("[ENV-16] [ENV-52] a sealed link", () => {
  for (const scheme of ["tcp", "ws", "http"]) {
    for (const suite of [SUITE_RSA_AES128, SUITE_XWING_AES256, SUITE_XWING_CHACHA20]) {
      test(`${scheme}, suite ${suite}: a message goes there and back`, async () => {
        const envelope = nodeEnvelope({ trust: [pin()], suites: [suite] });
        const userId = `${scheme}${suite}`;
        const client = await attached(dialersOf(urlOf(scheme), envelope), userId);
        await roundTrip(client, userId, "sealed");
        assert.equal(client.status.trust, "pinned");
        await client.close();
      });
    }
  }

  test("[ENV-42] [ENV-44] comes back with a ticket, on another transport", async () => {
    const envelope = nodeEnvelope({ trust: [pin()] });
    const [tcp] = dialersOf(urlOf("tcp"), envelope);
    const [ws] = dialersOf(urlOf("ws"), envelope);
    const resumed: boolean[] = [];
    const welcomed = envelope.welcomed.bind(envelope);
    envelope.welcomed = (link) => {
      resumed.push(link.isResumed);
      welcomed(link);
    };
    const client = await attached([tcp as Dialer], "ticket");
    await roundTrip(client, "ticket", "one");
    const moved = new Promise<void>((resolve) => {
      client.onStatus(({ state, link }) => {
        if (state === "open" && link === "websocket") resolve();
      });
    });
    await client.move([ws as Dialer]);
    await moved;
    await roundTrip(client, "ticket", "two");
    assert.equal(client.status.link, "websocket");
    assert.deepEqual(resumed, [false, true]);
    await client.close();
  });

  test("[ENV-76] accounts that share an envelope do not share tickets", async () => {
    const dialers = dialersOf(urlOf("tcp"), nodeEnvelope({ trust: [pin()] }));
    for (const userId of ["one", "two", "one"]) {
      const client = await attached(dialers, userId);
      await roundTrip(client, userId, "x");
      await client.close();
    }
  });

  test("[ENV-45] another device's ticket is no way in", async () => {
    const envelope = nodeEnvelope({ trust: [pin()] });
    const [dialer] = dialersOf(urlOf("tcp"), envelope) as [Dialer];
    // Says for nobody whose the links are.
    const dialers: Dialer[] = [{ ...dialer, dial: (signal) => dialer.dial(signal) }];
    const first = await attached(dialers, "owner");
    await roundTrip(first, "owner", "one");
    await first.close();
    const thief = await attached(dialers, "thief");
    await assert.rejects(thief.send("thief", "in"), { code: ErrorCode.LOGIN_PROOF_INVALID });
    await thief.close();
  });
});

describe("[ENV-53] a service that requires the envelope", () => {
  for (const scheme of ["tcp", "ws", "http"]) {
    test(`refuses a clear ${scheme} link`, async () => {
      const client = await attached(dialersOf(urlOf(scheme)), "clear");
      await assert.rejects(client.send("clear", "x"), { code: ErrorCode.ENVELOPE_REQUIRED });
      await client.close();
    });
  }
});

test("[ENV-29] another identity than the pinned one is a loud stop", async () => {
  const envelope = nodeEnvelope({ trust: [new Uint8Array(32)] });
  const client = await attached(dialersOf(urlOf("posthorn"), envelope), "pinned");
  await assert.rejects(client.send("pinned", "x"), { code: ErrorCode.SERVER_IDENTITY_CHANGED });
  await client.close();
});

test("[ENV-28] a pin in the URL seals all its transports", async () => {
  const url = `${urlOf("posthorn")}/#pin=${pinText(pin()).toUpperCase()}`;
  const client = await attached(dialersOf(url), "url");
  await roundTrip(client, "url", "x");
  assert.equal(client.status.trust, "pinned");
  await client.close();
  assert.throws(() => dialersOf(`${urlOf("posthorn")}/#pin=abc`), /a pin has 52 letters/);
});

test("[ENV-27] the identity is made once and kept from others", async () => {
  const before = openIdentities(folder).present.serverId;
  assert.deepEqual(openIdentities(folder).present.serverId, before);
  assert.equal((await stat(identityPath(folder))).mode & 0o777, 0o600);
  assert.match(await readFile(identityPath(folder), "utf8"), /posthorn identity 1/);
});

test("[ENV-27] an identity that was shown is durable, and the name of its file too", {
  skip: !STRACE && "strace is not installed, or may not trace here",
}, async () => {
  const above = await realpath(await mkdtemp(join(tmpdir(), "posthorn-durable-identity-")));
  const data = join(above, "data");
  const module = new URL("./identity-file.ts", import.meta.url).href;
  const open = "openIdentities(process.argv[1])";
  const program = `import(${JSON.stringify(module)}).then((file) => file.${open})`;
  const trace = join(above, "trace");
  const options = ["-f", "-y", "-o", trace, "-e", "trace=rename,renameat,renameat2,fsync"];
  await promisify(execFile)("strace", [...options, process.execPath, "-e", program, data]);
  const calls = (await readFile(trace, "utf8")).split("\n");
  const at = (what: RegExp) => calls.findIndex((call) => what.test(call));
  const renamed = at(/rename\w*\(.*identity\.json\.[-\da-f]+/);
  const flushed = (path: string) => calls.findLastIndex((call) => call.includes(`<${path}>`));
  assert.ok(
    renamed > at(/fsync\(.*identity\.json\.[-\da-f]+>/),
    "what it holds, before it has its name",
  );
  assert.ok(flushed(data) > renamed, "its name");
  assert.ok(flushed(above) >= 0, "its folder's name");
  await rm(above, { recursive: true, force: true });
});

test("[ENV-32] a first-seen service is remembered, and another one is a loud stop", async () => {
  let known: unknown;
  const memory = {
    load: () => known as never,
    save: (now: unknown) => {
      known = now;
    },
  };
  const talk = async () => {
    const envelope = nodeEnvelope({ trust: "first-seen", memory });
    const client = await attached(dialersOf(urlOf("tcp"), envelope), "seen");
    await client.send("seen", "x");
    const { trust } = client.status;
    await client.close();
    return trust;
  };
  assert.equal(await talk(), "first-seen");
  assert.equal(await talk(), "seen-before");
  const other = { serverId: new Uint8Array(32), origin: "seen", formers: [], isMet: true };
  known = { identities: [other] };
  await assert.rejects(talk(), { code: ErrorCode.SERVER_IDENTITY_CHANGED });
});

test("[ENV-32] a token does not leave on a link that is not pinned", async () => {
  const [dialer] = dialersOf(urlOf("tcp"));
  const elsewhere = { ...(dialer as Dialer), address: "tcp://192.0.2.1:1" };
  const envelope = nodeEnvelope({ trust: "none" });
  for (const dialers of [[elsewhere], [sealed(elsewhere, envelope)]]) {
    const journal = memoryJournal();
    const client = await connect({ dialers, deviceId: "d", token: "t", journal, backoff: BACKOFF });
    await assert.rejects(client.send("x", "x"), { code: ErrorCode.LINK_NOT_TRUSTED });
    await client.close();
  }
});

test("[ENV-32] nor on one within this machine that is sealed and not pinned", async () => {
  for (const trust of ["none", "first-seen"] as const) {
    const dialers = dialersOf(urlOf("tcp"), nodeEnvelope({ trust }));
    const journal = memoryJournal();
    const client = await connect({ dialers, deviceId: "d", token: "t", journal, backoff: BACKOFF });
    await assert.rejects(client.send("x", "x"), { code: ErrorCode.LINK_NOT_TRUSTED });
    await client.close();
  }
});
