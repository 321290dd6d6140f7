import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";

const CHROMIUM = "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Why tests that need a browser are skipped; false where there is one. */
export const NO_BROWSER = !existsSync(CHROMIUM) && "Chromium is not installed";

/** What a page imports the client from, as a string literal. */
export const CLIENT_ENTRY = JSON.stringify(join(import.meta.dirname, "..", "client", "index.ts"));

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...QUIET] });
}

/** A page that runs one program, on a port of this machine. @param program TypeScript */
export async function servedPage(
  program: string,
): Promise<{ readonly url: string; close(): void }> {
  const stdin = { contents: program, resolveDir: import.meta.dirname, loader: "ts" } as const;
  const bundle = await build({ stdin, bundle: true, format: "esm", write: false });
  const script = bundle.outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    const isScript = request.url === "/program.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<script type="module" src="/program.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}/`, close };
}
