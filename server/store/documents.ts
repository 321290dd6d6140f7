import {
  bounded,
  decodeNumberSet,
  encodeNumberSet,
  NO_NUMBERS,
  type NumberSet,
  union,
} from "../../protocol/number-set.ts";
import type { NameAddition, NameRemoval, NumberAddition, Plan } from "./plans.ts";
import { type DocumentRef, NO_DOCUMENT, type StoredDocument } from "./store.ts";

/** The names of a document that is a list of them, the oldest first. */
export function namesIn({ bytes }: StoredDocument): readonly string[] {
  return bytes.length === 0 ? [] : new TextDecoder().decode(bytes).split("\n");
}

/** The numbers of a document that is a set of them. */
export function numbersIn({ bytes }: StoredDocument): NumberSet {
  return decodeNumberSet(bytes) ?? NO_NUMBERS;
}

type Documents = (ref: DocumentRef) => StoredDocument;

/** Documents as they are after some plans, on top of what was there before. Pure. */
export class DocumentChanges {
  readonly changed = new Map<DocumentRef, StoredDocument>();
  readonly #before: Documents;

  constructor(before: Documents) {
    this.#before = before;
  }

  get(ref: DocumentRef): StoredDocument {
    return this.changed.get(ref) ?? this.#before(ref);
  }

  /** Whether all revisions are as a plan relied on. */
  hold({ requires }: Plan): boolean {
    return requires?.every(({ ref, revision }) => this.get(ref).revision === revision) ?? true;
  }

  /** @param ownSeq the number of the plan's entry, where it is known already */
  apply(plan: Plan, ownSeq?: number): void {
    if (plan.kind === "refuse") return;
    for (const { ref, bytes } of plan.puts ?? []) this.#set(ref, bytes);
    for (const drop of plan.drops ?? [])
      this.#change(drop.ref, withoutName(this.get(drop.ref), drop));
    for (const add of plan.adds ?? []) this.#change(add.ref, withName(this.get(add.ref), add));
    for (const mark of plan.marks ?? []) {
      this.#change(mark.ref, withNumbers(this.get(mark.ref), mark, ownSeq));
    }
  }

  put(puts: readonly { readonly ref: DocumentRef; readonly bytes: Uint8Array }[]): void {
    for (const { ref, bytes } of puts) this.#set(ref, bytes);
  }

  /** @param bytes undefined: they stay */
  #change(ref: DocumentRef, bytes: Uint8Array | undefined): void {
    if (bytes !== undefined) this.#set(ref, bytes);
  }

  #set(ref: DocumentRef, bytes: Uint8Array): void {
    this.changed.set(ref, { revision: this.get(ref).revision + 1, bytes });
  }
}

/** A document's bytes with one more name; undefined where it is one of the newer ones. */
function withName(document: StoredDocument, { name, countMax }: NameAddition) {
  const names = namesIn(document);
  const place = names.indexOf(name);
  if (place >= 0 && place >= names.length - Math.ceil(countMax / 2)) return undefined;
  const others = names.filter((one) => one !== name);
  return new TextEncoder().encode([...others, name].slice(-countMax).join("\n"));
}

function withoutName(document: StoredDocument, { name }: NameRemoval) {
  const names = namesIn(document);
  if (!names.includes(name)) return undefined;
  return new TextEncoder().encode(names.filter((one) => one !== name).join("\n"));
}

function withNumbers(document: StoredDocument, { numbers }: NumberAddition, ownSeq?: number) {
  const own = ownSeq === undefined ? NO_NUMBERS : [{ from: ownSeq, through: ownSeq }];
  const bytes = encodeNumberSet(
    bounded(union(numbersIn(document), numbers === "own" ? own : numbers)),
  );
  return Buffer.compare(bytes, document.bytes) === 0 ? undefined : bytes;
}

/** For those who hold documents in a map. */
export function documentsIn(
  documents: ReadonlyMap<DocumentRef, StoredDocument>,
): (ref: DocumentRef) => StoredDocument {
  return (ref) => documents.get(ref) ?? NO_DOCUMENT;
}
