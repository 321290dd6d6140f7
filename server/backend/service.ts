import type { BackendService } from "../../gen/posthorn/v1/backend_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { COUNTER_MAX, DEVICE_ID_PATTERN, USER_ID_PATTERN } from "../../protocol/limits.ts";
import type { Backend } from "../auth/authenticate.ts";
import type { Caller } from "../services/access.ts";
import { CallRefused, type Implementation } from "../services/service.ts";
import { type Store, userRefOf } from "../store/store.ts";
import type { Streams } from "./streams.ts";

/** Does what backends ask for. [BCK-4] to [BCK-12] */
export function backendService(
  store: Pick<Store, "ensureUser">,
  streams: Streams,
): Implementation<typeof BackendService> {
  return {
    ensureUser: async ({ userId }, { tenant }) => {
      return { created: await store.ensureUser(userRefOf(tenant, userIdIn(userId))) };
    },

    submitAs: async ({ stream, seq, asUserId, operation }, caller) => {
      const outcome = await streams.submit({
        backend: backendIn(caller),
        stream: streamIn(stream),
        seq: seqIn(seq),
        asUserId: userIdIn(asUserId),
        operation,
      });
      const { code, conversationSeq, committedMs } = outcome;
      return {
        code,
        conversationSeq: BigInt(conversationSeq),
        committedMs: BigInt(committedMs),
      };
    },

    getStream: async ({ stream }, caller) => {
      return { nextSeq: BigInt(await streams.nextSeq(backendIn(caller), streamIn(stream))) };
    },
  };
}

/** The access rule has let nobody else in. */
function backendIn({ tenant, backendId }: Caller): Backend {
  if (backendId === undefined) throw new CallRefused(ErrorCode.NOT_PERMITTED);
  return { tenant, backendId };
}

function userIdIn(userId: string): string {
  if (!USER_ID_PATTERN.test(userId)) throw new CallRefused(ErrorCode.USER_ID_INVALID);
  return userId;
}

function streamIn(stream: string): string {
  if (!DEVICE_ID_PATTERN.test(stream)) throw new CallRefused(ErrorCode.CALL_MALFORMED);
  return stream;
}

/** 1 to 2^53-1. */
function seqIn(seq: bigint): number {
  if (seq < 1n || seq > BigInt(COUNTER_MAX)) {
    throw new CallRefused(ErrorCode.COUNTER_OUT_OF_RANGE);
  }
  return Number(seq);
}
