import {
  ENTRIES,
  isWithin,
  ROOMS,
  type Room,
  roomOf,
  STORE_INTERFACE,
  STORE_NAMERS,
} from "./rooms.ts";
import type { Dependencies, Fault, Rule } from "./rule.ts";
import { type ImportFact, isTestPath, type SourceFile } from "./source-file.ts";

/** Rules about who imports what. Tests stand outside of the rooms: they may import anything. */
export const IMPORT_RULES: Readonly<Record<string, Rule>> = {
  "import-direction": (file) => {
    const room = roomOf(file.path);
    if (room === undefined) {
      return file.path.endsWith(".ts") ? [{ line: 1, text: "stands in no room of the house" }] : [];
    }
    const allowed = [room, ...(ROOMS[room] as Room).reads];
    return faultsOf(file, ({ target }) =>
      target === undefined || allowed.some((place) => isWithin(target, place))
        ? undefined
        : `${room} does not read ${target}`,
    );
  },

  "import-package": (file, dependencies) => {
    const room = roomOf(file.path);
    if (room === undefined) return [];
    const { packages } = ROOMS[room] as Room;
    return faultsOf(file, ({ target, specifier }) =>
      target !== undefined || mayUse(packages, specifier, dependencies)
        ? undefined
        : `${room} does not use ${specifier}`,
    );
  },

  "import-test": (file) =>
    faultsOf(file, ({ target }) =>
      target !== undefined && isTestPath(target) ? `${target} is for tests` : undefined,
    ),

  "import-store": (file) => {
    if (STORE_NAMERS.some((place) => isWithin(file.path, place))) return [];
    return faultsOf(file, ({ target }) =>
      target?.startsWith("server/store/") && !STORE_INTERFACE.includes(target)
        ? `${target} is one kind of store; take the interface`
        : undefined,
    );
  },

  "re-export": (file) => {
    if (ENTRIES.includes(file.path)) return [];
    return faultsOf(file, ({ isReExport, specifier }) =>
      isReExport ? `${specifier} is imported from where it is written` : undefined,
    );
  },
};

function faultsOf(file: SourceFile, faultOf: (fact: ImportFact) => string | undefined): Fault[] {
  if (file.isTest) return [];
  return file.imports.flatMap((fact) => {
    const text = faultOf(fact);
    return text === undefined ? [] : [{ line: fact.line, text }];
  });
}

function mayUse(
  packages: Room["packages"],
  specifier: string,
  { product, development }: Dependencies,
): boolean {
  const isNode = specifier.startsWith("node:");
  const named = (names: readonly string[]) => names.some((name) => isWithin(specifier, name));
  if (packages === "node") return isNode || named(product);
  if (packages === "tools") return isNode || named(product) || named(development);
  return named(packages);
}
