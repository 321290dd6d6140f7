import { REFUSED_ANSWERS } from "./answer-refusals.ts";
import type { EnvelopeCase } from "./cases.ts";
import { HANDSHAKES, RESUMPTIONS } from "./handshakes.ts";
import { REFUSED_HELLOS } from "./hello-refusals.ts";
import { EXPANSIONS, TRANSCRIPTS } from "./labels.ts";
import { REFUSED_LATER } from "./later-refusals.ts";
import { LOGINS } from "./logins.ts";
import { PADDING } from "./padding.ts";
import { PINS } from "./pins.ts";
import { RECORDS } from "./records.ts";
import { RSA } from "./rsa.ts";
import { SIGNATURES } from "./signatures.ts";
import { STREAMS } from "./streams.ts";
import { XWING } from "./xwing.ts";

/** The files of spec/vectors/envelope/, from the smallest part to whole links. */
export const ENVELOPE_FILES: Readonly<
  Record<string, { readonly about: string; readonly cases: readonly EnvelopeCase[] }>
> = {
  "expand-label.json": { about: "A secret for one purpose.", cases: EXPANSIONS },
  "transcript.json": { about: "A hash over messages as they were carried.", cases: TRANSCRIPTS },
  "padding.json": { about: "What is sealed with content.", cases: PADDING },
  "records.json": { about: "A record is sealed, opened, or refused.", cases: RECORDS },
  "stream-framing.json": { about: "A stream is cut into records.", cases: STREAMS },
  "rsa-oaep.json": { about: "RSA keys of offers, and what they decrypt.", cases: RSA },
  "xwing.json": { about: "X-Wing, both ways.", cases: XWING },
  "composite-sig.json": {
    about: "Signatures of an identity of one or two keys.",
    cases: SIGNATURES,
  },
  "pin.json": { about: "What is pinned, and how it is written.", cases: PINS },
  "login-binding.json": { about: "Logins that are good on one link only.", cases: LOGINS },
  "link-handshake.json": {
    about: "Links that come about, with all their secrets.",
    cases: HANDSHAKES,
  },
  "link-resume.json": { about: "Links with tickets.", cases: RESUMPTIONS },
  "link-errors.json": {
    about: "Links that one side refuses, and what it answers.",
    cases: [...REFUSED_HELLOS, ...REFUSED_ANSWERS, ...REFUSED_LATER],
  },
};
