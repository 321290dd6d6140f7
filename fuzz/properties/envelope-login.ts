import fc from "fast-check";
import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { isLoginAnswer, isLoginOf, loginAnswer, signLogin } from "../../protocol/envelope/login.ts";
import { assert } from "../../protocol/violation.ts";
import { drawn } from "../envelope/drawn.ts";
import { identityOf, Pair } from "../envelope/pair.ts";
import { property, type Seen } from "../property.ts";

const CRYPTO = { client: NATIVE_CRYPTO, server: NATIVE_CRYPTO };
const LOGIN_KEY = NATIVE_CRYPTO.ed25519Key(drawn("login key", 32));

interface Evening {
  readonly name: string;
  readonly isRelayed: boolean;
  readonly account: string;
  readonly deviceId: string;
  /** What the service takes it for; the same unless somebody moved the boundary. */
  readonly moved: number;
}

function bindingsOf(name: string, seen: Seen, isRelayed: boolean) {
  const near = linked(`${name} near`, isRelayed ? "relay" : "service");
  seen(isRelayed ? "relayed" : "direct");
  // Somebody in between has two links, and passes on what is inside.
  const far = isRelayed ? linked(`${name} far`, "service") : near;
  return { device: near.client, service: far.server };
}

function linked(name: string, identity: string) {
  const identities = [identityOf(NATIVE_CRYPTO, identity)] as const;
  const pair = new Pair({
    name,
    crypto: CRYPTO,
    client: { expects: { kind: "none" } },
    server: { identities },
  });
  pair.settle();
  const [client, server] = [pair.at.client.link, pair.at.server.link];
  assert(client !== undefined && server !== undefined, "nobody looks at the identity");
  assert(client.trust === "none", "and it is known that nobody did [ENV-32]");
  return { client: client.channelBinding, server: server.channelBinding };
}

function logIn({ name, isRelayed, account, deviceId, moved }: Evening, seen: Seen): void {
  const { device, service } = bindingsOf(name, seen, isRelayed);
  const signature = signLogin(LOGIN_KEY, { channelBinding: device, account, deviceId });
  const whole = account + deviceId;
  const boundary = moved % (whole.length + 1);
  const isMoved = boundary !== account.length;
  for (const [claimed, id, isSame] of [
    [account, deviceId, true],
    [whole.slice(0, boundary), whole.slice(boundary), !isMoved],
  ] as const) {
    const login = { channelBinding: service, account: claimed, deviceId: id, signature };
    const isTaken = isLoginOf(NATIVE_CRYPTO, LOGIN_KEY.publicKey, login);
    assert(isTaken === (!isRelayed && isSame), "a login is good on its link [ENV-35]");
  }
  const registrationSecret = drawn("registration", 32);
  const mac = loginAnswer(NATIVE_CRYPTO, { registrationSecret, channelBinding: service });
  const own = { registrationSecret, channelBinding: device };
  assert(isLoginAnswer(NATIVE_CRYPTO, own, mac) === !isRelayed, "so is the answer [ENV-36]");
  const other = { registrationSecret: drawn("another", 32), channelBinding: device };
  assert(!isLoginAnswer(NATIVE_CRYPTO, other, mac), "and it is of the right service [ENV-36]");
}

const id = fc.stringMatching(/^[a-z0-9]{1,12}$/);

/** Logins on links that nobody vouches for. */
export const envelopeLogin = property<Evening>({
  name: "envelope-login",
  title:
    "[ENV-32] [ENV-35] [ENV-36] somebody between device and service passes neither's login (P25)",
  smokeRuns: 30,
  kinds: ["relayed", "direct"],
  arbitrary: fc.record({
    name: fc.string(),
    isRelayed: fc.boolean(),
    account: id,
    deviceId: id,
    moved: fc.nat(30),
  }),
  start: (seen) => ({ check: (evening) => logIn(evening, seen) }),
});
