import { frame, named, raw } from "./builder.ts";
import {
  ATTACHED,
  acked,
  close,
  delivered,
  hello,
  KNOWN,
  ping,
  ready,
  type ServiceStep,
  type ServiceVector,
  service,
  submit,
  welcome,
  when,
} from "./service.ts";

const on = (link: string, step: ServiceStep): ServiceStep => ({ ...step, link });
const at = (at_ms: number, step: ServiceStep): ServiceStep => ({ ...step, at_ms });
const quiet: ServiceStep = { sends: [] };
const says = (...sends: ServiceStep["sends"]): ServiceStep => ({ sends });
const GOODBYE = frame("close", { code: "ERROR_CODE_GOODBYE" });
/** Half of Ping, with a length that promises the rest. */
const HALF = raw([0x06, 0x42, 0x04]);

const SUPERSEDING: readonly ServiceVector[] = [
  service(
    named(
      "SES-6 P11",
      "superseded",
      "The older link is closed when the newer attachment is in force.",
    ),
    KNOWN,
    ...ATTACHED,
    on("b", when(hello(), welcome({ generation: "6" }))),
    on("b", { ...when(ready), others: { a: [close("SUPERSEDED")] } }),
    on("b", when(submit(3), acked(3), ...delivered(4))),
  ),
  service(
    named("SES-6 P11", "superseded-twice", "Each attachment fences off all before it."),
    KNOWN,
    ...ATTACHED,
    on("b", when(hello(), welcome({ generation: "6" }))),
    on("b", { ...when(ready), others: { a: [close("SUPERSEDED")] } }),
    on("c", when(hello(), welcome({ generation: "7" }))),
    on("c", { ...when(ready), others: { b: [close("SUPERSEDED")] } }),
  ),
  service(
    named("SES-18 P11", "hello-disturbs-nobody", "A Hello alone: the attachment goes on."),
    KNOWN,
    ...ATTACHED,
    on("b", when(hello(), welcome({ generation: "6" }))),
    when(submit(3), acked(3), ...delivered(4)),
    on("b", { cut: true, sends: [] }),
    when(submit(4), acked(4), ...delivered(5)),
  ),
  service(
    named(
      "SES-18 P11",
      "overtaken-by-a-ready",
      "Two Hellos: the later Ready finds its Welcome untrue.",
    ),
    KNOWN,
    on("a", when(hello(), welcome({ generation: "5" }))),
    on("b", when(hello(), welcome({ generation: "5" }))),
    on("b", when(ready)),
    on("a", when(ready, close("ATTACH_OVERTAKEN"))),
    on("b", when(submit(3), acked(3), ...delivered(4))),
  ),
  service(
    named(
      "SES-18 SEQ-4 P11",
      "overtaken-by-a-commit",
      "The older attachment committed after Welcome.",
    ),
    KNOWN,
    ...ATTACHED,
    on("b", when(hello(), welcome({ generation: "6", outbox: { through: "2" } }))),
    when(submit(3), acked(3), ...delivered(4)),
    { cut: true, sends: [] },
    on("b", when(ready, close("ATTACH_OVERTAKEN"))),
    on("c", when(hello(), welcome({ outbox: { through: "3" }, timeline: { head: "4" } }))),
    on("c", when(ready, ...delivered(4))),
  ),
  service(
    named(
      "SES-18 P6",
      "submit-behind-an-overtaken-ready",
      "What followed that Ready has no effect.",
    ),
    KNOWN,
    on("a", when(hello(), welcome({ generation: "5" }))),
    on("b", when(hello(), welcome({ generation: "5" }))),
    on("b", when(ready)),
    on("a", when([ready, submit(3)], close("ATTACH_OVERTAKEN"))),
    on("b", when(ping(1, 2), { pong: { id: 1, sentThrough: "3" } })),
  ),
  service(
    named("SES-18 P11", "hello-alone", "A Hello that nobody follows up changes nothing."),
    KNOWN,
    when(hello(), welcome({ generation: "5" })),
    when(GOODBYE),
    on("b", when(hello(), welcome({ generation: "5" }))),
  ),
];

