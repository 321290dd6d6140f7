import { deepEqual, equal, ok } from "node:assert/strict";
import { type Config, configFrom, NAMED_KEYS } from "../../server/config.ts";
import { ConfigError } from "../../server/config-error.ts";
import { CONFIG_FLAG, loadConfig, valueAt } from "../../server/config-file.ts";

const FILE = "the-file.json";
const PROTOTYPE = JSON.stringify(Object.getOwnPropertyNames(Object.prototype));

/**
 * A configuration file is taken whole or refused by a ConfigError that names what is wrong: every
 * value that is taken is within its bounds. [OPS-1] (P27)
 */
export function fuzz(data: Uint8Array): void {
  const bytes = new Uint8Array(data);
  let config: Config;
  try {
    config = load(bytes);
  } catch (error) {
    ok(error instanceof ConfigError, String(error));
    ok(error.message.startsWith(`${error.key}: `), "it names what is wrong");
    return;
  } finally {
    const names = JSON.stringify(Object.getOwnPropertyNames(Object.prototype));
    equal(names, PROTOTYPE, "a file does not change the language");
  }
  for (const { path, key } of NAMED_KEYS) {
    const value = valueAt(config, path);
    equal(typeof value, typeof key.value, path);
    if (!("min" in key.type)) continue;
    ok(Number.isSafeInteger(value), path);
    ok((value as number) >= key.type.min && (value as number) <= key.type.max, path);
  }
  const isReachable = !/^(?:localhost|::1|127\.\d+\.\d+\.\d+)$/.test(config.host);
  const isOpen = config.auth.hmacSecretFile === "" && config.auth.publicKeyFiles.length === 0;
  ok(!(isOpen && isReachable), "nobody gets in from outside without a token [AUT-4]");
  deepEqual(configFrom({ file: JSON.parse(JSON.stringify(config)) }), config, "read as written");
}

/** Every other file that it names is there, and empty. */
function load(bytes: Uint8Array): Config {
  const readFile = (path: string) => (path === FILE ? bytes : new Uint8Array(0));
  return loadConfig({ flags: new Map([[CONFIG_FLAG, FILE]]), env: {}, readFile });
}
