import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { BackendService } from "../gen/posthorn/v1/backend_pb.ts";
import { ConversationsService } from "../gen/posthorn/v1/conversations_pb.ts";
import { DevicesService } from "../gen/posthorn/v1/devices_pb.ts";
import { KeyDirectoryService } from "../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../gen/posthorn/v1/error_pb.ts";
import { HistoryService } from "../gen/posthorn/v1/history_pb.ts";
import { ContactsService, UsersService } from "../gen/posthorn/v1/users_pb.ts";
import { NATIVE_CRYPTO } from "../platform/native-crypto.ts";
import { pinText } from "../protocol/envelope/identity.ts";
import { SUITES } from "../protocol/envelope/suites.ts";
import type { LinkAcceptor } from "../protocol/link.ts";
import type { ServerSessionLimits } from "../protocol/session/server.ts";
import type { Authenticator } from "./auth/authenticate.ts";
import { jwtAuthenticator } from "./auth/jwt.ts";
import { openAuthenticator } from "./auth/open.ts";
import { backendService } from "./backend/service.ts";
import { Streams } from "./backend/streams.ts";
import { webhooksIn } from "./backend/webhook-file.ts";
import { Webhooks } from "./backend/webhooks.ts";
import { type Budgets, budgetsOf } from "./budgets.ts";
import type { Config } from "./config.ts";
import { isOpen } from "./config-checks.ts";
import { type EnvelopeContext, envelopeDoor, takesClear } from "./envelope/door.ts";
import { openIdentities } from "./envelope/identity-file.ts";
import { countedLinks } from "./links/counted-links.ts";
import { Listener } from "./links/listener.ts";
import { LongPollLinks } from "./links/longpoll.ts";
import { longPollHttp } from "./links/longpoll-http.ts";
import { anyOrigin, loopbackOrigins, type OriginRule } from "./links/origin.ts";
import { Metrics } from "./metrics.ts";
import {
  answerName,
  type Log,
  observeEnvelope,
  observeSessions,
  observeWebhooks,
} from "./observe.ts";
import { messageRetention } from "./operations/lifetimes.ts";
import { PublishBudget } from "./operations/publish-budget.ts";
import { type HttpCallOptions, httpCalls } from "./rpc/http-calls.ts";
import { contacts } from "./services/contacts.ts";
import { conversations } from "./services/conversations.ts";
import { devices, endedDevices } from "./services/devices.ts";
import { history } from "./services/history.ts";
import { keyDirectory } from "./services/key-directory.ts";
import { membershipsIn } from "./services/memberships.ts";
import { Services } from "./services/service.ts";
import { users } from "./services/users.ts";
import { Alarms } from "./sessions/alarms.ts";
import { type DriverContext, SessionDriver } from "./sessions/driver.ts";
import { Hub } from "./sessions/hub.ts";
import { Logins } from "./sessions/logins.ts";
import { Sweeper } from "./sessions/sweeper.ts";
import { SignalBoard } from "./signals/board.ts";
import { LmdbStore } from "./store/lmdb.ts";

/** A running node. */
export interface PosthornServer {
  readonly address: AddressInfo;
  /** By which devices know the service; undefined where links are not sealed. [ENV-27] */
  readonly pin: string | undefined;
  /**
   * Asks every session to move, waits for them within the grace, then closes everything. [OPS-3]
   */
  close(): Promise<void>;
}

/**
 * Starts a node: the store, the listener, the sessions.
 *
 * @throws StoreError or ListenError with a code of PROCESS scope; ConfigError for keys that cannot
 *   be read
 */
