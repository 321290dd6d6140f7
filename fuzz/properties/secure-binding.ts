import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import {
  type CryptoProvider,
  XWING_CIPHERTEXT_BYTES,
  XWING_PUBLIC_KEY_BYTES,
} from "../../protocol/envelope/provider.ts";
import { Accepting } from "../../protocol/secure/accepting.ts";
import { nextEpochSecrets } from "../../protocol/secure/epoch.ts";
import { encodePacket } from "../../protocol/secure/handshake.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property, type Seen } from "../property.ts";
import { confirmedBy, flipped, Meeting, type MeetingPlan, readAs } from "../secure/meeting.ts";
import { isRefused, meetingPlan } from "./secure-handshake.ts";

/** A key agreement that binds nothing: whatever the key and the ciphertext, one secret. */
const UNBOUND: CryptoProvider = {
  ...NATIVE_CRYPTO,
  name: "binds nothing",
  xwingPublicKey: (seed) => drawn(hex(seed), XWING_PUBLIC_KEY_BYTES),
  xwingEncapsulate: (_, randomness) => ({
    ciphertext: drawn(hex(randomness), XWING_CIPHERTEXT_BYTES),
    secret: drawn("one secret", 32),
  }),
  xwingDecapsulate: () => drawn("one secret", 32),
};

interface Binding {
  readonly plan: MeetingPlan;
  readonly change: "confirm" | "session id" | "epoch" | "key" | "ciphertext";
  readonly bit: number;
}

function bind({ plan, change, bit }: Binding, seen: Seen): void {
  seen(change);
  if (change !== "confirm") return epoch(plan.name, change, bit);
  const meeting = new Meeting(plan, { crypto: UNBOUND });
  const accepting = meeting.accept(meeting.offering.packet);
  assert(accepting instanceof Accepting, "honest");
  const confirmed = meeting.confirm(accepting.packet);
  assert(!isRefused(confirmed), "honest");
  const confirm = readAs(confirmed.packet, "confirm");
  assert(confirm !== undefined, "honest");
  // The ciphertext ends the core: another one has the same secret here.
  const at = -1 - (bit % (XWING_CIPHERTEXT_BYTES * 8));
  const value = { core: flipped(confirm.coreBytes, at), tag: confirm.tag };
  const bent = confirmedBy(accepting, encodePacket({ case: "confirm", value }));
  assert(isRefused(bent), "another ciphertext is another session [SEC-15]");
  const responder = confirmedBy(accepting, confirmed.packet);
  assert(!isRefused(responder), "its own is this one");
  const other = new Meeting({ ...plan, name: `${plan.name}.` }, { crypto: UNBOUND }).whole();
  const roots = [responder.root, other.initiator.root].map(hex);
  assert(roots[0] !== roots[1], "other keys are another root [SEC-15]");
}

/** Of an epoch's root: all that goes with it is in it. */
function epoch(name: string, change: Binding["change"], bit: number): void {
  const input = {
    salt: drawn(`${name} salt`, 64),
    sessionId: drawn(`${name} id`, 16),
    epoch: 2 + (bit % 1_000),
    ratchetKey: drawn(`${name} key`, XWING_PUBLIC_KEY_BYTES),
    ciphertext: drawn(`${name} ciphertext`, XWING_CIPHERTEXT_BYTES),
  };
  const changed = { ...input };
  if (change === "session id") changed.sessionId = flipped(input.sessionId, bit);
  if (change === "epoch") changed.epoch += 1 + (bit % 9);
  if (change === "key") changed.ratchetKey = flipped(input.ratchetKey, bit);
  if (change === "ciphertext") changed.ciphertext = flipped(input.ciphertext, bit);
  const [one, other] = [input, changed].map((given) => {
    const secret = drawn("one secret", 32);
    return nextEpochSecrets(UNBOUND, { ...given, secret });
  });
  assert(hex(one?.salt as Uint8Array) !== hex(other?.salt as Uint8Array), `${change} [SEC-57]`);
  const chains = [one, other].flatMap((of) => [of?.chains.i2r, of?.chains.r2i] as Uint8Array[]);
  assert(new Set(chains.map(hex)).size === 4, `${change} is in every chain [SEC-40] [SEC-57]`);
}

/** Keys, ciphertexts and names are in the roots, whatever the key agreement does. */
export const secureBinding = property<Binding>({
  name: "secure-binding",
  title:
    "[SEC-15] [SEC-57] with a key agreement that binds nothing, no two sessions or epochs with " +
    "other keys, ciphertexts or names share a root",
  smokeRuns: 20,
  kinds: ["confirm", "session id", "epoch", "key", "ciphertext"],
  arbitrary: fc.record({
    plan: meetingPlan,
    change: fc.constantFrom<Binding["change"][]>(
      "confirm",
      "session id",
      "epoch",
      "key",
      "ciphertext",
    ),
    bit: fc.nat(),
  }),
  start: (seen) => ({ check: (input) => bind(input, seen) }),
});
