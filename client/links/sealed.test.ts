import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { NOBLE_CRYPTO } from "../../protocol/envelope/noble.ts";
import { SUITE_RSA_AES128, SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import type { DialledLink } from "../../protocol/link.ts";
import type { Dialer } from "../dialer.ts";
import type { KnownIdentity, KnownService } from "../known-service.ts";
import { ServiceEnvelope, type ServiceEnvelopeOptions } from "../service-envelope.ts";
import { sealed } from "./sealed.ts";

/** A way whose links are silent. */
function silentWay(onDial: () => void = () => {}) {
  const open = new Set<DialledLink>();
  const dialer: Dialer = {
    kind: "tcp",
    address: "tcp://here:1",
    dial: async () => {
      onDial();
      const link: DialledLink = {
        kind: "tcp",
        peer: "here",
        start: () => {},
        write: () => true,
        close: () => void open.delete(link),
      };
      open.add(link);
      return link;
    },
  };
  return { dialer, open };
}

const SERVER_ID = new Uint8Array(32).fill(1);

function remembered(minSuite: number): KnownService {
  const seen: KnownIdentity = {
    serverId: SERVER_ID,
    origin: "seen",
    formers: [],
    isMet: true,
    minSuite,
  };
  return { identities: [seen] };
}

function envelopeOf(part: Partial<ServiceEnvelopeOptions>): ServiceEnvelope {
  return new ServiceEnvelope({ crypto: NOBLE_CRYPTO, trust: "first-seen", ...part });
}

const REFUSED = { code: ErrorCode.ENVELOPE_SUITE_REFUSED, message: /no suite to offer/ };

test("[ENV-34] [ENV-77] without a suite to offer nothing is dialled", async () => {
  const promised = (minSuite: number) => ({ load: () => remembered(minSuite), save: () => {} });
  const weak = [SUITE_RSA_AES128];
  for (const part of [
    { memory: promised(0x0101) },
    { memory: promised(SUITE_XWING_AES256), suites: weak, makeRsaKey: () => assert.fail() },
  ]) {
    const { dialer, open } = silentWay(() => assert.fail("it was dialled"));
    const attempt = sealed(dialer, envelopeOf(part)).dial(new AbortController().signal);
    await assert.rejects(attempt, REFUSED);
    assert.equal(open.size, 0);
  }
});

test("[ENV-77] suites that could never be offered are a mistake of the caller", () => {
  for (const suites of [[SUITE_RSA_AES128], [0x7777], []]) {
    assert.throws(() => envelopeOf({ suites }), RangeError);
  }
});

test("[ENV-77] a promise that came while a link was dialled leaves none open", async () => {
  const envelope = envelopeOf({});
  const { dialer, open } = silentWay(() => {
    Object.defineProperty(envelope, "canOffer", { value: false });
  });
  const attempt = sealed(dialer, envelope).dial(new AbortController().signal);
  await assert.rejects(attempt, REFUSED);
  assert.equal(open.size, 0);
});
