import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";

/** A server that grants one user, and one address, what a bench asks for: without [LIM]. */
export const UNLIMITED: readonly string[] = [
  "--limits-operations-per-second",
  "--limits-messages-per-day",
  "--limits-conversations-per-day",
  "--limits-calls-per-second",
  "--limits-address-links-per-second",
  "--limits-address-calls-per-second",
].flatMap((flag) => [flag, "0"]);

/**
 * A program under measurement, in a process of its own. It says that it is ready by a line with its
 * port.
 */
export class NodeProcess {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** @param ready a pattern whose first group is the port */
  static async start(args: readonly string[], ready: RegExp): Promise<NodeProcess> {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const port = await new Promise<number>((resolve, reject) => {
      let output = "";
      child.once("exit", () => reject(new Error(`${args[0]} did not start`)));
      child.stdout.on("data", (chunk) => {
        output += String(chunk);
        const match = ready.exec(output);
        if (match !== null) resolve(Number(match[1]));
      });
    });
    return new NodeProcess(child, port);
  }

  /** Resident memory in bytes (proc(5)). */
  get rssBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "latin1");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  /** Processor time of user and system so far, in ticks of 10 ms (proc(5), USER_HZ 100). */
  get cpuMs(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "latin1");
    // After the name, which ends with the last parenthesis: fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exited;
  }
}
