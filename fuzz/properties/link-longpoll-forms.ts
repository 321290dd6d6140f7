import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { PollRequestSchema, SendRequestSchema } from "../../gen/posthorn/v1/longpoll_pb.ts";
import type { HttpAnswer, HttpWire } from "../links/http.ts";
import { LIMITS } from "../links/limits.ts";
import {
  FORMS,
  type Form,
  openedIn,
  openRequest,
  polledIn,
  pollRequest,
  receivedIn,
  requestOf,
  sendRequest,
} from "../links/long-poll.ts";
import { Rig } from "../links/rig.ts";
import { property, type Seen } from "../property.ts";
import { codeText } from "../sim/frame-text.ts";

/** A request of either hot method: to a link that is there or not, well formed or not. */
interface Asked {
  readonly method: "Send" | "Poll";
  readonly isKnown: boolean;
  readonly offset: bigint;
  readonly data: Uint8Array;
  /** Instead of all that. */
  readonly raw: Uint8Array | null;
}

/** A link of its own for each form, so that each has the same past. */
interface Asker {
  readonly form: Form;
  readonly http: HttpWire;
  readonly linkId: Uint8Array;
}

async function asker(rig: Rig, form: Form): Promise<Asker> {
  const http = await rig.doors.http();
  const request = openRequest(form, { holdMs: 1 });
  return { form, http, linkId: openedIn(form, await http.call(request)).linkId };
}

/** What was answered, whatever form it was in. Texts are for people and may differ. [ERR-2] */
async function outcomeOf({ form, http, linkId }: Asker, asked: Asked): Promise<object> {
  const { method, isKnown, offset, data, raw } = asked;
  const id = isKnown ? linkId : new Uint8Array(16);
  const request =
    raw !== null
      ? requestOf(method, form, raw)
      : method === "Send"
        ? sendRequest(form, { linkId: id, offset, data })
        : pollRequest(form, { linkId: id, receivedOffset: offset });
  const answer: HttpAnswer = await http.call(request);
  const { status } = answer;
  if (method === "Send") return { status, is: textOf(receivedIn(form, answer)) };
  const polled = polledIn(form, answer);
  if (typeof polled === "number") return { status, is: textOf(polled) };
  const { offset: from, data: came, ended } = polled;
  return { status, from, came: Buffer.from(came).toString("hex"), ended };
}

function textOf(outcome: bigint | number): string {
  return typeof outcome === "bigint" ? `through ${outcome}` : codeText(outcome);
}

/** Bytes that are Protobuf are no JSON, and are asked only in the forms that read them. */
function isJson({ method, raw }: Asked): boolean {
  if (raw === null) return true;
  try {
    fromBinary(method === "Send" ? SendRequestSchema : PollRequestSchema, raw);
    return false;
  } catch {
    return true;
  }
}

async function play(rig: Rig, requests: readonly Asked[], seen: Seen): Promise<void> {
  const forms = FORMS.filter((form) => form !== "json" || requests.every(isJson));
  const askers = await Promise.all(forms.map((form) => asker(rig, form)));
  for (const asked of requests) {
    const outcomes = await Promise.all(askers.map((one) => outcomeOf(one, asked)));
    for (const outcome of outcomes) assert.deepEqual(outcome, outcomes[0]);
    const { is = "polled" } = outcomes[0] as { readonly is?: string };
    seen(is.startsWith("through") ? "received" : is);
  }
}

/** About the most that a Send may hold. */
const large = fc
  .integer({ min: LIMITS.sendBytesMax - 1, max: LIMITS.sendBytesMax + 1 })
  .map((length) => new Uint8Array(length));

/** Three ways to write a request, two that answer it: one made for speed, and the library. */
export const linkLongPollForms = property<Asked[]>({
  name: "link-longpoll-forms",
  title:
    "[LNK-7] [LNK-9] [LNK-11] [ERR-1] [ERR-2] the thin handler, the library and JSON " +
    "answer alike, whatever is asked (P29)",
  smokeRuns: 60,
  kinds: "received polled LINK_UNKNOWN OFFSET_INVALID COUNTER_OUT_OF_RANGE REQUEST_INVALID".split(
    " ",
  ),
  arbitrary: fc.array(
    fc.record({
      method: fc.constantFrom("Send", "Poll"),
      isKnown: fc.oneof(
        { weight: 5, arbitrary: fc.constant(true) },
        { weight: 1, arbitrary: fc.constant(false) },
      ),
      offset: fc.oneof(
        { weight: 4, arbitrary: fc.bigInt(0n, 8n) },
        {
          weight: 1,
          arbitrary: fc.constantFrom(2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
        },
      ),
      data: fc.oneof(
        { weight: 8, arbitrary: fc.uint8Array({ maxLength: 30 }) },
        { weight: 1, arbitrary: large },
      ),
      raw: fc.oneof(
        { weight: 4, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
      ),
    }),
    { minLength: 1, maxLength: 8 },
  ),
  start: async (seen) => {
    const rig = await Rig.start();
    return {
      check: (requests) => rig.run(() => play(rig, requests, seen)),
      stop: () => rig.stop(),
    };
  },
});
