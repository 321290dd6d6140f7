import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

// The rules of the house, as a test: who may import whom, how large things may be, what is not said here.

interface SourceFile {
  /** Relative to the root, with slashes. */
  readonly path: string;
  readonly lines: readonly string[];
  readonly isTest: boolean;
}

type Rule = (file: SourceFile) => string[];

const RULES: Readonly<Record<string, Rule>> = {
  imports: checkImports,
  "node modules": checkNodeModules,
  "file size": checkFileSize,
  "function size": checkFunctionSize,
  "line length": checkLineLength,
  "parameter count": checkParameters,
  "default export": (file) => matching(file, /^export default\b/, "default export"),
  "file name": checkFileName,
  "banned global": checkBannedGlobals,
  "durable cast": checkDurableCast,
  "open end": (file) => matching(file, OPEN_ENDS, "unfinished work belongs in an issue"),
  "machine path": (file) => matching(file, MACHINE_PATHS, "a path of one machine"),
  "banned word": (file) => matching(file, BANNED_WORDS, "a word that says nothing"),
};

const FILE_LINES_MAX = 500;
const FUNCTION_LINES_MAX = 70;
const LINE_LENGTH_MAX = 120;
const PARAMETERS_MAX = 4;
const OPEN_ENDS = new RegExp(
  `\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"].join("|")})\\b`,
);
const MACHINE_PATHS = new RegExp(
  `["'\`( ]/(${["wo" + "rk", "ro" + "ot", "ho" + "me"].join("|")})/`,
);
const BANNED_WORDS =
  /\b(class|interface|type|function|const) \w*(Manager|Util|Utils|Helper|Impl)\b/;

/** Checks the tree below a folder; one line a fault, empty when it is tidy. */
export function tidy(root: string): string[] {
  return sourceFiles(root).flatMap((file) =>
    Object.entries(RULES).flatMap(([name, rule]) => rule(file).map((fault) => `${name}: ${fault}`)),
  );
}

function sourceFiles(root: string): SourceFile[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", args, { cwd: root, encoding: "utf8" }).split("\n");
  return listed
    .filter((path) => path.endsWith(".ts") && !path.startsWith("gen/"))
    .filter((path) => existsSync(join(root, path)))
    .map((path) => ({
      path,
      lines: readFileSync(join(root, path), "utf8").split("\n"),
      isTest: /\.test\.ts$|contract\.ts$|\/testdata\//.test(path),
    }));
}

