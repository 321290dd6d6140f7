import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { pinText } from "../protocol/envelope/identity.ts";
import {
  SUITE_RSA_AES128,
  SUITE_XWING_AES256,
  SUITE_XWING_CHACHA20,
} from "../protocol/envelope/suites.ts";
import { openIdentities } from "../server/envelope/identity-file.ts";
import { CLIENT_ENTRY, launchBrowser, NO_BROWSER, servedPage } from "./browser-page.ts";
import { ServerProcess } from "./server-process.ts";

/** What runs in the page: one life of a device on sealed links to the service of a pinned URL. */
const PROGRAM = `
import {
  connect, longPoll, memoryJournal, NOBLE_CRYPTO, pinsOf, sealed, ServiceEnvelope,
  webCryptoRsaKey, webSocket,
} from ${CLIENT_ENTRY};
const dialerOf = (url) => (url.startsWith("ws") ? webSocket(url) : longPoll(url));
async function life(dialers, userId, text) {
  const client = await connect({ dialers, userId, deviceId: "page", journal: memoryJournal() });
  try {
    await client.send(userId, text);
    for await (const event of client.events()) {
      if (event.content === text) return { content: event.content, trust: client.status.trust };
    }
  } catch (error) {
    return { name: error.constructor.name, code: error.code };
  } finally {
    await client.close().catch(() => {});
  }
}
globalThis.sealedLife = async (url, suite, userId, text) => {
  let rsaKeys = 0;
  const makeRsaKey = () => {
    rsaKeys += 1;
    return webCryptoRsaKey();
  };
  const trust = pinsOf(url);
  const known = { crypto: NOBLE_CRYPTO, trust, makeRsaKey };
  const envelope = new ServiceEnvelope({ ...known, suites: [suite] });
  const suites = [];
  const welcomed = envelope.welcomed.bind(envelope);
  envelope.welcomed = (link) => {
    suites.push(link.suite.number);
    welcomed(link);
  };
  return { ...(await life([sealed(dialerOf(url), envelope)], userId, text)), suites, rsaKeys };
};
globalThis.clearLife = (url, userId) => life([dialerOf(url)], userId, "clear");
globalThis.isReady = true;
`;

const SUITES = [SUITE_RSA_AES128, SUITE_XWING_AES256, SUITE_XWING_CHACHA20];

describe("sealed links in a real browser", { skip: NO_BROWSER, timeout: 120_000 }, () => {
  let folder = "";
  let server: ServerProcess;
  let page: Awaited<ReturnType<typeof servedPage>>;
  let browser: Browser;
  let tab: Page;
  /** What the page sent, message by message and body by body. */
  const sent: Buffer[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "posthorn-browser-"));
    server = await ServerProcess.start(folder, "required");
    page = await servedPage(PROGRAM);
    browser = await launchBrowser();
    tab = await browser.newPage();
    tab.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => sent.push(Buffer.from(payload)));
    });
    tab.on("request", (request) => {
      const body = request.postDataBuffer();
      if (body !== null) sent.push(body);
    });
    await tab.goto(page.url);
    await tab.waitForFunction("globalThis.isReady");
  });
  after(async () => {
    await browser?.close();
    page?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const pin = () => openIdentities(folder).present.serverId;
  const urlOf = (scheme: string, serverId: Uint8Array) =>
    `${scheme}://127.0.0.1:${server.port}/#pin=${pinText(serverId)}`;
  const run = (name: string, ...args: readonly (string | number)[]) =>
    tab.evaluate(`${name}(${args.map((each) => JSON.stringify(each)).join(", ")})`);

  for (const scheme of ["ws", "http"]) {
    for (const suite of SUITES) {
      test(`[ENV-16] [ENV-22] [ENV-28] suite ${suite} over ${scheme}: a message goes there and back`, async () => {
        sent.length = 0;
        const text = `sealed ${scheme} ${suite}`;
        const life = await run(
          "sealedLife",
          urlOf(scheme, pin()),
          suite,
          `u${suite}${scheme}`,
          text,
        );
        const rsaKeys = suite === SUITE_RSA_AES128 ? 1 : 0;
        assert.deepEqual(life, { content: text, trust: "pinned", suites: [suite], rsaKeys });
        const all = Buffer.concat(sent);
        assert.ok(all.length > 400, "the handshake was seen on its way");
        assert.equal(all.includes(text), false, "and the text was not");
      });
    }

    test(`[ENV-29] another pin over ${scheme} is a typed end`, async () => {
      const other = Uint8Array.from(pin(), (byte) => byte ^ 1);
      const life = await run("sealedLife", urlOf(scheme, other), SUITE_XWING_AES256, "wrong", "x");
      const code = ErrorCode.SERVER_IDENTITY_CHANGED;
      assert.deepEqual(life, { name: "SessionError", code, suites: [], rsaKeys: 0 });
    });

    test(`[ENV-53] a clear link over ${scheme} is refused`, async () => {
      const life = await run("clearLife", `${scheme}://127.0.0.1:${server.port}`, "clear");
      assert.deepEqual(life, { name: "SessionError", code: ErrorCode.ENVELOPE_REQUIRED });
    });
  }
});
