import { flipped } from "../envelope/lies.ts";
import { ascii, big, drawn, hmac, join } from "../envelope/primitives.ts";
import { type SecureCase, secureCase } from "./cases.ts";
import { Conversation, type Role } from "./conversation.ts";
import { PHONE, STRANGER, TABLET } from "./handshake-builder.ts";
import { commitmentOf, innerOf } from "./message-builder.ts";
import { FRANKING_REFUSALS } from "./message-refusals.ts";

const SERVICE_KEY = drawn("secure service franking key", 32);
const KEY = drawn("secure franking key", 32);
const INNER = innerOf(drawn("secure franked content", 50), KEY).subarray(32);
const TIME_MS = 1_767_225_600_123;

interface Delivery {
  readonly commitment: Uint8Array;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly time_ms: number;
}

/** [SEC-74] */
function stampOf(
  { commitment, from, to, time_ms }: Delivery,
  context = "Posthorn franking stamp v1",
) {
  const text = join(ascii(context), big(0, 1), commitment, from, to, big(time_ms, 8));
  return hmac(SERVICE_KEY, text);
}

const DELIVERY: Delivery = {
  commitment: commitmentOf(KEY, INNER),
  from: PHONE.fingerprint,
  to: TABLET.fingerprint,
  time_ms: TIME_MS,
};

interface Report extends Delivery {
  readonly franking_key: Uint8Array;
  readonly inner: Uint8Array;
  readonly stamp: Uint8Array;
}

const REPORT: Report = { ...DELIVERY, franking_key: KEY, inner: INNER, stamp: stampOf(DELIVERY) };

function report(name: string, description: string, change: Partial<Report> = {}): SecureCase {
  const members = { service_key: SERVICE_KEY, ...REPORT, ...change };
  const about = ["SEC-72 SEC-74", `report-${name}`, description] as const;
  return secureCase(about, "report", members, name === "true" ? undefined : "REPORT");
}

const OTHER_INNER = innerOf(drawn("secure other content", 50));

const REPORTS: readonly SecureCase[] = [
  report("true", "What was delivered."),
  report("other-content", "Another content.", { inner: OTHER_INNER }),
  report("other-content-committed", "Another content with its own commitment.", {
    inner: OTHER_INNER,
    commitment: commitmentOf(KEY, OTHER_INNER),
  }),
  report("other-key", "Another franking key.", { franking_key: flipped(0)(KEY) }),
  report("other-sender", "Another sender.", { from: STRANGER.fingerprint }),
  report("other-receiver", "Another receiver.", { to: STRANGER.fingerprint }),
  report("parties-swapped", "Sender and receiver swapped.", {
    from: DELIVERY.to,
    to: DELIVERY.from,
  }),
  report("other-time", "A millisecond later.", { time_ms: TIME_MS + 1 }),
  report("stamp-wrong", "A bit of the stamp.", { stamp: flipped(-1)(REPORT.stamp) }),
  report("stamp-context", "A stamp for something else.", {
    stamp: stampOf(DELIVERY, "Posthorn franking stamp v2"),
  }),
  report("key-in-inner", "The commitment is over the inner text with its key.", {
    commitment: commitmentOf(KEY, join(KEY, INNER)),
    stamp: stampOf({ ...DELIVERY, commitment: commitmentOf(KEY, join(KEY, INNER)) }),
  }),
];

function session(role: Role): SecureCase {
  const plan = { name: "franked", parameters: { franking: true, rekey_messages: 2 } };
  const chat = new Conversation(plan);
  for (let index = 0; index < 6; index += 1) {
    chat.passes(index % 2 === 0 ? "initiator" : "responder", `message ${index}`);
  }
  chat.passes("initiator", "x".repeat(210)).passes("responder", "x".repeat(214));
  const description = `A session with franking, as the ${role} sees it.`;
  return chat.of(role, ["SEC-72 SEC-73", `session-franking-${role}`, description]);
}

export const FRANKING: readonly SecureCase[] = [
  ...REPORTS,
  session("initiator"),
  session("responder"),
  ...FRANKING_REFUSALS,
];
