import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { emptyFolder, Program, posthorn } from "./testdata/program.ts";

/** Nothing that the wire says by itself. */
const MESSAGE = "the heron flies at a quarter past nine";
const USER = "aurelia.wintergreen";

/** A relay in between, which keeps every byte of both directions. */
async function recorder(t: TestContext, targetPort: number) {
  const up: Buffer[] = [];
  const down: Buffer[] = [];
  const relay = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: targetPort });
    const said: Buffer[] = [];
    near.on("close", () => up.push(unmasked(Buffer.concat(said))));
    for (const [from, to, kept] of [
      [near, far, said],
      [far, near, down],
    ] as const) {
      from.on("data", (chunk: Buffer) => kept.push(chunk));
      from.on("error", () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  t.after(() => relay.close());
  const { port } = relay.address() as AddressInfo;
  return { port, captured: () => Buffer.concat([...up, ...down]) };
}

/** What a device said; of a WebSocket without its masks, which hide nothing (RFC 6455 §5.3). */
function unmasked(stream: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = stream.includes("Upgrade: websocket") ? stream.indexOf("\r\n\r\n") + 4 : stream.length;
  parts.push(stream.subarray(0, at));
  while (at + 2 <= stream.length) {
    const short = (stream[at + 1] as number) & 0x7f;
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
    const length = lengthBytes === 0 ? short : stream.readUIntBE(at + 2, Math.min(6, lengthBytes));
    assert.notEqual(lengthBytes, 8, "no message here is that long");
    const mask = stream.subarray(at + 2 + lengthBytes, at + 6 + lengthBytes);
    const start = at + 6 + lengthBytes;
    const text = Buffer.from(stream.subarray(start, start + length));
    for (let index = 0; index < text.length; index += 1) {
      text[index] = (text[index] as number) ^ (mask[index % 4] as number);
    }
    parts.push(text);
    at = start + length;
  }
  return Buffer.concat(parts);
}

/** A text as it may stand on a wire: as it is, or somewhere in base64. */
function formsOf(text: string): Buffer[] {
  const shifted = [0, 1, 2].map((shift) => {
    const base64 = Buffer.from(" ".repeat(shift) + text).toString("base64");
    // Without the letters that depend on what stands before and behind it.
    return Buffer.from(base64.slice(shift === 0 ? 0 : 4, -4));
  });
  return [Buffer.from(text), ...shifted];
}

function foundIn(captured: Buffer, texts: readonly string[]): string[] {
  return texts.filter((text) => formsOf(text).some((form) => captured.includes(form)));
}

/** Sends and reads a message with a token over a wire that is recorded. */
async function recorded(t: TestContext, scheme: string, envelope: "required" | "allowed") {
  const cwd = emptyFolder(t);
  const surroundings = { cwd, env: { HOME: cwd } };
  const done = async (...args: readonly string[]) => {
    const { status, stdout, stderr } = await posthorn(t, args, surroundings);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  await done("token", "--new-secret", "secret");
  const token = (await done("token", USER, "--secret-file", "secret")).trim();
  writeFileSync(join(cwd, "own.token"), token, { mode: 0o600 });
  // As others reach it: on every address, so that nothing is taken for granted of loopback.
  const open = ["--host", "0.0.0.0", "--port", "0", "--auth-hmac-secret-file", "secret"];
  const args = ["serve", "--json", ...open, "--envelope", envelope];
  const served = new Program(t, args, surroundings);
  const place = JSON.parse(await served.prints(/(\{.*\})\n/)) as { port: number; sealed: string };
  const { port, captured } = await recorder(t, place.port);
  const pin = envelope === "required" ? new URL(place.sealed).hash : "";
  const where = ["--url", `${scheme}://127.0.0.1:${port}/${pin}`, "--token-file", "own.token"];
  await done("send", USER, MESSAGE, ...where, "--temporary");
  const tail = await done("tail", ...where, "--json", "--count", "1", "--temporary");
  assert.equal(JSON.parse(tail).content, MESSAGE);
  return { captured: captured(), secrets: [MESSAGE, USER, ...token.split(".")] };
}

for (const scheme of ["tcp", "ws", "http"]) {
  test(`[ENV-16] [ENV-52] nothing of a message, user or token is on the wire over ${scheme}`, async (t) => {
    const { captured, secrets } = await recorded(t, scheme, "required");
    assert.ok(captured.length > 5_000, "something was captured");
    assert.deepEqual(foundIn(captured, secrets), []);
  });

  test(`on a clear wire over ${scheme} the same search finds all of it`, async (t) => {
    const { captured, secrets } = await recorded(t, scheme, "allowed");
    assert.deepEqual(foundIn(captured, secrets), secrets);
  });
}
