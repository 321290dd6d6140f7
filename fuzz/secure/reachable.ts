import assert from "node:assert/strict";
import { Session } from "node:inspector";

/** Every byte array reachable from an object that is not all zero, private members included. */
export function nonZeroBytes(root: object): string[] {
  const inspector = new Session();
  inspector.connect();
  const call = (method: string, parameters: object): Record<string, unknown> => {
    let answer: Record<string, unknown> = {};
    // In one's own thread the answer comes before the call returns.
    inspector.post(method as "Runtime.evaluate", parameters as never, (error, result) => {
      assert.equal(error, null);
      answer = result as unknown as Record<string, unknown>;
    });
    return answer;
  };
  const holder = globalThis as unknown as { walked?: object };
  holder.walked = root;
  const found: string[] = [];
  const { result } = call("Runtime.evaluate", { expression: "globalThis.walked" });
  const waiting = [{ remote: result as Remote, path: "" }];
  let walked = 0;
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    const { remote, path } = at;
    if (remote.objectId === undefined || remote.type === "function") continue;
    walked += 1;
    assert.ok(walked < 5000 && path.length < 400, `endless at ${path}`);
    if (remote.subtype === "typedarray") {
      const functionDeclaration = "function () { return Array.from(this).join() }";
      const { objectId } = remote;
      const read = call("Runtime.callFunctionOn", { objectId, functionDeclaration });
      const text = (read.result as { value: string }).value;
      if (/[1-9]/.test(text)) found.push(`${path}: ${text}`);
      continue;
    }
    const { objectId } = remote;
    const members = call("Runtime.getProperties", { objectId, ownProperties: true });
    for (const kind of ["result", "privateProperties", "internalProperties"] as const) {
      for (const { name, value } of (members[kind] ?? []) as readonly Member[]) {
        if (name.includes("rototype") || value === undefined || isProvider(name)) continue;
        waiting.push({ remote: value, path: `${path}.${name}` });
      }
    }
  }
  delete holder.walked;
  inspector.disconnect();
  return found;
}

interface Remote {
  readonly type: string;
  readonly subtype?: string;
  readonly objectId?: string;
}
interface Member {
  readonly name: string;
  readonly value?: Remote;
}

function isProvider(name: string): boolean {
  return name === "#crypto";
}