export async function createServer(config: Config, log: Log): Promise<PosthornServer> {
  // The wall clock: for tokens and people. Neither reliability nor a timer depends on it. [SEQ-15]
  const nowMs = () => Date.now();
  const metrics = new Metrics();
  const store = await LmdbStore.open({
    folder: config.data,
    mapBytes: config.store.mapBytes,
    timelineEventsMax: config.store.timelineEventsMax,
    frameBytes: config.limits.frameBytes,
    devicesMax: config.limits.devicesMax,
    retention: messageRetention(config.conversations.retentionDays * DAY_MS),
    nowMs,
    onGroup: (requests, puts, ms) => metrics.groupWritten({ requests, puts, ms }),
  });
  try {
    const budgets = budgetsOf(config, metrics, steadyMs);
    return await listen({ config, log, metrics, budgets, store, nowMs });
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Parts {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly budgets: Budgets;
  readonly store: LmdbStore;
  readonly nowMs: () => number;
}

/** What all sessions of the node share. */
async function contextOf(
  parts: Parts,
  alarms: Alarms,
): Promise<DriverContext & { readonly signals: SignalBoard }> {
  const { config, log, metrics, budgets, store, nowMs } = parts;
  const observer = observeSessions(log, metrics);
  const services = servicesOf(store, config, budgets);
  const context = {
    store,
    authenticator: await authenticatorOf(config, nowMs),
    services,
    crypto: NATIVE_CRYPTO,
    publishing: new PublishBudget(),
    budget: budgets.operations,
    attempts: budgets.addresses,
    conversations: config.conversations,
    users: config.users,
    logins: loginsOf(config, store, nowMs),
    hub: new Hub(store),
    signals: new SignalBoard({
      store,
      rules: config.conversations,
      deadlines: alarms,
      failed: observer.failed,
    }),
    alarms,
    limits: sessionLimitsOf(config),
    observer,
  };
  services.add(BackendService, backendService(store, streamsOf(context)));
  return context;
}

/** Backends submit by the same rules as devices. [BCK-5] */
function streamsOf(context: DriverContext): Streams {
  const { limits, crypto, conversations, users, alarms, observer } = context;
  return new Streams({
    ...context,
    rules: { ...limits, crypto, conversations, users },
    nowMs: () => alarms.nowMs(),
    committed: (count) => observer.committed(count),
  });
}

function servicesOf(
  store: LmdbStore,
  { limits: { frameBytes }, conversations: rules }: Config,
  { callWaitMs }: Budgets,
) {
  const limits = { frameBytes, conversations: rules };
  return new Services(membershipsIn(store), callWaitMs)
    .add(KeyDirectoryService, keyDirectory(store, NATIVE_CRYPTO))
    .add(DevicesService, devices(store))
    .add(UsersService, users(store))
    .add(ContactsService, contacts(store))
    .add(HistoryService, history(store, limits))
    .add(ConversationsService, conversations(store, limits));
}

async function listen(parts: Parts): Promise<PosthornServer> {
  const { config, log, metrics, budgets, store } = parts;
  const alarms = new Alarms({ nowMs: steadyMs });
  const { webhooksFile } = config.backend;
  const told = webhooksFile === "" ? [] : webhooksIn(webhooksFile, readFileSync);
  const context = await contextOf(parts, alarms);
  const drivers = new Set<SessionDriver>();
  let draining = false;
  const begin: LinkAcceptor = (link) => {
    const driver: SessionDriver = new SessionDriver(link, context, () => drivers.delete(driver));
    drivers.add(driver);
    return driver;
  };
  const rules = { ...config, handshakeMs: config.limits.handshakeMs };
  const sealing = envelopeContextOf(config, { store, alarms, log, metrics });
  const bounds = {
    ...config.limits,
    isTooOften: (peer: string) => budgets.addresses.takeLink(peer) > 0,
    isDraining: () => draining,
    changed: (count: number) => metrics.gauge("posthorn_links", count),
  };
  const accept = countedLinks(bounds, envelopeDoor(rules, sealing, begin));
  const originRule = isOpen(config) ? loopbackOrigins : anyOrigin;
  const { linksMax, linksPerPeerMax } = config.limits;
  const longPolls = new LongPollLinks(
    { ...config.longPoll, linksMax, linksPerPeerMax },
    alarms,
    accept,
  );
  const pages = (request: IncomingMessage, response: ServerResponse) =>
    answerPage(request, response, { metrics, ready: () => !draining });
  const { longPoll, calls } = config.transports;
  const callable = calls ? httpCalls(httpCallsOf(parts, context, originRule), pages) : pages;
  const polling = { bodyMs: config.limits.handshakeMs, corsOrigin: config.corsOrigin, originRule };
  const http = longPoll ? longPollHttp(longPolls, polling, callable) : callable;
  const listener = new Listener({ ...listenerRulesOf(config), accept, http, originRule });
  const address = await listener.listen();
  const sweeper = new Sweeper(context);
  const webhooks = new Webhooks(told, webhookContextOf(parts, alarms));
  log.info("server.listening", { host: address.address, port: address.port });
  return {
    address,
    pin: config.envelope === "off" ? undefined : pinText(sealing.identities[0].serverId),
    close: async () => {
      if (draining) return;
      draining = true;
      listener.stopAccepting();
      await drainAll(drivers, config.drain);
      longPolls.closeAll();
      await listener.close();
      await webhooks.stop();
      await sweeper.stop();
      context.signals.close();
      alarms.close();
      await store.close();
      log.info("server.stopped", {});
    },
  };
}

function listenerRulesOf(config: Config) {
  const { host, port, transports, limits, longPoll } = config;
  return {
    host,
    port,
    transports: { ...transports, http: transports.longPoll || transports.calls },
    tls: tlsOf(config),
    frameBytesMax: limits.frameBytes,
    socketsMax: 2 * limits.linksMax,
    openingMs: limits.handshakeMs,
    quietMs: Math.max(longPoll.idleMs, limits.frameMs),
    nowMs: steadyMs,
  };
}

function webhookContextOf({ config, log, metrics, store, nowMs }: Parts, deadlines: Alarms) {
  const { webhookRetryMinMs, webhookRetryMaxMs, webhookTimeoutMs } = config.backend;
  return {
    store,
    deadlines,
    nowMs,
    random: Math.random,
    retry: { minMs: webhookRetryMinMs, maxMs: webhookRetryMaxMs },
    timeoutMs: webhookTimeoutMs,
    observer: observeWebhooks(log, metrics),
  };
}

/** What calls over HTTP need of what sessions have. [SVC-6] */
function httpCallsOf(
  { config, metrics, budgets, store }: Parts,
  { services, authenticator, observer }: DriverContext,
  originRule: OriginRule,
): HttpCallOptions {
  const { handshakeMs, frameMs, frameBytes } = config.limits;
  return {
    services,
    authenticator,
    isOpen: isOpen(config),
    isEnded: endedDevices(store),
    addresses: budgets.addresses,
    isTaken: (from) => takesClear(config, from),
    originRule,
    corsOrigin: config.corsOrigin,
    bodyMs: handshakeMs,
    callMs: handshakeMs + frameMs,
    responseBytesMax: frameBytes,
    backendBytesMax: 2 * frameBytes,
    failed: (where, error) => observer.failed(where, error),
    answered: (code) => metrics.add("posthorn_http_calls_total", 1, answerName(code)),
  };
}

/** Gives every session its own slot, so that a restart is no stampede. [SES-13] */
async function drainAll(
  drivers: ReadonlySet<SessionDriver>,
  drain: Config["drain"],
): Promise<void> {
  const all = [...drivers];
  all.forEach((driver, index) => {
    const slotMs = Math.round((drain.slotSpreadMs * index) / all.length);
    const code = ErrorCode.DRAINED;
    driver.drain({ slotMs, graceMs: drain.graceMs, alternatives: [], code });
  });
  // Links say themselves when they are gone; the grace bounds how long that may take.
  const left = Promise.all(all.map((driver) => driver.gone));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, drain.graceMs + 500);
  });
  await Promise.race([left, late]);
  clearTimeout(timer);
}