/** What a folder may import besides itself; the longest matching folder decides. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  codegen: ["protocol/violation.ts"],
  protocol: ["gen"],
  platform: ["gen", "protocol"],
  client: ["gen", "protocol", "platform"],
  server: ["gen", "protocol", "platform"],
  "server/links": ["gen", "protocol", "platform"],
  "server/operations": ["gen", "protocol", "server/store/store.ts"],
  "server/sessions": [
    "gen",
    "protocol",
    "server/auth/authenticate.ts",
    "server/operations",
    "server/store/store.ts",
  ],
  "server/store": ["gen", "protocol", "platform"],
  "server/auth": ["gen", "protocol", "server/config-error.ts"],
  cli: ["gen", "protocol", "platform", "client", "server"],
  demo: ["gen", "protocol", "client", "server", "cli"],
  fuzz: ["gen", "protocol", "platform", "client", "server"],
  bench: ["gen", "protocol", "platform", "client", "server", "cli"],
  scripts: ["gen", "protocol", "client", "server", "cli"],
};

function checkImports(file: SourceFile): string[] {
  if (file.isTest) return [];
  const home = homeOf(file.path);
  if (home === undefined) return [`${file.path} is in no known folder`];
  const allowed = [home, ...(MAY_IMPORT[home] as readonly string[])];
  return importsOf(file)
    .filter((target) => target.startsWith("."))
    .map((target) => normalize(join(dirname(file.path), target)))
    .filter(
      (target) => !allowed.some((place) => target === place || target.startsWith(`${place}/`)),
    )
    .map((target) => `${file.path} imports ${target}`);
}

function homeOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((folder) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function importsOf({ lines }: SourceFile): string[] {
  const text = lines.join("\n");
  const found = text.matchAll(/^(?:import|export)\s(?:[^;]*?\sfrom\s+)?"([^"]+)";/gm);
  return [...found].map((match) => match[1] as string);
}

const NODE_PLACES = /^(server|cli|demo|fuzz|bench|scripts|codegen|platform)\//;
const NODE_CLIENT_FILES = ["client/node.ts", "client/links/tcp.ts", "client/file-journal.ts"];
const PORTABLE_PACKAGES = /^(@bufbuild\/protobuf|@noble\/)/;

function checkNodeModules(file: SourceFile): string[] {
  if (file.isTest || NODE_PLACES.test(file.path)) return [];
  if (NODE_CLIENT_FILES.includes(file.path)) return [];
  return importsOf(file)
    .filter((target) => !target.startsWith(".") && !PORTABLE_PACKAGES.test(target))
    .map((target) => `${file.path} imports ${target}, which is not portable`);
}

function checkFileSize(file: SourceFile): string[] {
  const count = file.lines.length;
  if (file.isTest || count <= FILE_LINES_MAX) return [];
  return [`${file.path} has ${count} lines; the limit is ${FILE_LINES_MAX}`];
}

/** A function begins where a line ends in ") {" or the like and ends where its indentation comes back with "}". */
function checkFunctionSize(file: SourceFile): string[] {
  if (file.isTest) return [];
  const faults: string[] = [];
  const head =
    /^(\s*)(export )?(async )?(function\b|[#\w]+\(|constructor\(|(static |get |set |async )+[#\w]+\()/;
  file.lines.forEach((line, index) => {
    const match = head.exec(line);
    if (
      match === null ||
      !/[({]$/.test(line) ||
      /^\s*(if|for|while|switch|return|await)\b/.test(line)
    )
      return;
    const indent = match[1] as string;
    const end = file.lines.findIndex(
      (candidate, at) => at > index && candidate.startsWith(`${indent}}`),
    );
    const length = end - index + 1;
    if (length > FUNCTION_LINES_MAX && !line.includes("describe(")) {
      faults.push(`${file.path}:${index + 1} is a function of ${length} lines`);
    }
  });
  return faults;
}

function checkLineLength(file: SourceFile): string[] {
  return file.lines.flatMap((line, index) =>
    line.length > LINE_LENGTH_MAX && !line.includes("://")
      ? [`${file.path}:${index + 1} has ${line.length} characters`]
      : [],
  );
}

function checkParameters(file: SourceFile): string[] {
  if (file.isTest) return [];
  const text = file.lines.join("\n");
  const faults: string[] = [];
  for (const match of text.matchAll(/\bfunction (\w+)(?:<[^(]*>)?\(([^)]*)\)/g)) {
    const parameters = (match[2] as string).split(/,(?![^{<]*[}>])/).filter((part) => part.trim());
    if (parameters.length > PARAMETERS_MAX) {
      faults.push(`${file.path}: ${match[1]} takes ${parameters.length} parameters`);
    }
  }
  return faults;
}

const NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/;
const EMPTY_NAMES = /(^|\/)(utils?|helpers?|common|misc|types|core)(\/|\.ts$)/;

function checkFileName({ path }: SourceFile): string[] {
  const name = path.split("/").at(-1) as string;
  if (NAME.test(name) && !EMPTY_NAMES.test(path)) return [];
  return [`${path} is not kebab-case, or says nothing`];
}

const PURE_PLACES = /^(protocol|server\/operations)\//;
const IMPURE =
  /\b(Math\.random|Date\.now|performance\.now|new Date|setTimeout|setInterval|setImmediate)\b/;
const TIMER_PLACES =
  /^(server\/(sessions\/alarms|server)\.ts|(server|client)\/links\/|client\/(client|sleep)\.ts|platform\/)/;

function checkBannedGlobals(file: SourceFile): string[] {
  if (file.isTest) return [];
  if (PURE_PLACES.test(file.path))
    return matching(file, IMPURE, "time and chance come in as arguments");
  if (!/^(server|client|platform)\//.test(file.path) || TIMER_PLACES.test(file.path)) return [];
  return matching(file, /\bsetTimeout\(|\bsetInterval\(/, "a timer outside the places for timers");
}

function checkDurableCast(file: SourceFile): string[] {
  if (file.isTest || file.path.startsWith("server/store/")) return [];
  return matching(
    file,
    /\bas (unknown as )?Durable</,
    "only a store can say that something is durable",
  );
}

function matching({ path, lines }: SourceFile, pattern: RegExp, why: string): string[] {
  if (path === "scripts/tidy.ts" || path === "scripts/tidy.test.ts") return [];
  return lines.flatMap((line, index) =>
    pattern.test(line) ? [`${path}:${index + 1} ${why}: ${line.trim()}`] : [],
  );
}