const TIMING: readonly ServiceVector[] = [
  service(
    named("SES-10 P24", "idle", "Nothing is heard for idle_ms."),
    KNOWN,
    ...ATTACHED,
    at(2980, quiet),
    at(3000, says(close("IDLE"))),
  ),
  service(
    named("SES-10", "idle-counts-from-the-last-frame", "Whatever is heard starts the time anew."),
    KNOWN,
    ...ATTACHED,
    at(2000, when(ping(1, 2), { pong: { id: 1 } })),
    at(4980, quiet),
    at(5000, says(close("IDLE"))),
  ),
  service(
    named("SES-11 SES-10", "idle-as-granted", "The time is the one that Welcome granted."),
    KNOWN,
    when(
      hello({ timers: { keepaliveMs: 100, idleMs: 400 } }),
      welcome({ timers: { keepaliveMs: 100, idleMs: 400 } }),
    ),
    when(ready),
    at(380, quiet),
    at(400, says(close("IDLE"))),
  ),
  service(
    named("SES-1", "no-hello", "A link on which nothing comes."),
    KNOWN,
    quiet,
    at(980, quiet),
    at(1000, says(close("TOO_SLOW"))),
  ),
  service(
    named("SES-1", "no-ready", "Welcome is out, and nothing comes."),
    KNOWN,
    when(hello(), welcome({})),
    at(1000, says(close("TOO_SLOW"))),
  ),
  service(
    named("LNK-6", "frame-unfinished", "A frame began and does not end, whatever else is quick."),
    KNOWN,
    ...ATTACHED,
    at(500, when(HALF)),
    at(1480, quiet),
    at(1500, says(close("TOO_SLOW"))),
  ),
  service(
    named("LNK-6", "frame-finished-late", "It ends just in time."),
    KNOWN,
    ...ATTACHED,
    at(500, when(HALF)),
    at(1480, when(raw([0x08, 0x05, 0x10, 0x02]), { pong: { id: 5 } })),
    at(2000, quiet),
  ),
];

const AGING = when(
  hello({ timers: { keepaliveMs: 1000, idleMs: 3000, ageMs: 5000 } }),
  welcome({ timers: { ageMs: 5000 } }),
);

const DRAINING: readonly ServiceVector[] = [
  service(
    named("SES-13", "aged", "At its age the link drains, and closes after the grace."),
    KNOWN,
    AGING,
    when(ready),
    at(2500, when(ping(1, 2), { pong: { id: 1 } })),
    at(4980, when(ping(2, 2), { pong: { id: 2 } })),
    at(5000, says({ drain: { graceMs: 500 } })),
    at(5480, quiet),
    at(5500, says(close("AGED"))),
  ),
  service(
    named(
      "SES-13 OPS-3 P4",
      "drained",
      "The node stops: Drain, service until the grace is over, Close.",
    ),
    KNOWN,
    ...ATTACHED,
    at(100, { stops: true, ...says({ drain: { graceMs: 500 } }) }),
    at(200, when(submit(3), acked(3), ...delivered(4))),
    at(580, quiet),
    at(600, says(close("DRAINED"))),
  ),
  service(
    named("SES-13 SES-14", "drained-and-left", "The device leaves within the grace."),
    KNOWN,
    ...ATTACHED,
    at(100, { stops: true, ...says({ drain: { graceMs: 500 } }) }),
    at(200, when(GOODBYE)),
    at(600, quiet),
  ),
  service(
    named("SES-13", "drained-while-attaching", "There is nothing to drain before Ready."),
    KNOWN,
    when(hello(), welcome({})),
    { stops: true, ...says(close("DRAINED")) },
  ),
  service(
    named("LNK-14", "left", "Close is answered with nothing."),
    KNOWN,
    ...ATTACHED,
    when(GOODBYE),
    at(4000, quiet),
  ),
  service(
    named("ERR-3", "left-for-an-unknown-reason", "An unknown code of Close is a Close."),
    KNOWN,
    ...ATTACHED,
    when(frame("close", { code: 9999 })),
    at(4000, quiet),
  ),
  service(
    named("SEQ-3 SES-6", "submit-and-left", "What came before Close took effect."),
    KNOWN,
    ...ATTACHED,
    { ...when([submit(3), GOODBYE]), may_send: ["submitAck", "deliver"] },
    on("b", when(hello(), welcome({ outbox: { through: "3" }, timeline: { head: "4" } }))),
  ),
];

export const ENDING: readonly ServiceVector[] = [...SUPERSEDING, ...TIMING, ...DRAINING];
