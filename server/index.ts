export { type Config, configFrom } from "./config.ts";
export { ConfigError } from "./config-error.ts";
export { createLog, type Log } from "./observe.ts";
export { createServer, type PosthornServer } from "./server.ts";
