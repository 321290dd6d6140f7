import assert from "node:assert/strict";
import { test } from "node:test";
import { DeskNode, sayTo } from "../../fuzz/backend/desk.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { userRefOf } from "../store/store.ts";

const FIRST = { stream: "s", seq: 1n, asUserId: "ann", operation: sayTo("ann", "first") };

/** A node that dies at a write, and the one after it. */
async function afterDeathAt(write: number, isWritten: boolean): Promise<DeskNode> {
  let writes = 0;
  let died: () => void = () => {};
  const death = new Promise<void>((resolve) => {
    died = resolve;
  });
  const node = new DeskNode(undefined, async (put) => {
    writes += 1;
    // The first makes the user.
    const isLast = writes === 1 + write;
    if (!isLast || isWritten) put();
    if (!isLast) return;
    died();
    await new Promise(() => {});
  });
  await node.store.ensureUser(userRefOf("", "ann"));
  void node.submit(FIRST);
  await death;
  return new DeskNode(node.store.disk);
}

for (const [index, what] of ["makes the stream", "puts it into force", "commits"].entries()) {
  for (const isWritten of [false, true]) {
    const when = isWritten ? "after" : "before";
    test(`[BCK-5] [BCK-6] a stream survives a node that dies ${when} it ${what}`, async () => {
      const node = await afterDeathAt(index + 1, isWritten);
      const done = await node.submit(FIRST);
      assert.deepEqual([done.code, done.refused], [ErrorCode.UNSPECIFIED, ErrorCode.UNSPECIFIED]);
      assert.deepEqual(await node.submit(FIRST), done);
      const next = { ...FIRST, seq: 2n, operation: sayTo("ann", "second") };
      assert.equal((await node.submit(next)).code, ErrorCode.UNSPECIFIED);
      const page = { count: 10, bytes: 100_000 };
      const { entries } = await node.store.loadTimeline(userRefOf("", "ann"), 0, page);
      const texts = entries.map(
        ({ event }) => /first|second/.exec(String(Buffer.from(event)))?.[0],
      );
      assert.deepEqual(texts, ["first", "second"]);
    });
  }
}
