import { ACCESS_MUTANTS } from "./access-mutants.ts";
import { BACKEND_MUTANTS } from "./backend-mutants.ts";
import { CATCHING_UP_MUTANTS } from "./catching-up-mutants.ts";
import { CONVERSATION_MUTANTS } from "./conversation-mutants.ts";
import { DEVICE_MUTANTS } from "./device-mutants.ts";
import { ENVELOPE_MUTANTS } from "./envelope-mutants.ts";
import { LIFETIME_MUTANTS } from "./lifetime-mutants.ts";
import { LIMIT_MUTANTS } from "./limit-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { PERSONAL_MUTANTS } from "./personal-mutants.ts";
import { PROTOCOL_MUTANTS } from "./protocol-mutants.ts";
import { SECURE_MUTANTS } from "./secure-mutants.ts";
import { SERVER_MUTANTS } from "./server-mutants.ts";
import { SERVICE_MUTANTS } from "./service-mutants.ts";
import { USER_MUTANTS } from "./user-mutants.ts";

/** No bug at all: the property is false, and machinery that does not notice is broken. */
export const CANARY: Pick<Mutant, "name" | "killedBy"> = { name: "canary", killedBy: "canary" };

export const MUTANTS: readonly Mutant[] = [
  ...PROTOCOL_MUTANTS,
  ...SERVER_MUTANTS,
  ...SERVICE_MUTANTS,
  ...DEVICE_MUTANTS,
  ...ENVELOPE_MUTANTS,
  ...SECURE_MUTANTS,
  ...CONVERSATION_MUTANTS,
  ...PERSONAL_MUTANTS,
  ...USER_MUTANTS,
  ...LIFETIME_MUTANTS,
  ...ACCESS_MUTANTS,
  ...LIMIT_MUTANTS,
  ...BACKEND_MUTANTS,
  ...CATCHING_UP_MUTANTS,
];
