import type { Mutant } from "./mutant.ts";

/** Bugs that others had in layers like the envelope, and our own. */
export const ENVELOPE_MUTANTS: readonly Mutant[] = [
  {
    name: "envelope-hello-unsigned",
    title: "[ENV-14] the signature leaves out what the device offered",
    file: "protocol/envelope/key-schedule.ts",
    find: "const th1 = transcriptHash(crypto, LINK_LABEL, [clientCore, binder, serverCore]);",
    replace:
      "const th1 = transcriptHash(crypto, LINK_LABEL, [clientCore.subarray(0, 0), binder, " +
      "serverCore]);",
    killedBy: "envelope-impostor",
  },
  {
    name: "envelope-promise-not-kept",
    title: "[ENV-58] takes whatever it knows, however strong it has promised to be",
    file: "protocol/envelope/server.ts",
    find: "return suite !== undefined && isAtLeast(suite, policy.minSuite) ? suite : undefined;",
    replace: "return suite !== undefined && policy.minSuite > 0 ? suite : undefined;",
    killedBy: "envelope-impostor",
  },
  {
    name: "envelope-server-confirm-unchecked",
    title: "[ENV-17] goes on without the service's confirm",
    file: "protocol/envelope/client.ts",
    find: "if (!equalBytes(secrets.serverConfirm, hello.confirm)) {",
    replace: "if (secrets.serverConfirm.length !== hello.confirm.length) {",
    killedBy: "envelope-tamper",
  },
  {
    name: "envelope-client-confirm-unchecked",
    title: "[ENV-18] goes on without the device's confirm",
    file: "protocol/envelope/server.ts",
    find: "if (!equalBytes(secrets.clientConfirm, confirm)) {",
    replace: "if (secrets.clientConfirm.length !== confirm.length) {",
    killedBy: "envelope-tamper",
  },
  {
    name: "envelope-one-key",
    title: "[ENV-6] both directions have one key, so that a record can come back (P23)",
    file: "protocol/envelope/established.ts",
    find: "const down = { aead, limits, secret: secrets.serverTraffic };",
    replace: "const down = { aead, limits, secret: secrets.clientTraffic };",
    killedBy: "envelope-agree",
  },
  {
    name: "envelope-late-number",
    title:
      "[ENV-7] counts a record after something was waited for, as if sealing were asynchronous",
    file: "protocol/envelope/sealing.ts",
    find: "    this.#records += 1;\n",
    replace: "    Promise.resolve().then(() => { this.#records += 1; });\n",
    killedBy: "envelope-sealed",
  },
  {
    name: "envelope-gap-opened",
    title: "[ENV-6] opens a record whose number is above the expected one (P22)",
    file: "protocol/envelope/sealing.ts",
    find: "if (seq !== use.seq) return",
    replace:
      "for (let lost = 0; use.seq < seq && lost < 8; lost += 1) use.allot(0);\n    " +
      "if (seq !== use.seq) return",
    killedBy: "envelope-sealed",
  },
  {
    name: "envelope-zip215",
    title: "[ENV-31] verifies Ed25519 as the library does when it is not told otherwise",
    file: "protocol/envelope/noble.ts",
    find: "{ zip215: false }",
    replace: "{ zip215: true }",
    killedBy: "envelope-providers",
  },
  {
    name: "envelope-oaep-sha1",
    title: "[ENV-22] leaves the hash of OAEP to Node, which takes SHA-1",
    file: "platform/native-rsa.ts",
    find: '  oaepHash: "sha256",\n',
    replace: "",
    killedBy: "envelope-rsa-oracle",
  },
  {
    name: "envelope-short-tag",
    title: "[ENV-5] leaves the length of a tag to whoever sends it",
    file: "platform/native-crypto.ts",
    find: "const options = { authTagLength: TAG_BYTES };",
    replace: "const options = {};",
    killedBy: "envelope-providers",
  },
  {
    name: "envelope-epoch-same-key",
    title: "[ENV-39] a key update leads to the same key, and counts from 0 again",
    file: "protocol/envelope/key-schedule.ts",
    find: 'return expandLabel(crypto, { secret, label: "traffic upd" });',
    replace:
      'return crypto === undefined ? expandLabel(crypto, { secret, label: "traffic upd" }) : ' +
      "Uint8Array.from(secret);",
    killedBy: "envelope-sealed",
  },
  {
    name: "envelope-core-encoded-again",
    title: "[ENV-1] hashes what it would have written, and not what came",
    file: "protocol/envelope/hello.ts",
    find: "return { core, coreBytes: hello.core, binder: hello.binder };",
    replace:
      "const coreBytes = encodePlain(ClientHelloCoreSchema, core);\n  " +
      "return { core, coreBytes, binder: hello.binder };",
    killedBy: "envelope-core-bytes",
  },
  {
    name: "envelope-ticket-outlives-header",
    title: "[ENV-47] keeps the tickets of a link that ends with a header that is none",
    file: "protocol/envelope/wire.ts",
    find: "this.#broken = sealer !== undefined;",
    replace: "this.#broken = because.code === ErrorCode.ENVELOPE_RECORD_INVALID;",
    killedBy: "envelope-tickets",
  },
  {
    name: "envelope-ticket-again",
    title: "[ENV-44] a ticket is there after it was taken (P25)",
    file: "protocol/envelope/ticket.ts",
    find: "const isOurs = this.#tickets.delete(keyOf(ticketId));",
    replace: "const isOurs = this.#tickets.has(keyOf(ticketId));",
    killedBy: "envelope-tickets",
  },
  {
    name: "envelope-binder-unchecked",
    title: "[ENV-43] takes a ticket of whoever knows its name (P25)",
    file: "protocol/envelope/server.ts",
    find: "if (!equalBytes(binderOf(this.#crypto, ticket.psk, hello.coreBytes), hello.binder)) {",
    replace: "if (binderOf(this.#crypto, ticket.psk, hello.coreBytes).length === 0) {",
    killedBy: "envelope-tickets",
  },
  {
    name: "envelope-low-order",
    title: "[ENV-25] agrees on zero with a point of low order",
    file: "platform/native-crypto.ts",
    find: 'return diffieHellman({ privateKey, publicKey: publicKeyOf("x25519", peer) });',
    replace:
      "try {\n    " +
      'return diffieHellman({ privateKey, publicKey: publicKeyOf("x25519", peer) });\n  ' +
      "} catch {\n    return new Uint8Array(32);\n  }",
    killedBy: "envelope-providers",
  },
  {
    name: "envelope-oaep-told-apart",
    title: "[ENV-24] says so when a ciphertext does not decrypt (P23)",
    file: "protocol/envelope/client.ts",
    find: "const isSecret = secret?.length === 32;",
    replace:
      "const isSecret = secret?.length === 32;\n    " +
      'if (secret === undefined) return this.#fail(keyInvalid("RSA ciphertext"));',
    killedBy: "envelope-rsa-oracle",
  },
  {
    name: "envelope-form-open",
    title: "[ENV-12] takes an outer message in any form that Protobuf can read",
    file: "protocol/envelope/hello.ts",
    find: "read !== undefined && equalBytes(encodePlain(desc, read), body) ? read : undefined;",
    replace: "read !== undefined && encodePlain(desc, read).length > 0 ? read : undefined;",
    killedBy: "envelope-tamper",
  },
  {
    name: "envelope-slice-shares",
    title: "[ENV-31] changes the signature that it looks at: a Buffer's slice is no copy",
    file: "protocol/envelope/ed25519-form.ts",
    find: "const y = copyOf(encoded);",
    replace: "const y = encoded.slice();",
    killedBy: "envelope-agree",
  },
  {
    name: "envelope-key-used-too-long",
    title: "[ENV-37] leaves no room for the key update",
    file: "protocol/envelope/sealing.ts",
    find: "return seq + 2 <= limits.records",
    replace: "return seq + 1 <= limits.records",
    killedBy: "envelope-sealed",
  },
  {
    name: "envelope-truncation-untold",
    title: "[ENV-51] takes the transport's end for the end",
    file: "protocol/envelope/wire.ts",
    find: "const code = isSealed ? ErrorCode.ENVELOPE_TRUNCATED : ErrorCode.LINK_LOST;",
    replace: "const code = isSealed ? ErrorCode.GOODBYE : ErrorCode.LINK_LOST;",
    killedBy: "envelope-sealed",
  },
  {
    name: "envelope-unoffered-suite",
    title: "[ENV-13] takes a suite that it has not offered",
    file: "protocol/envelope/client.ts",
    find: ": this.#offers.some((offer) => offer.suite === number);",
    replace: ": suiteOf(number) !== undefined;",
    killedBy: "bytes-envelope-client",
  },
  {
    name: "envelope-ticket-not-taken",
    title: "[ENV-44] goes on with a ticket that it has found, and leaves it to the next one (P25)",
    file: "protocol/envelope/server.ts",
    find: 'this.#pending.push({ kind: "take-ticket", ticketId });',
    replace: "this.#choose(ticket);",
    killedBy: "bytes-envelope-server",
  },
  {
    name: "envelope-ticket-race",
    title: "[ENV-44] looks whether a ticket is there before the transaction that deletes it (P25)",
    file: "server/store/lmdb-tickets.ts",
    find:
      "    return this.#env.transaction(() => {\n      const kept = this.#read(ticketId);\n" +
      "      if (kept === undefined) return false;",
    replace:
      "    const kept = this.#read(ticketId);\n    return this.#env.transaction(() => {\n" +
      "      if (kept === undefined) return false;",
    killedBy: "envelope-ticket-race",
  },
  {
    name: "envelope-ticket-of-another",
    title: "[ENV-44] goes on when somebody else took the ticket first",
    file: "protocol/envelope/server.ts",
    find: "this.#choose(isTaken ? this.#question?.ticket : undefined);",
    replace: "this.#choose(this.#question?.ticket);",
    killedBy: "envelope-ticket-race",
  },
  {
    name: "envelope-later-epoch",
    title: "[ENV-6] takes the number that is due in any later epoch",
    file: "protocol/envelope/sealing.ts",
    find: "if (epoch !== use.epoch) return",
    replace: "if (epoch < use.epoch) return",
    killedBy: "bytes-envelope-records",
  },
  {
    name: "envelope-identity-null",
    title: "[ENV-27] throws a TypeError for an identity file that holds null",
    file: "server/envelope/identity-file.ts",
    find: "const { format, present, next, former } = file ?? {};",
    replace: "const { format, present, next, former } = file as Partial<IdentityFile>;",
    killedBy: "bytes-envelope-decoders",
  },
  {
    name: "login-answer-unchecked",
    title: "[ENV-36] believes whoever welcomes it",
    file: "protocol/session/client.ts",
    find: "const fault = loginFault(this.#credential, welcome);",
    replace: "const fault = undefined;",
    killedBy: "device-login",
  },
  {
    name: "login-goodbye",
    title: "[ENV-36] says good-bye to who has not answered its login",
    file: "protocol/session/client.ts",
    find: 'if (!isUnanswered) this.#writer.push("close"',
    replace: 'this.#writer.push("close"',
    killedBy: "device-login",
  },
  {
    name: "login-unverified",
    title: "[ENV-35] takes the name in a login proof for a proof",
    file: "server/sessions/logins.ts",
    find: "if (login === undefined || !isOfLink || !isMeant)",
    replace: "if (login === undefined || !isMeant)",
    killedBy: "device-login",
  },
  {
    name: "login-for-another",
    title: "[ENV-57] does not look at whom a Hello names beside its proof",
    file: "server/sessions/logins.ts",
    find: '["", principal.userId].includes(userId)',
    replace: "userId !== undefined",
    killedBy: "device-login",
  },
  {
    name: "login-for-ever",
    title: "[AUT-7] lets a device in that has shown no token for long",
    file: "server/sessions/logins.ts",
    find: "const isGood = login !== undefined && nowMs() < login.registeredMs + lifetimeMs;",
    replace: "const isGood = login !== undefined;",
    killedBy: "device-login",
  },
];
