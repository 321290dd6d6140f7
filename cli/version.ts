import { existsSync, readFileSync } from "node:fs";

/**
 * The package's version. Its folder is one above the sources and two above what was built from
 * them.
 */
export function version(): string {
  const [path] = ["../package.json", "../../package.json"]
    .map((relative) => new URL(relative, import.meta.url))
    .filter((url) => existsSync(url));
  if (path === undefined) throw new Error("the package is incomplete: no package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { readonly version: string }).version;
}
