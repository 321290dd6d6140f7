/** Counter of inputs, then the length of the one that is tried, both 32 bits. */
const HEAD_BYTES = 8;

/** Memory of two threads: one notes what it tries, and after a hang the other finds it there. */
export function newNote(bytesMax: number): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_BYTES + bytesMax);
}

export function noteInput(note: SharedArrayBuffer, input: Uint8Array): void {
  const head = new Int32Array(note, 0, 2);
  new Uint8Array(note, HEAD_BYTES).set(input);
  Atomics.store(head, 1, input.length);
  Atomics.add(head, 0, 1);
}

/** The input that was noted last, and a number that is another for every input. */
export function readNote(note: SharedArrayBuffer): {
  readonly count: number;
  readonly input: Uint8Array;
} {
  const head = new Int32Array(note, 0, 2);
  const length = Atomics.load(head, 1);
  const count = Atomics.load(head, 0);
  return { count, input: new Uint8Array(note, HEAD_BYTES, length).slice() };
}
