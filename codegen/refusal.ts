import type { AnyDesc } from "@bufbuild/protobuf";

/** The schema breaks a rule of the generator. The compiler shows the message to its author. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** Throws a {@link Refusal} that names the descriptor and says what is wrong with it. */
export function refuse(about: AnyDesc | string, what: string): never {
  throw new Refusal(`${about} ${what}`);
}
