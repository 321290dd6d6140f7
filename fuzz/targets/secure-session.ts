import { deepEqual, equal } from "node:assert/strict";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { SecureSession } from "../../protocol/secure/session.ts";
import { Choices } from "../coverage/choices.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { otherSide, SessionPair, type Side } from "../secure/sessions.ts";
import { withToyKem } from "../secure/toy-kem.ts";
import { packetOf } from "./secure-packet.ts";

const CRYPTO = withToyKem(NATIVE_CRYPTO);
const SIDES: readonly Side[] = ["initiator", "responder"];

/**
 * Whatever bytes come to a session, in either role: nothing throws, and what is refused leaves its
 * state as it was; and no bytes restore a state that stores itself otherwise. [SEC-51] [SEC-52]
 * [SEC-70]
 */
export function fuzz(data: Uint8Array): void {
  const choices = new Choices(data);
  const pair = new SessionPair(CRYPTO, { rekeyMessages: 1 + (choices.byte() % 3) });
  const wire: { readonly to: Side; readonly message: Uint8Array }[] = [];
  const turns = choices.byte();
  for (let turn = 0; turn < 5; turn += 1) {
    const from = SIDES[(turns >> turn) & 1] as Side;
    const message = pair.send(from, `${turn}`);
    wire.push({ to: otherSide(from), message });
    if (((turns >> 5) & turn) === 0) pair.receive(otherSide(from), message);
  }
  const side = choices.pick(SIDES);
  const session = pair.sides[side];
  const state = session.snapshot() as Uint8Array;
  if (choices.byte() % 4 === 0) {
    const bent = packetOf(choices, [state]);
    const restored = SecureSession.restore(CRYPTO, bent)?.snapshot();
    if (restored !== undefined) equal(hex(restored), hex(bent), "one form of a state");
    return;
  }
  const message = packetOf(
    choices,
    wire.map((one) => one.message),
  );
  const isHonest = wire.some((one) => hex(one.message) === hex(message));
  const received = session.receive(message, pair.at());
  if (isHonest) return;
  equal(received.kind, "refused", "only what was sent is opened");
  equal(session.open, true);
  deepEqual(hex(session.snapshot() as Uint8Array), hex(state));
  equal(received.kind === "refused" && received.code !== ErrorCode.UNSPECIFIED, true);
}
