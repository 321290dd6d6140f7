import type { Lies } from "./link-builder.ts";
import { fromHex, join } from "./primitives.ts";

// Ways to lie about bytes.

/** Who a case is: requirements, name, description. */
export type About = readonly [ids: string, name: string, description: string];

export const appended =
  (hex: string) =>
  (bytes: Uint8Array): Uint8Array =>
    join(bytes, fromHex(hex));

/** One bit of one byte; a negative place counts from the end. */
export const flipped =
  (at: number) =>
  (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, index, { length }) => (index === (at + length) % length ? byte ^ 1 : byte));

/** ClientHello's core says something else. */
export const clientSays = (change: object): Lies => ({
  clientCore: (said) => ({ ...said, ...change }),
});

/** ServerHello's core says something else. */
export const serverSays = (change: object): Lies => ({
  serverCore: (said) => ({ ...said, ...change }),
});

/** So does its policy. */
export const policySays = (change: object): Lies => ({
  serverCore: (said) => ({ ...said, policy: { ...said.policy, ...change } }) as never,
});
