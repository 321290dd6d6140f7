import { Session } from "node:inspector";
import { assert } from "../../protocol/violation.ts";

interface Remote {
  readonly type: string;
  readonly subtype?: string;
  readonly objectId?: string;
  readonly value?: unknown;
  readonly description?: string;
}
interface Member {
  readonly name: string;
  readonly value?: Remote;
}
interface Found {
  readonly buffers: Set<ArrayBufferLike>;
  readonly seen: WeakSet<object>;
  roots: readonly object[];
}

/** What belongs to the program or its surroundings and not to a device. */
const NOT_FOLLOWED = /rototype|^#crypto$|^crypto$|^dialers?$|^constructor$|^\[\[(Function|Gen)/;
/** What is larger is not searched: seen was one, of 47 times 64 KiB, as WebAssembly has them. */
const BUFFER_BYTES_MAX = 1024 * 1024;
const OBJECTS_MAX = 200_000;

/** All that can be reached from objects, as bytes. */
export interface Reached {
  /** The memory behind each view, whole, as it is now. */
  readonly bytes: readonly Uint8Array[];
  readonly strings: ReadonlySet<string>;
  readonly objectCount: number;
}

/**
 * Walks from objects to everything that they refer to: members, private ones too, what collections
 * hold, and what functions have closed over.
 */
export function reachableBytes(roots: readonly object[]): Reached {
  const inspector = new Session();
  inspector.connect();
  const call = (method: string, parameters: object): Record<string, unknown> => {
    let answer: Record<string, unknown> = {};
    // In one's own thread the answer comes before the call returns.
    inspector.post(method as "Runtime.evaluate", parameters as never, (error, result) => {
      assert(error === null, `${method}: ${error?.message}`);
      answer = result as unknown as Record<string, unknown>;
    });
    return answer;
  };
  const found: Found = { buffers: new Set(), seen: new WeakSet(), roots };
  const holder = globalThis as unknown as { reached?: Found };
  holder.reached = found;
  const strings = new Set<string>();
  const { result } = call("Runtime.evaluate", { expression: "globalThis.reached.roots" });
  const waiting = [result as Remote];
  let objectCount = 0;
  for (let remote = waiting.pop(); remote !== undefined; remote = waiting.pop()) {
    if (remote.type === "string") strings.add(String(remote.value));
    const { objectId } = remote;
    if (objectId === undefined || remote.type === "symbol") continue;
    const answer = call("Runtime.callFunctionOn", { objectId, functionDeclaration: LOOK });
    if ((answer.result as Remote).value !== true) continue;
    objectCount += 1;
    assert(objectCount < OBJECTS_MAX, "the walk ends");
    const members = call("Runtime.getProperties", { objectId, ownProperties: true });
    for (const kind of ["result", "privateProperties", "internalProperties"] as const) {
      for (const { name, value } of (members[kind] ?? []) as readonly Member[]) {
        if (value === undefined || NOT_FOLLOWED.test(name) || isOfProgram(value)) continue;
        waiting.push(value);
      }
    }
  }
  delete holder.reached;
  inspector.disconnect();
  const own = [...found.buffers].filter(({ byteLength }) => byteLength <= BUFFER_BYTES_MAX);
  const bytes = own.map((buffer) => Uint8Array.from(new Uint8Array(buffer)));
  return { bytes, strings, objectCount };
}

/** True for what is to be walked on from: no bytes, and not seen before. */
const LOOK = `function () {
  const found = globalThis.reached;
  const buffer = ArrayBuffer.isView(this) ? this.buffer : this;
  if (buffer instanceof ArrayBuffer) {
    found.buffers.add(buffer);
    return false;
  }
  if (this === globalThis || this === process || found.seen.has(this)) return false;
  found.seen.add(this);
  return true;
}`;

/** Scopes of modules and of the program hold its constants. */
function isOfProgram({ description = "" }: Remote): boolean {
  return /^(Global|Script|Module|Catch global)/.test(description);
}
