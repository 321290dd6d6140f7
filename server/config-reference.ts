import { NAMED_KEYS, type NamedKey } from "./config.ts";
import { kindText, valueText } from "./config-values.ts";

/** Every key as flags with their defaults, one line each, in the table's groups: for `--help`. */
export function configHelp(): string {
  return groups()
    .map(({ name, keys }) => `${name}:\n${keys.map(helpLine).join("\n")}`)
    .join("\n\n");
}

/** Every key with all of its names, as Markdown: docs/configuration.md is printed from it. */
export function configReference(): string {
  const tables = groups().map(
    ({ name, keys }) => `## ${name}\n\n${HEAD}\n${keys.map(row).join("\n")}`,
  );
  return `${PREAMBLE}\n${tables.join("\n\n")}\n`;
}

const PREAMBLE = `# Configuration

Printed by \`posthorn serve --reference\` from the one table that the server itself reads
(\`server/config-keys.ts\`).

A key is set by a flag, by an environment variable, or in a JSON file named by \`--config FILE\` or
\`POSTHORN_CONFIG\`; the first of these that sets it wins, then its default. In the file a dot is an
object: \`{"limits": {"linksMax": 500}}\`. Sizes take KiB, MiB, GiB and TiB, times take ms, s, m, h
and d; a bare number is bytes or milliseconds. An unknown key, an illegal value, or keys that
contradict each other are refused at the start with \`CONFIG_INVALID\`.
\`posthorn serve --print-config\` prints what is in force.
`;
const HEAD =
  "| file | flag | variable | default | is | sets |\n| --- | --- | --- | --- | --- | --- |";
const FLAG_WIDTH = 34;

interface Group {
  readonly name: string;
  readonly keys: readonly NamedKey[];
}

/** By the first part of the path; keys without one come first. */
function groups(): readonly Group[] {
  const byName = new Map<string, NamedKey[]>();
  for (const named of NAMED_KEYS) {
    const [first = "", ...rest] = named.path.split(".");
    const name = rest.length === 0 ? "server" : first;
    byName.set(name, [...(byName.get(name) ?? []), named]);
  }
  return [...byName].map(([name, keys]) => ({ name, keys }));
}

function helpLine({ flag, key }: NamedKey): string {
  const value = defaultText(key);
  const choices = key.type.kind === "choice" ? ` (${key.type.of.join(", ")})` : "";
  return `  --${flag.padEnd(FLAG_WIDTH)} ${key.doc}${choices}${value === "" ? "" : ` [${value}]`}`;
}

function row({ path, flag, env, key }: NamedKey): string {
  const value = defaultText(key);
  const cells = [`\`${path}\``, `\`--${flag}\``, `\`${env}\``, value && `\`${value}\``];
  return `| ${[...cells, kindText(key.type), key.doc].join(" | ")} |`;
}

function defaultText(key: NamedKey["key"]): string {
  return valueText(key.type, key.value);
}
