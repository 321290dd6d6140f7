import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Interceptor, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { type Client, connect } from "../../client/client.ts";
import { memoryJournal } from "../../client/memory-journal.ts";
import { dialersOf, nodeEnvelope } from "../../client/node.ts";
import { sessionTransport } from "../../client/transport.ts";
import { DevicesService } from "../../gen/posthorn/v1/devices_pb.ts";
import { secretFrom } from "../../server/auth/keys.ts";
import { signToken, type TokenClaims } from "../../server/auth/token.ts";
import { configFrom } from "../../server/config.ts";
import { openIdentities } from "../../server/envelope/identity-file.ts";
import type { Log } from "../../server/observe.ts";
import { createServer, type PosthornServer } from "../../server/server.ts";

const TESTDATA = join(import.meta.dirname, "..", "..", "server", "testdata");
const cert = join(TESTDATA, "localhost-cert.pem");
const key = join(TESTDATA, "localhost-key.pem");

/** One way to reach services. */
export interface Way {
  readonly name: string;
  transportOf(scene: ServiceScene, userId: string): Promise<Transport>;
  /** For one device, by a token that is good for no other one. [AUT-3] */
  deviceTransportOf(scene: ServiceScene, userId: string, deviceId: string): Promise<Transport>;
}

const HTTP_TRANSPORTS: Readonly<Record<string, (at: HttpPlace) => Transport>> = {
  "Connect, JSON": (at) =>
    createConnectTransport({ ...at.clear, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect, binary": (at) =>
    createConnectTransport({ ...at.clear, httpVersion: "1.1", useBinaryFormat: true }),
  "Connect over TLS": (at) =>
    createConnectTransport({ ...at.tls, httpVersion: "1.1", useBinaryFormat: true }),
  "Connect, JSON, over HTTP/2": (at) =>
    createConnectTransport({ ...at.clear, httpVersion: "2", useBinaryFormat: false }),
  gRPC: (at) => createGrpcTransport(at.clear),
  "gRPC over TLS": (at) => createGrpcTransport(at.tls),
  "gRPC, JSON": (at) => createGrpcTransport({ ...at.clear, useBinaryFormat: false }),
  "gRPC-Web": (at) => createGrpcWebTransport({ ...at.clear, httpVersion: "1.1" }),
  "gRPC-Web over TLS and HTTP/2": (at) => createGrpcWebTransport({ ...at.tls, httpVersion: "2" }),
};

interface HttpPlace {
  readonly clear: HttpOptions;
  readonly tls: HttpOptions;
}

interface HttpOptions {
  readonly baseUrl: string;
  readonly interceptors: Interceptor[];
  readonly nodeOptions?: object;
}

/** A way whose requests say who asks each by itself. */
export interface HttpWay extends Way {
  backendTransportOf(scene: ServiceScene, backend: string): Promise<Transport>;
  transportWith(scene: ServiceScene, headers: Readonly<Record<string, string>>): Transport;
}

export const HTTP_WAYS: readonly HttpWay[] = Object.entries(HTTP_TRANSPORTS).map(
  ([name, make]) => ({
    name,
    transportWith: (scene, headers) => make(scene.httpPlace(headers)),
    transportOf: async (scene, userId) => {
      return make(scene.httpPlace({ authorization: `Bearer ${await scene.tokenOf(userId)}` }));
    },
    deviceTransportOf: async (scene, userId, deviceId) => {
      const token = await scene.tokenOf(userId, 600_000, deviceId);
      const headers = { authorization: `Bearer ${token}`, "posthorn-device": deviceId };
      return make(scene.httpPlace(headers));
    },
    backendTransportOf: async (scene, backend) => {
      const token = await scene.backendTokenOf(backend);
      return make(scene.httpPlace({ authorization: `Bearer ${token}` }));
    },
  }),
);

export const SESSION_WAYS: readonly Way[] = ["tcp", "ws", "http"].flatMap((scheme) =>
  [false, true].map((isSealed) => ({
    name: `a session over ${scheme}${isSealed ? ", sealed" : ""}`,
    transportOf: (scene: ServiceScene, userId: string) => scene.sessionOf(userId, scheme, isSealed),
    deviceTransportOf: async (scene: ServiceScene, userId: string, deviceId: string) =>
      sessionTransport(await scene.deviceOf(userId, deviceId, { scheme, isSealed })),
  })),
);

/** Every way, with names for tests. */
export const WAYS: readonly Way[] = [...HTTP_WAYS, ...SESSION_WAYS];

const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A node with keys for tokens, TLS and the envelope, and its clients. */
export class ServiceScene {
  readonly folder: string;
  readonly #secret: Uint8Array;
  readonly #file: object;
  readonly #clients = new Map<string, Promise<Client>>();
  #server: PosthornServer | undefined;

  /** @param file more of the node's configuration */
  static async open(file: object = {}): Promise<ServiceScene> {
    const folder = await mkdtemp(join(tmpdir(), "posthorn-services-"));
    const secret = randomBytes(32);
    await writeFile(join(folder, "secret"), secret);
    const scene = new ServiceScene(folder, secret, file);
    await scene.start();
    return scene;
  }

  private constructor(folder: string, secret: Uint8Array, file: object) {
    this.folder = folder;
    this.#secret = secret;
    this.#file = file;
  }

  get data(): string {
    return join(this.folder, "data");
  }

  /** What its certificate is checked with. */
  get ca(): string {
    return readFileSync(cert, "utf8");
  }

  get port(): number {
    return (this.#server as PosthornServer).address.port;
  }

  async start(): Promise<void> {
    const file = {
      port: 0,
      data: this.data,
      auth: { hmacSecretFile: join(this.folder, "secret") },
      tls: { certFile: cert, keyFile: key },
      longPoll: { coalesceMs: 0 },
      drain: { graceMs: 500, slotSpreadMs: 0 },
      ...this.#file,
    };
    this.#server = await createServer(configFrom({ file }), SILENT);
  }

  /** Ends node and clients; the folder stays. */
  async stop(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(async (client) => (await client).close()));
    this.#clients.clear();
    await this.#server?.close();
    this.#server = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** @param user perhaps with its tenant: tenant/user */
  tokenOf(user: string, expiresInMs = 600_000, deviceId?: string): Promise<string> {
    return this.#signed(user, { deviceId }, expiresInMs);
  }

  /** @param backend perhaps with its tenant: tenant/backend */
  backendTokenOf(backend: string): Promise<string> {
    return this.#signed(backend, { isBackend: true }, 600_000);
  }

  #signed(name: string, part: Partial<TokenClaims>, expiresInMs: number): Promise<string> {
    const [userId = "", tenant] = name.split("/").reverse();
    const signer = secretFrom({ key: "secret", bytes: this.#secret });
    const nowMs = Date.now();
    const times = { issuedAtMs: nowMs, expiresAtMs: nowMs + expiresInMs };
    return signToken(signer, { ...part, userId, tenant, ...times });
  }

  httpPlace(headers: Readonly<Record<string, string>>): HttpPlace {
    const interceptors: Interceptor[] = [
      (next) => (request) => {
        for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
        return next(request);
      },
    ];
    const { ca } = this;
    return {
      clear: { baseUrl: `http://127.0.0.1:${this.port}`, interceptors },
      tls: { baseUrl: `https://localhost:${this.port}`, interceptors, nodeOptions: { ca } },
    };
  }

  async clientOf(userId: string, scheme = "tcp", isSealed = false): Promise<Client> {
    const deviceId = `${scheme}-${isSealed ? "sealed" : "clear"}`;
    const name = `${userId} ${deviceId}`;
    const known = this.#clients.get(name);
    if (known !== undefined) return await known;
    const token = await this.tokenOf(userId);
    const client = this.#connect({ deviceId, token }, { scheme, isSealed });
    this.#clients.set(name, client);
    return await client;
  }

  /** One device, whose token is good for no other one. It is attached, or was refused for good. */
  async deviceOf(
    userId: string,
    deviceId: string,
    by: { readonly scheme: string; readonly isSealed?: boolean },
  ): Promise<Client> {
    const token = await this.tokenOf(userId, 600_000, deviceId);
    const connecting = this.#connect({ deviceId, token }, by);
    this.#clients.set(`${userId} ${deviceId} ${this.#clients.size}`, connecting);
    const client = await connecting;
    // A call is answered once the attachment is in force, or when there never will be one.
    await client.call(DevicesService.method.list, {}).catch(() => {});
    return client;
  }

  #connect(
    claim: { readonly deviceId: string; readonly token: string },
    { scheme, isSealed = false }: { readonly scheme: string; readonly isSealed?: boolean },
  ): Promise<Client> {
    const trust = [openIdentities(this.data).present.serverId];
    const envelope = isSealed ? nodeEnvelope({ trust }) : undefined;
    return connect({
      dialers: dialersOf(`${scheme}://127.0.0.1:${this.port}`, envelope),
      ...claim,
      journal: memoryJournal(),
      upgradeMs: 0,
    });
  }

  async sessionOf(userId: string, scheme: string, isSealed: boolean): Promise<Transport> {
    return sessionTransport(await this.clientOf(userId, scheme, isSealed));
  }
}
