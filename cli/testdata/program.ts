import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

export interface Ending {
  /** undefined: ended by a signal. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A running `posthorn`, as a process of its own. Ended with its test at the latest. */
export class Program {
  stdout = "";
  stderr = "";
  /** Resolves when the process has ended and everything it printed is here. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  #printed: () => void = () => {};

  constructor(t: TestContext, args: readonly string[], { cwd, env }: Surroundings) {
    const { PATH = "" } = process.env;
    this.#child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { PATH, ...env } });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#printed();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#printed();
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (status) => {
        const { stdout, stderr } = this;
        resolve({ status: status ?? undefined, stdout, stderr });
        this.#printed();
      });
    });
    t.after(async () => {
      this.#child.kill("SIGKILL");
      await this.ended;
    });
  }

  signal(name: "SIGTERM" | "SIGINT"): void {
    this.#child.kill(name);
  }

  /** As `kill -9` does. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  types(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** As Ctrl-D does. */
  endsInput(): void {
    this.#child.stdin?.end();
  }

  /** Nobody reads what it prints from here on. */
  closeStdout(): void {
    this.#child.stdout?.destroy();
  }

  /** Resolves when it has printed what matches; rejects when it ended without. */
  prints(pattern: RegExp): Promise<string> {
    return this.#says(pattern, () => this.stdout);
  }

  /** Resolves when it has printed so many times what matches; rejects when it ended without. */
  async printsTimes(pattern: RegExp, count: number): Promise<void> {
    const all = new RegExp(pattern, "g");
    while ((this.stdout.match(all)?.length ?? 0) < count) await this.#more(pattern);
  }

  /** Resolves when it has logged what matches. */
  logs(pattern: RegExp): Promise<string> {
    return this.#says(pattern, () => this.stderr);
  }

  async #says(pattern: RegExp, stream: () => string): Promise<string> {
    for (;;) {
      const match = pattern.exec(stream());
      if (match !== null) return match[1] ?? match[0];
      await this.#more(pattern);
    }
  }

  async #more(pattern: RegExp): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Error(`ended without printing ${pattern}: ${this.stdout}${this.stderr}`);
    }
    await new Promise<void>((resolve) => {
      this.#printed = resolve;
    });
  }
}

/** Runs `posthorn` to its end. */
export function posthorn(
  t: TestContext,
  args: readonly string[],
  surroundings: Surroundings,
): Promise<Ending> {
  return new Program(t, args, surroundings).ended;
}

/** An empty folder that is gone after the test. */
export function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "posthorn-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
