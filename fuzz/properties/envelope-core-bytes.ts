import fc from "fast-check";
import {
  ClientFinishedSchema,
  ClientHelloCoreSchema,
  ClientHelloSchema,
  ServerHelloCoreSchema,
  ServerHelloSchema,
} from "../../gen/posthorn/v1/envelope_pb.ts";
import { NATIVE_CRYPTO as crypto } from "../../platform/native-crypto.ts";
import { ClientEnvelope } from "../../protocol/envelope/client.ts";
import { isSignedBy } from "../../protocol/envelope/identity.ts";
import { linkSecrets, serverSignedText } from "../../protocol/envelope/key-schedule.ts";
import { clearRecord } from "../../protocol/envelope/records.ts";
import { ServerEnvelope } from "../../protocol/envelope/server.ts";
import { SUITE_XWING_AES256 } from "../../protocol/envelope/suites.ts";
import { decodePlain, encodePlain } from "../../protocol/plain.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { ALL_SUITES, identityOf, POLICY, recordsOf } from "../envelope/pair.ts";
import { hex } from "../envelope/watched-crypto.ts";
import { property } from "../property.ts";

/** How an encoder that is not ours may write the same message. */
interface Form {
  readonly side: "client" | "server";
  /** In front: the version as another number, which a later one overrides. */
  readonly early: number;
  /** Behind: a field that nobody knows yet. */
  readonly unknownField: number;
  readonly unknown: Uint8Array;
  /** Whether the version is said twice. */
  readonly isTwice: boolean;
}

const IDENTITY = identityOf(crypto, "service");
const NO_BYTES = new Uint8Array(0);
const SEED = drawn("another client", 32);

/** The same core in a form that no encoder of ours would choose. */
function oddly(core: Uint8Array, { early, unknownField, unknown, isTwice }: Form): Uint8Array {
  const tag = unknownField * 8 + 2;
  const unknownBytes = [(tag & 0x7f) | 0x80, tag >> 7, unknown.length, ...unknown];
  return Buffer.concat([
    Uint8Array.of(0x08, early),
    core,
    Uint8Array.from(isTwice ? [0x08, 1] : []),
    Uint8Array.from(unknownBytes),
  ]);
}

/** A device that somebody else wrote, against our service. */
function deviceOfOthers(form: Form): void {
  const honest = encodePlain(ClientHelloCoreSchema, {
    version: 1,
    clientRandom: drawn("random", 32),
    offers: [{ suite: SUITE_XWING_AES256, publicKey: crypto.xwingPublicKey(SEED) }],
    pinnedServerId: NO_BYTES,
    ticketId: NO_BYTES,
    resumeMode: 0,
    clientFeatures: 0,
  });
  const clientCore = oddly(honest, form);
  const server = new ServerEnvelope(
    crypto,
    {
      identities: [IDENTITY],
      suites: ALL_SUITES,
      allowsTicketOnly: false,
      policy: POLICY,
      randomness: drawn("server", 112),
    },
    0,
  );
  const hello = encodePlain(ClientHelloSchema, { core: clientCore, binder: NO_BYTES });
  server.received(clearRecord("clientHello", hello), 0);
  const [write] = server.effects();
  assert(write?.kind === "write", "the service answers");
  const [record] = recordsOf(write.bytes);
  assert(record?.[0] === 2, "with ServerHello [ENV-12]");
  const answer = decodePlain(ServerHelloSchema, record.subarray(16));
  assert(typeof answer !== "string", "in its form");
  const hellos = { clientCore, binder: NO_BYTES, serverCore: answer.core };
  const text = serverSignedText(crypto, hellos);
  const { signature, signatureAlgorithm: algorithm } = answer;
  const isSigned = isSignedBy(crypto, IDENTITY.keys, { text, algorithm, signature });
  assert(isSigned, "the service signs the bytes that came [ENV-1]");
  const core = decodePlain(ServerHelloCoreSchema, answer.core);
  assert(typeof core !== "string", "in its form");
  const kemSecret = crypto.xwingDecapsulate(core.kemCiphertext, SEED);
  const secrets = linkSecrets(crypto, { ...hellos, signature, psk: undefined, kemSecret });
  assert(hex(secrets.serverConfirm) === hex(answer.serverConfirm), "and hashes them [ENV-1]");
  const { clientConfirm } = secrets;
  const finished = encodePlain(ClientFinishedSchema, { clientConfirm });
  server.received(clearRecord("clientFinished", finished), 0);
  assert(server.effects()[0]?.kind === "established", "the service is through");
}

/** A service that somebody else wrote, against our device. */
function serviceOfOthers(form: Form): void {
  const client = new ClientEnvelope(
    crypto,
    {
      suites: [SUITE_XWING_AES256],
      expects: { kind: "pinned", serverIds: [IDENTITY.serverId] },
      randomness: drawn("client", 96),
    },
    0,
  );
  const [write] = client.effects();
  assert(write?.kind === "write", "the device says hello");
  const hello = decodePlain(ClientHelloSchema, write.bytes.subarray(16));
  assert(typeof hello !== "string", "in its form");
  const core = decodePlain(ClientHelloCoreSchema, hello.core);
  assert(typeof core !== "string", "in its form");
  const publicKey = core.offers[0]?.publicKey ?? NO_BYTES;
  const agreed = crypto.xwingEncapsulate(publicKey, drawn("encapsulation", 64));
  assert(agreed !== undefined, "its key is one");
  const honest = encodePlain(ServerHelloCoreSchema, {
    version: 1,
    serverRandom: drawn("server random", 32),
    linkId: drawn("link", 16),
    suite: SUITE_XWING_AES256,
    kemCiphertext: agreed.ciphertext,
    serverKeys: IDENTITY.keys,
    ticketAccepted: false,
    policy: POLICY,
  });
  const serverCore = oddly(honest, form);
  const hellos = { clientCore: hello.core, binder: hello.binder, serverCore };
  const signature = IDENTITY.sign(serverSignedText(crypto, hellos));
  const input = { ...hellos, signature, psk: undefined, kemSecret: agreed.secret };
  const { serverConfirm, clientConfirm } = linkSecrets(crypto, input);
  const answer = { core: serverCore, signatureAlgorithm: 1, signature, serverConfirm };
  client.received(clearRecord("serverHello", encodePlain(ServerHelloSchema, answer)), 0);
  const effects = client.effects();
  assert(effects[0]?.kind === "established", "the device is through [ENV-1]");
  const finished = effects.find(({ kind }) => kind === "write");
  assert(finished?.kind === "write", "and says so");
  assert(hex(finished.bytes).includes(hex(clientConfirm)), "with the right confirm [ENV-15]");
}

/** Other people's Protobuf: what is hashed is what was carried. */
export const envelopeCoreBytes = property<Form>({
  name: "envelope-core-bytes",
  title:
    "[ENV-1] [ENV-12] [ENV-14] [ENV-15] hellos are hashed and signed as they were carried, " +
    "whatever form their encoder gave them (P22)",
  smokeRuns: 30,
  arbitrary: fc.record({
    side: fc.constantFrom("client", "server"),
    early: fc.integer({ min: 2, max: 127 }),
    unknownField: fc.integer({ min: 100, max: 1000 }),
    unknown: fc.uint8Array({ maxLength: 40 }),
    isTwice: fc.boolean(),
  }),
  start: () => ({
    check: (form) => (form.side === "client" ? deviceOfOthers(form) : serviceOfOthers(form)),
  }),
});
