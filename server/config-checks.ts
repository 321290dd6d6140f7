import { isIPv4 } from "node:net";
import { SUITE_RSA_AES128 } from "../protocol/envelope/suites.ts";
import { timersHold } from "../protocol/session/timers.ts";
import type { Config } from "./config.ts";
import { ConfigError } from "./config-error.ts";

/**
 * Refuses what is legal key by key and yet insecure, impossible or pointless. Throws ConfigError.
 * [OPS-1]
 */
export function checkTogether(config: Config): void {
  checkDoors(config);
  checkTimers(config);
  checkSizes(config);
  const { webhookRetryMinMs, webhookRetryMaxMs } = config.backend;
  const isRising = webhookRetryMinMs <= webhookRetryMaxMs;
  must("backend.webhookRetryMinMs", isRising, "must not be above backend.webhookRetryMaxMs");
}

/** Whether anybody is who they say: no key is configured to check tokens with. [AUT-4] */
export function isOpen({ auth }: Config): boolean {
  return auth.hmacSecretFile === "" && auth.publicKeyFiles.length === 0;
}

/** Whether only this machine can reach an address to listen on. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

function checkDoors(config: Config): void {
  const { auth, data, envelope, envelopeMinSuite, host, tls, transports } = config;
  // Node takes an empty host for every address of the machine.
  must("host", host !== "", "must not be empty; 0.0.0.0 or :: listens on every address");
  must("data", data !== "", "must not be empty");
  // Secure by default: what is not authenticated is not reachable from outside (P27). [AUT-4]
  const others =
    `without authentication, ${host} would let anybody in as anybody; ` +
    "set auth.hmacSecretFile or auth.publicKeyFiles, or listen on 127.0.0.1";
  must("host", !isOpen(config) || isLoopback(host), others);
  const without = "has no effect without auth.hmacSecretFile or auth.publicKeyFiles";
  must("auth.issuer", !isOpen(config) || auth.issuer === "", without);
  must("auth.audience", !isOpen(config) || auth.audience === "", without);
  must("auth.publicKeyFiles", !auth.publicKeyFiles.includes(""), "holds an empty path");
  must("tls.certFile", tls.certFile === "" || tls.keyFile !== "", "needs tls.keyFile too");
  must("tls.keyFile", tls.keyFile === "" || tls.certFile !== "", "needs tls.certFile too");
  const isPromised = envelope !== "off" || envelopeMinSuite === SUITE_RSA_AES128;
  must("envelopeMinSuite", isPromised, "has no effect with envelope off");
  const some = transports.tcp || transports.websocket || transports.longPoll;
  must("transports", some, "all are off: nobody could connect");
}

function checkTimers({ timers, longPoll }: Config): void {
  const { keepalive, idle, age } = timers;
  for (const [name, { defaultMs, minMs, maxMs }] of Object.entries(timers)) {
    const ordered = minMs <= defaultMs && defaultMs <= maxMs;
    must(`timers.${name}`, ordered, "must have minMs <= defaultMs <= maxMs");
  }
  for (const bound of ["minMs", "defaultMs"] as const) {
    // A device must be able to ping twice in an idle time, or any jitter cuts its link (P28).
    // [SES-11]
    const holds = timersHold({ keepaliveMs: keepalive[bound], idleMs: idle[bound], ageMs: 0 });
    must(`timers.keepalive.${bound}`, holds, `must be below half of timers.idle.${bound}`);
  }
  // An age that is over before silence is noticed is no age. [SES-11]
  for (const bound of ["defaultMs", "maxMs"] as const) {
    const holds = age[bound] === 0 || age[bound] > idle[bound];
    must(`timers.age.${bound}`, holds, `must be 0 or above timers.idle.${bound}`);
  }
  // A link must not be forgotten while its poll hangs (P28). [LNK-13]
  const { holdMs, idleMs, coalesceMs } = longPoll;
  must("longPoll.holdMs", holdMs < idleMs, "must be below longPoll.idleMs");
  must("longPoll.coalesceMs", coalesceMs <= holdMs, "must not be above longPoll.holdMs");
}

/** Room in a frame for everything around the content of a message. */
const FRAME_OVERHEAD_BYTES = 8 * 1024;

function checkSizes({ limits, longPoll }: Config): void {
  const { contentBytes, frameBytes, submitWindowBytes } = limits;
  const room = frameBytes - FRAME_OVERHEAD_BYTES;
  const rest = "must leave 8KiB of limits.frameBytes to the rest of a frame";
  must("limits.contentBytes", contentBytes <= room, rest);
  // A submit that no credit covers could never be sent. [SEQ-8]
  const fits = submitWindowBytes >= frameBytes;
  must("limits.submitWindowBytes", fits, "must not be below limits.frameBytes");
  // What is kept for a long poll must hold what one write or one answer brings. [LNK-11]
  const { bufferBytesMax, pollBytesMax } = longPoll;
  const holds = bufferBytesMax >= Math.max(frameBytes, pollBytesMax);
  const least = "must not be below limits.frameBytes or longPoll.pollBytesMax";
  must("longPoll.bufferBytesMax", holds, least);
}

function must(key: string, holds: boolean, problem: string): void {
  if (!holds) throw new ConfigError({ key, problem });
}
