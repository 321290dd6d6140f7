import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";

/**
 * The real server as a process of its own, to be killed and started again on one port and one data
 * folder.
 */
export class ServerProcess {
  readonly port: number;
  readonly #data: string;
  readonly #envelope: string;
  #child: ChildProcess | undefined;
  killCount = 0;

  private constructor(port: number, data: string, envelope: string) {
    this.port = port;
    this.#data = data;
    this.#envelope = envelope;
  }

  static async start(data: string, envelope = "allowed"): Promise<ServerProcess> {
    const server = new ServerProcess(await freePort(), data, envelope);
    await server.#spawn();
    return server;
  }

  /** SIGKILL at whatever instruction it is, then a new life on the same data. */
  async killAndRestart(): Promise<void> {
    const child = this.#child as ChildProcess;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    this.killCount += 1;
    await this.#spawn();
  }

  /** Asks it to stop; returns its exit status. */
  async stop(): Promise<number | null> {
    const child = this.#child as ChildProcess;
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    const [status] = (await exited) as [number | null];
    return status;
  }

  async #spawn(): Promise<void> {
    const main = join(import.meta.dirname, "..", "cli", "main.ts");
    const args = [main, "serve", "--port", String(this.port), "--data", this.#data];
    const quiet = ["--log-level", "error", "--drain-grace-ms", "1s", "--envelope", this.#envelope];
    const child = spawn(process.execPath, [...args, ...quiet], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let output = "";
      child.once("exit", () => reject(new Error("the server did not start")));
      child.stdout.on("data", (chunk) => {
        output += String(chunk);
        if (output.includes("listening")) resolve();
      });
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