/** New keys before any limit of the suites is near. [ENV-37] */
const REKEY = { rekeyRecords: 2 ** 20, rekeyBytes: 2 ** 30 };
const LINK_LIFETIME_S = 86_400;
const DAY_MS = 86_400_000;

function envelopeContextOf(
  config: Config,
  {
    store,
    alarms,
    log,
    metrics,
  }: Pick<Parts, "store" | "log" | "metrics"> & { readonly alarms: Alarms },
): EnvelopeContext {
  const { present, next, former } = openIdentities(config.data);
  return {
    identities: [present, ...former],
    suites: SUITES.map(({ number }) => number),
    policy: {
      minSuite: config.envelopeMinSuite,
      ...REKEY,
      lifetimeS: LINK_LIFETIME_S,
      nextServerId: next?.serverId ?? new Uint8Array(0),
    },
    allowsTicketOnly: true,
    recordMs: config.limits.frameMs,
    tickets: store.tickets,
    alarms,
    observer: observeEnvelope(log, metrics),
  };
}

function answerPage(
  request: IncomingMessage,
  response: ServerResponse,
  state: { readonly metrics: Metrics; readonly ready: () => boolean },
): void {
  const path = (request.url ?? "").split("?")[0];
  const answer = (status: number, type: string, body: string) => {
    response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
    response.end(body);
  };
  if (path === "/healthz") return answer(200, "text/plain", "ok\n");
  if (path === "/readyz") {
    return state.ready()
      ? answer(200, "text/plain", "ok\n")
      : answer(503, "text/plain", "draining\n");
  }
  if (path === "/metrics") {
    return answer(200, "text/plain; version=0.0.4", state.metrics.render());
  }
  const body = { code: "TRANSPORT_NOT_SERVED", message: "no such path" };
  return answer(404, "application/json", `${JSON.stringify(body)}\n`);
}

