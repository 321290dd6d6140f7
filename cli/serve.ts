import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { renderUnicodeCompact } from "uqr";
import { type Config, NAMED_KEYS } from "../server/config.ts";
import { isLoopback, isOpen } from "../server/config-checks.ts";
import { CONFIG_FLAG, loadConfig } from "../server/config-file.ts";
import { configHelp, configReference } from "../server/config-reference.ts";
import { createLog } from "../server/observe.ts";
import { readArguments, readPositionals } from "./arguments.ts";
import { type Command, type CommandIo, EXIT } from "./command.ts";
import { columns, type Style, styleFor } from "./terminal.ts";
import { version } from "./version.ts";

export const serve: Command = {
  name: "serve",
  summary: "run a node: TCP, WebSocket and long poll on one port",
  outlivesReader: true,
  help: () => `posthorn serve [--config FILE] [--KEY VALUE ...]

Runs a node until SIGINT or SIGTERM; then sessions are asked to move, and a second signal does not
wait for them. Without authentication it listens on loopback only.

  posthorn serve                                    try it out
  posthorn serve --port 4400 --data /var/lib/posthorn
  posthorn serve --config posthorn.json --log-format text

  posthorn token --new-secret secret.key            with authentication, for others to reach
  posthorn serve --host 0.0.0.0 --auth-hmac-secret-file secret.key

Keys come from flags, then the environment (POSTHORN_LIMITS_LINKS_MAX for --limits-links-max), then
the JSON file ({"limits": {"linksMax": 500}}), then the defaults in brackets. An unknown key is an
error. Sizes are written 256KiB, times 25s.

  --config FILE      JSON file with keys
  --print-config     print the configuration in force as JSON, and stop
  --reference        print every key with all its names as Markdown, and stop
  --json             say where it listens as one JSON line

${configHelp()}
`,
  run,
};

const OPTIONS = {
  [CONFIG_FLAG]: { type: "string" },
  "print-config": { type: "boolean" },
  reference: { type: "boolean" },
  json: { type: "boolean" },
} as const;
const KEY_OPTIONS = Object.fromEntries(
  NAMED_KEYS.map(({ flag, key }) => {
    return [flag, { type: "string", multiple: key.type.kind === "files" } as const];
  }),
);

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const parsed = readArguments(args, { ...KEY_OPTIONS, ...OPTIONS });
  readPositionals(parsed, []);
  const { "print-config": printConfig, reference, json, ...rest } = parsed.values;
  if (reference) {
    io.stdout.write(configReference());
    return EXIT.done;
  }
  const flags = new Map(Object.entries(rest).map(([flag, value]) => [flag, String(value)]));
  const config = loadConfig({ flags, env: io.env, readFile: (path) => readFileSync(path) });
  if (printConfig) {
    io.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
    return EXIT.done;
  }
  const stopped = stopRequested();
  const log = createLog({ ...config.log, destination: io.stderr });
  // Loaded here: the store's native binding is nothing that other commands should need.
  const { createServer } = await import("../server/server.ts");
  const server = await createServer(config, log);
  const place = placeOf(config, server.address.port, server.pin);
  if (isOpen(config)) log.warn("authentication.skipped", { host: config.host });
  io.stdout.write(
    json ? `${JSON.stringify(place)}\n` : welcome(place, styleFor(io.stdout, io.env)),
  );
  if (!json && io.stdout.isTTY && place.sealed !== undefined) {
    io.stdout.write(`${renderUnicodeCompact(place.sealed)}\n`);
  }
  await stopped;
  if (!json) io.stdout.write("Stopping: sessions are asked to move. Again to stop at once.\n");
  await server.close();
  if (!json) io.stdout.write("Stopped.\n");
  return EXIT.done;
}

/** The first signal asks to stop; a second one does not wait. [OPS-3] */
function stopRequested(): Promise<void> {
  let asked = false;
  return new Promise((resolve) => {
    const stop = () => {
      if (asked) process.exit(EXIT.failed);
      asked = true;
      resolve();
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  });
}

/** How to connect. */
interface Place {
  readonly host: string;
  readonly port: number;
  /** Of the transports that are served. */
  readonly urls: Readonly<Record<string, string>>;
  readonly status: string;
  /** With the service's pin: what devices are given to connect to it and to nobody else. */
  readonly sealed: string | undefined;
  readonly data: string;
  readonly authentication: "none" | "tokens";
  /** What protects links of other machines; "local": there are none. */
  readonly network: "local" | "tls" | "sealed" | "clear";
}

function placeOf(config: Config, port: number, pin: string | undefined): Place {
  const { host, tls, transports, data } = config;
  const everywhere = host === "0.0.0.0" || host === "::";
  const name = everywhere ? hostname() : host.includes(":") ? `[${host}]` : host;
  const secure = tls.certFile !== "";
  const url = (scheme: string) => `${scheme}://${name}:${port}`;
  const urls = {
    ...(transports.tcp ? { tcp: url(secure ? "tls" : "tcp") } : {}),
    ...(transports.websocket ? { websocket: url(secure ? "wss" : "ws") } : {}),
    ...(transports.longPoll ? { longPoll: url(secure ? "https" : "http") } : {}),
  };
  return {
    host,
    port,
    urls,
    status: url(secure ? "https" : "http"),
    sealed: pin === undefined || secure ? undefined : `${url("posthorn")}/#pin=${pin}`,
    data: resolve(data),
    authentication: isOpen(config) ? "none" : "tokens",
    network: networkOf(config),
  };
}

function networkOf({ host, tls, clearLinks, envelope }: Config): Place["network"] {
  if (isLoopback(host)) return "local";
  if (tls.certFile !== "") return "tls";
  return clearLinks && envelope !== "required" ? "clear" : "sealed";
}

function welcome(place: Place, style: Style): string {
  const { urls, status, sealed, data, authentication, network } = place;
  const names: Readonly<Record<string, string>> = {
    tcp: "TCP",
    websocket: "WebSocket",
    longPoll: "long poll",
  };
  const open = authentication === "none";
  const rows: (readonly [string, string])[] = [
    ...Object.entries(urls).map(([kind, url]) => [names[kind] ?? kind, style.bold(url)] as const),
    ...(sealed === undefined ? [] : [["sealed", style.bold(sealed)] as const]),
    ["status", `${status}/healthz /readyz /metrics`],
    ["data", data],
    ["users", open ? style.warning("NO AUTHENTICATION: everybody is who they say") : "by token"],
  ];
  if (open) rows.push(["", style.dim("so only this machine can connect")]);
  if (network === "clear") {
    rows.push(["network", style.warning("NO TLS: whatever is not sealed can be read and changed")]);
  }
  if (network === "sealed") rows.push(["network", "no TLS: other machines have to use the pin"]);
  const [url = ""] = Object.values(urls);
  const first = open ? `\nTry: posthorn chat bob --user alice --url ${url}\n` : "";
  return `Posthorn ${version()} is listening. Ctrl-C stops it.\n\n${columns(rows)}${first}`;
}
