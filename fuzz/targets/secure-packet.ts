import { equal, ok } from "node:assert/strict";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { encodePacket, readPacket } from "../../protocol/secure/handshake.ts";
import { parseMessage } from "../../protocol/secure/message.ts";
import { Choices } from "../coverage/choices.ts";
import { Meeting } from "../secure/meeting.ts";
import { SessionPair } from "../secure/sessions.ts";

const PARAMETERS = { rekeyMessages: 32, rekeyS: 600, lifetimeS: 86_400, franking: false };
const PLAN = {
  ...{ name: "bytes", from: 0, distance: 1, ttlS: 600 },
  ...{ offered: PARAMETERS, most: PARAMETERS },
};
const EDITS_MAX = 40;

let honest: readonly Uint8Array[] | undefined;

/** One packet of each kind, as honest devices send them; made when they are asked for. */
function honestPackets(): readonly Uint8Array[] {
  const message = () => new SessionPair(NATIVE_CRYPTO).send("initiator", "a text");
  honest ??= [
    ...new Meeting(PLAN).whole().packets,
    encodePacket({ case: "message", value: message() }),
  ];
  return honest;
}

/**
 * Bytes of an input as a packet: its own, or an honest packet with places overwritten, as a whole
 * one is too long to be found by chance.
 */
export function packetOf(choices: Choices, models: readonly Uint8Array[]): Uint8Array {
  if (choices.byte() % 3 === 0) return choices.rest();
  const made = Uint8Array.from(choices.pick(models));
  for (let count = choices.byte() % EDITS_MAX; count > 0 && !choices.isEmpty; count -= 1) {
    const at = (choices.byte() * 256 + choices.byte()) % made.length;
    made[at] = choices.byte();
  }
  const cut = choices.byte();
  return cut === 0 ? made : made.subarray(0, made.length - (cut % 64));
}

/** A packet is read whole and in its one form, or refused; nothing throws. [SEC-14] [SEC-44] */
export function fuzz(data: Uint8Array): void {
  const packet = packetOf(new Choices(data), honestPackets());
  const before = Buffer.from(packet).toString("hex");
  const read = readPacket(packet);
  equal(Buffer.from(packet).toString("hex"), before, "what is read stays what it is");
  if ("code" in read) {
    equal(read.requirement, "SEC-14");
    return;
  }
  if (read.kind === "message") {
    ok(encodePacket({ case: "message", value: read.message }).length === packet.length);
    const parsed = parseMessage(read.message);
    if (parsed === undefined) return;
    ok(parsed.header.epoch > 0 && parsed.tag.length === 32);
    ok((parsed.ciphertext.length - 16) % 256 === 0, "a bucket and a tag [SEC-48]");
    return;
  }
  equal(read.core.sessionId.length, 16);
  equal(read.core.version, 1);
}
