import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { sealed } from "../../client/links/sealed.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import type { LinkKind } from "../../protocol/link.ts";
import { signToken } from "../../server/auth/token.ts";
import { Device, Scene, until } from "./scene.ts";
import { wayTo } from "./transports.ts";
import { Wiretap } from "./wiretap.ts";

const KINDS: readonly LinkKind[] = ["tcp", "websocket", "longpoll"];
const SECRET = Buffer.from("a secret of thirty-two bytes, yes");
const USER = "alice-in-the-looking-glass";
const TEXT = "meet me at the old oak at half past nine";
const SUITES = [1, 2, 3];

let folder = "";
let token = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "posthorn-capture-"));
  await writeFile(join(folder, "hmac"), SECRET, { mode: 0o600 });
  const key = { algorithm: "HS256", key: createSecretKey(SECRET), kid: undefined } as const;
  const now = Date.now();
  const claims = { userId: USER, issuedAtMs: now, expiresAtMs: now + 3_600_000 };
  token = await signToken(key, claims);
});
after(() => rm(folder, { recursive: true, force: true }));

for (const kind of KINDS) {
  describe(`what is heard on ${kind}`, () => {
    let scene: Scene;
    before(async () => {
      const auth = { hmacSecretFile: join(folder, "hmac") };
      scene = await Scene.open(kind, { envelope: "allowed", auth });
    });
    after(() => scene.close());

    for (const suite of SUITES) {
      test(`[ENV-5] [ENV-17] [ENV-32] sealed, suite ${suite}, nothing of message, user and token is heard: ${kind}`, async () => {
        const heard = await session(scene, [suite]);
        assert.deepEqual(found(heard, TEXT), []);
        assert.deepEqual(found(heard, USER), []);
        assert.deepEqual(found(heard, token), []);
      });
    }

    test(`in the clear the same search finds message, user and token: ${kind}`, async () => {
      const heard = await session(scene, []);
      for (const words of [TEXT, USER, token]) assert.ok(found(heard, words).includes("as it is"));
    });
  });
}

test("the search finds words in base64, wherever they begin", () => {
  for (const before of ["", "x", "xx"]) {
    const text = Buffer.from(`${before}${TEXT}, said the text`).toString("base64");
    assert.deepEqual(found([Buffer.from(text)], TEXT), [
      `base64 after ${before.length}`,
      `base64url after ${before.length}`,
    ]);
  }
});

/** A session of two links, the second with the ticket of the first, and every byte of both. */
async function session(scene: Scene, suites: readonly number[]): Promise<readonly Buffer[]> {
  const tap = await Wiretap.open(scene.service.address.port);
  const clear = wayTo(scene.relay.kind, tap.port);
  const dialer = suites.length === 0 ? clear : sealed(clear, scene.envelope({ suites }));
  const journal = memoryJournal();
  const deviceId = `d${suites}`;
  const device = await Device.begin({ userId: USER, deviceId, token, dialer, journal });
  try {
    await device.send(TEXT);
    await until("it came back", () => device.received.length > 0);
    tap.cut();
    await device.send(TEXT);
    await until("it came back", () => device.received.length > 1);
    assert.equal(device.client.status.trust, suites.length === 0 ? undefined : "pinned");
    assert.equal(device.client.status.userId, USER);
    return tap.heard;
  } finally {
    await device.client.close();
    await tap.close();
  }
}

/** In which forms words occur in what was heard. */
function found(heard: readonly Buffer[], words: string): string[] {
  return Object.entries(formsOf(words))
    .filter(([, form]) => heard.some((stream) => stream.includes(form)))
    .map(([name]) => name);
}

function formsOf(words: string): Readonly<Record<string, Buffer>> {
  const bytes = Buffer.from(words);
  const forms: Record<string, Buffer> = {
    "as it is": bytes,
    "16 bits a letter": Buffer.from(words, "utf16le"),
    backwards: Buffer.from(bytes).reverse(),
    hex: Buffer.from(bytes.toString("hex")),
    HEX: Buffer.from(bytes.toString("hex").toUpperCase()),
  };
  // Where in a group of three bytes the words begin; letters that depend on others are left out.
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    const whole = shifted.subarray(0, shifted.length - (shifted.length % 3));
    for (const alphabet of ["base64", "base64url"] as const) {
      const text = whole.toString(alphabet).slice(before === 0 ? 0 : 4);
      forms[`${alphabet} after ${before}`] = Buffer.from(text);
    }
  }
  return forms;
}
