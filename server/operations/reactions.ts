import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ReactionRecordSchema } from "../../gen/posthorn/v1/conversation_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { React } from "../../gen/posthorn/v1/operation_pb.ts";
import {
  decodeNumberSet,
  encodeNumberSet,
  has,
  NO_NUMBERS,
  type NumberSet,
  union,
  without,
} from "../../protocol/number-set.ts";
import { documentsIn } from "../store/documents.ts";
import type { Plan } from "../store/plans.ts";
import type { PlanningReads, PlanningState, StoredDocument } from "../store/store.ts";
import { isWithin } from "./content.ts";
import { happeningsLog, readersOf, speakerOf, timelinesOf } from "./conversations.ts";
import { messageOf, notedReads } from "./entries.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { OperationRules, Sender } from "./plan.ts";
import { reactionsRef } from "./read-state.ts";

const REACTION_BYTES_MAX = 32;
/** Different reactions to one message. [CNV-24] */
const REACTIONS_MAX = 16;

export function reactReads(operation: React, sender: Sender): PlanningReads {
  return notedReads(sender, operation, reactionsRef);
}

/** A reaction, or one less. What is so already is accepted, and nobody is told. [CNV-23] */
export function planReact(
  operation: React,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const { conversationId, conversationSeq, reaction, remove } = operation;
  const { tenant, userId } = sender;
  const membership = speakerOf(sender, conversationId, state);
  if ("kind" in membership) return membership;
  const found = messageOf(sender, operation, membership, state);
  if ("kind" in found) return found;
  const { own, conversation } = membership;
  const ref = reactionsRef(tenant, conversationId, found.entry.seq);
  const document = documentsIn(state.documents)(ref);
  const requires = [...membership.requires, { ref, revision: document.revision }];
  const { requiresEntries } = found;
  const log = happeningsLog(tenant, conversationId);
  const tallies = talliesIn(document);
  const before = tallies.get(reaction) ?? NO_NUMBERS;
  if (has(before, own.ordinal + 1) === !remove) {
    return nothingPlan(log, { requires, requiresEntries });
  }
  const after = changed(before, own.ordinal + 1, remove);
  if (after.length === 0) tallies.delete(reaction);
  else tallies.set(reaction, after);
  const isValid = reaction !== "" && isWithin(reaction, REACTION_BYTES_MAX);
  if (!isValid || tallies.size > REACTIONS_MAX) {
    return { kind: "refuse", code: ErrorCode.REACTION_REFUSED, requires, requiresEntries };
  }
  const value = { conversationId, conversationSeq, userId, reaction, removed: remove };
  const kind = { case: "reactionChanged" as const, value };
  const isSmall = conversation.members.size <= rules.conversations.fanOutMembersMax;
  const reached = isSmall ? conversation.members.keys() : [userId, found.message.senderUserId];
  return {
    kind: "append",
    log,
    event: toBinary(EventSchema, create(EventSchema, { kind })),
    timelines: timelinesOf(tenant, readersOf(membership, reached, conversationSeq)),
    requires,
    requiresEntries,
    puts: [{ ref, bytes: recordOf(tallies) }],
  };
}

/** Who reacts how, by the ordinals of members, each plus 1. */
export function talliesIn({ bytes }: StoredDocument): Map<string, NumberSet> {
  const { tallies } = fromBinary(ReactionRecordSchema, bytes);
  return new Map(
    tallies.map(({ reaction, members }) => [reaction, decodeNumberSet(members) ?? NO_NUMBERS]),
  );
}

function recordOf(tallies: ReadonlyMap<string, NumberSet>): Uint8Array {
  const listed = [...tallies].map(([reaction, set]) => ({
    reaction,
    members: encodeNumberSet(set),
  }));
  return toBinary(ReactionRecordSchema, create(ReactionRecordSchema, { tallies: listed }));
}

function changed(set: NumberSet, number: number, remove: boolean): NumberSet {
  const one = [{ from: number, through: number }];
  return remove ? without(set, one) : union(set, one);
}
