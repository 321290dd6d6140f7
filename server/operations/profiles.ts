import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import type { ChangeProfile } from "../../gen/posthorn/v1/operation_pb.ts";
import { type Profile, ProfileSchema } from "../../gen/posthorn/v1/users_pb.ts";
import { equalBytes } from "../../protocol/envelope/octets.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import {
  type DocumentRef,
  documentRefOf,
  type PlanningReads,
  type PlanningState,
  type StoredDocument,
} from "../store/store.ts";
import { isName, isUri, isWithin } from "./content.ts";
import { ownLog } from "./directory.ts";
import { nothingPlan } from "./nothing-plan.ts";
import { tellPlan } from "./own-lists.ts";
import type { OperationRules, Sender } from "./plan.ts";
import { contactsRef } from "./presence.ts";

const NAME_BYTES_MAX = 128;
const ABOUT_BYTES_MAX = 256;
const URI_BYTES_MAX = 512;

/** What a user says of itself: an encoded Profile. */
export function profileRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `profile:${userId}`);
}

/** As the store has it: it was encoded below. */
export function profileIn({ bytes }: StoredDocument): Profile {
  return fromBinary(ProfileSchema, bytes);
}

export function changeProfileReads({ tenant, userId }: Sender): PlanningReads {
  return { users: [], documents: [profileRef(tenant, userId), contactsRef(tenant, userId)] };
}

/** The sender says something else of itself, in place of all before. [USR-1] [USR-2] [USR-4] */
export function planChangeProfile(
  operation: ChangeProfile,
  sender: Sender,
  state: PlanningState,
  { users }: OperationRules,
): Plan {
  const profile = operation.profile ?? create(ProfileSchema);
  if (!isProfile(profile)) return { kind: "refuse", code: ErrorCode.PROFILE_INVALID };
  const { tenant, userId } = sender;
  const read = documentsIn(state.documents);
  const refs = [profileRef(tenant, userId), contactsRef(tenant, userId)] as const;
  const [before, written] = [read(refs[0]), read(refs[1])];
  const bytes = toBinary(ProfileSchema, profile);
  if (equalBytes(bytes, before.bytes)) {
    const requires = [{ ref: refs[0], revision: before.revision }];
    return nothingPlan(ownLog(tenant, userId), { requires });
  }
  const revision = BigInt(before.revision + 1);
  const value = { userId, profile, revision };
  // Who is blocked meanwhile, or blocks the sender, is told nothing any more. [USR-23] [USR-27]
  const requires = refs.map((ref) => ({ ref, revision: read(ref).revision }));
  const names = namesIn(written);
  const told = names.slice(Math.max(0, names.length - users.profileToldMax));
  return {
    ...tellPlan(sender, { case: "profileChanged", value }, told),
    requires,
    puts: [{ ref: refs[0], bytes }],
  };
}

function isProfile({ displayName, about, avatarUri }: Profile): boolean {
  return (
    isName(displayName, NAME_BYTES_MAX) &&
    isWithin(about, ABOUT_BYTES_MAX) &&
    (avatarUri === "" || isUri(avatarUri, URI_BYTES_MAX))
  );
}