/** Near the wall clock at the start, and never set back (P24). */
function steadyMs(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}

async function authenticatorOf(config: Config, nowMs: () => number): Promise<Authenticator> {
  const { auth } = config;
  if (auth.hmacSecretFile === "" && auth.publicKeyFiles.length === 0) return openAuthenticator();
  return jwtAuthenticator({
    hmacSecret: auth.hmacSecretFile === "" ? undefined : readFileSync(auth.hmacSecretFile),
    publicKeys: auth.publicKeyFiles.map((path) => readFileSync(path, "utf8")),
    issuer: auth.issuer,
    audience: auth.audience,
    clockToleranceSeconds: auth.clockToleranceSeconds,
    nowMs,
  });
}

/** Who is not told by a token here cannot register either. [ENV-56] */
function loginsOf(config: Config, store: LmdbStore, nowMs: () => number): Logins | undefined {
  const { loginDays } = config.auth;
  if (isOpen(config) || loginDays === 0) return undefined;
  return new Logins({ store, crypto: NATIVE_CRYPTO, nowMs, lifetimeMs: loginDays * DAY_MS });
}

function tlsOf({ tls }: Config): { readonly cert: string; readonly key: string } | undefined {
  if (tls.certFile === "") return undefined;
  return { cert: readFileSync(tls.certFile, "utf8"), key: readFileSync(tls.keyFile, "utf8") };
}

function sessionLimitsOf({ limits, timers, drain }: Config): ServerSessionLimits {
  return {
    frameBytes: limits.frameBytes,
    contentBytes: limits.contentBytes,
    submitWindow: { count: limits.submitWindowCount, bytes: limits.submitWindowBytes },
    deliveryWindowMax: { count: limits.deliveryWindowCount, bytes: limits.deliveryWindowBytes },
    timers,
    handshakeMs: limits.handshakeMs,
    frameMs: limits.frameMs,
    drainGraceMs: drain.graceMs,
  };
}
