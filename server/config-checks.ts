import { isIPv4 } from "node:net";
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
  const { auth, host, tls, transports } = config;
  // Node takes an empty host for every address of the machine.
  refuseIf(host === "", "host", "must not be empty; 0.0.0.0 or :: listens on every address");
  refuseIf(config.data === "", "data", "must not be empty");
  // Secure by default: what is not authenticated is not reachable from outside (P27). [AUT-4]
  refuseIf(
    isOpen(config) && !isLoopback(host),
    "host",
    `without authentication, ${host} would let anybody in as anybody; ` +
      "set auth.hmacSecretFile or auth.publicKeyFiles, or listen on 127.0.0.1",
  );
  const claims = auth.issuer === "" ? "audience" : "issuer";
  refuseIf(
    isOpen(config) && (auth.issuer !== "" || auth.audience !== ""),
    `auth.${claims}`,
    "has no effect without auth.hmacSecretFile or auth.publicKeyFiles",
  );
  refuseIf(auth.publicKeyFiles.includes(""), "auth.publicKeyFiles", "holds an empty path");
  refuseIf(tls.certFile !== "" && tls.keyFile === "", "tls.certFile", "needs tls.keyFile too");
  refuseIf(tls.keyFile !== "" && tls.certFile === "", "tls.keyFile", "needs tls.certFile too");
  const { tcp, websocket, longPoll } = transports;
  refuseIf(!tcp && !websocket && !longPoll, "transports", "all are off: nobody could connect");
}

function checkTimers({ timers, longPoll }: Config): void {
  const { keepalive, idle, age } = timers;
  for (const [name, { defaultMs, minMs, maxMs }] of Object.entries(timers)) {
    const ordered = minMs <= defaultMs && defaultMs <= maxMs;
    refuseIf(!ordered, `timers.${name}`, "must have minMs <= defaultMs <= maxMs");
  }
  // A device must be able to ping twice in an idle time, or any jitter cuts its link (P28).
  // [SES-11]
  for (const bound of ["minMs", "defaultMs"] as const) {
    const both = { keepaliveMs: keepalive[bound], idleMs: idle[bound], ageMs: 0 };
    const problem = `must be below half of timers.idle.${bound}`;
    refuseIf(!timersHold(both), `timers.keepalive.${bound}`, problem);
  }
  // An age that ends before silence is noticed is no age. [SES-11]
  refuseIf(
    age.maxMs > 0 && age.maxMs <= idle.maxMs,
    "timers.age.maxMs",
    "must be 0 or above timers.idle.maxMs",
  );
  refuseIf(
    age.defaultMs > 0 && age.defaultMs <= idle.defaultMs,
    "timers.age.defaultMs",
    "must be 0 or above timers.idle.defaultMs",
  );
  // A link must not be forgotten while its poll hangs (P28). [LNK-13]
  refuseIf(longPoll.holdMs >= longPoll.idleMs, "longPoll.holdMs", "must be below longPoll.idleMs");
  const waits = longPoll.coalesceMs > longPoll.holdMs;
  refuseIf(waits, "longPoll.coalesceMs", "must not be above longPoll.holdMs");
}

/** Room in a frame for everything around the content of a message. */
const FRAME_OVERHEAD_BYTES = 8 * 1024;

function checkSizes({ limits, longPoll }: Config): void {
  refuseIf(
    limits.contentBytes + FRAME_OVERHEAD_BYTES > limits.frameBytes,
    "limits.contentBytes",
    "must leave 8KiB of limits.frameBytes to the rest of a frame",
  );
  // A submit that no credit covers could never be sent. [SEQ-8]
  refuseIf(
    limits.submitWindowBytes < limits.frameBytes,
    "limits.submitWindowBytes",
    "must hold at least one frame of limits.frameBytes",
  );
  // What is kept for a long poll must be able to hold what one write or one answer brings. [LNK-11]
  const needed = Math.max(limits.frameBytes, longPoll.pollBytesMax);
  refuseIf(
    longPoll.bufferBytesMax < needed,
    "longPoll.bufferBytesMax",
    "must not be below limits.frameBytes or longPoll.pollBytesMax",
  );
}

function refuseIf(wrong: boolean, key: string, problem: string): void {
  if (wrong) throw new ConfigError({ key, problem });
}
