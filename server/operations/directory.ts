import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type ListDevicesResponse,
  ListDevicesResponseSchema,
} from "../../gen/posthorn/v1/directory_pb.ts";
import { ErrorCode } from "../../gen/posthorn/v1/error_pb.ts";
import { EventSchema } from "../../gen/posthorn/v1/event_pb.ts";
import type { PublishDevice, RevokeDevice } from "../../gen/posthorn/v1/operation_pb.ts";
import type { DeviceCertificate } from "../../gen/posthorn/v1/secure_pb.ts";
import { equalBytes } from "../../protocol/envelope/octets.ts";
import type { CryptoProvider } from "../../protocol/envelope/provider.ts";
import { nameOfCertificate, readCertificate, sameKeys } from "../../protocol/secure/identity.ts";
import { documentsIn, namesIn } from "../store/documents.ts";
import type { AppendPlan, Plan } from "../store/plans.ts";
import {
  type DeviceRef,
  type DocumentRef,
  documentRefOf,
  type PlanningState,
  type StoredDocument,
  unnumberedLogRefOf,
  userRefOf,
} from "../store/store.ts";
import { nothingPlan } from "./nothing-plan.ts";
import type { OperationRules, Sender } from "./plan.ts";

/** How many devices a user may have in its directory. [SEC-84] */
export const DIRECTORY_DEVICES_MAX = 16;

/** A user's directory, as it is kept and answered. */
export function directoryRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `directory:${userId}`);
}

/** Who is told of changes of a user's directory. [SEC-86] */
export function watchersRef(tenant: string, userId: string): DocumentRef {
  return documentRefOf(tenant, `watchers:${userId}`);
}

/** What only one user's devices are told: neither of these is in a conversation. */
export function ownLog(tenant: string, userId: string) {
  return unnumberedLogRefOf(tenant, `user:${userId}`);
}

export interface Directory {
  readonly revision: number;
  readonly accountKey: ListDevicesResponse["accountKey"];
  readonly devices: ReadonlyMap<string, DeviceCertificate>;
}

/** Decoded once for as long as its bytes are held. */
const DECODED = new WeakMap<StoredDocument, Directory>();

/** A directory as the store has it: it was encoded below. */
export function directoryIn(document: StoredDocument, crypto: CryptoProvider): Directory {
  const known = DECODED.get(document);
  if (known !== undefined) return known;
  const { accountKey, devices: listed } = fromBinary(ListDevicesResponseSchema, document.bytes);
  const devices = new Map<string, DeviceCertificate>();
  for (const certificate of listed) {
    const deviceId = nameOfCertificate(crypto, certificate)?.deviceId;
    if (deviceId !== undefined) devices.set(deviceId, certificate);
  }
  const directory = { revision: document.revision, accountKey, devices };
  DECODED.set(document, directory);
  return directory;
}

export function directoryReads(sender: Sender): readonly DocumentRef[] {
  const { tenant, userId } = sender;
  return [directoryRef(tenant, userId), watchersRef(tenant, userId)];
}

/** Puts a device into the sender's directory. [SEC-82] [SEC-83] [SEC-84] [SEC-85] */
export function planPublishDevice(
  { revision, accountKey, certificate }: PublishDevice,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  if (accountKey === undefined || certificate === undefined) {
    return { kind: "refuse", code: ErrorCode.CERTIFICATE_INVALID };
  }
  const own = ownDirectory(sender, state, rules);
  const refuse = refusalOn(own.requires);
  if (BigInt(own.directory.revision) !== revision) return refuse(ErrorCode.DIRECTORY_CHANGED);
  const expected = { account: accountKey, userId: sender.userId, nowMs: state.nowMs };
  const device = readCertificate(rules.crypto, certificate, expected);
  if ("code" in device) return refuse(ErrorCode.CERTIFICATE_INVALID);
  const before = own.directory.accountKey;
  const isSameAccount = before !== undefined && sameKeys(before, accountKey);
  const devices = new Map(isSameAccount ? own.directory.devices : []);
  const listed = devices.get(device.deviceId);
  if (listed !== undefined && isSame(listed, certificate)) {
    // [SEC-99]
    return nothingPlan(ownLog(sender.tenant, sender.userId), { requires: own.requires });
  }
  devices.set(device.deviceId, certificate);
  if (devices.size > DIRECTORY_DEVICES_MAX) return refuse(ErrorCode.DIRECTORY_FULL);
  const gone = isSameAccount ? [] : [...own.directory.devices.keys()];
  return changePlan(own, { accountKey, devices }, gone);
}

/** Takes a device out of the sender's directory. [SEC-85] [SEC-92] */
export function planRevokeDevice(
  { revision, deviceId }: RevokeDevice,
  sender: Sender,
  state: PlanningState,
  rules: OperationRules,
): Plan {
  const own = ownDirectory(sender, state, rules);
  const refuse = refusalOn(own.requires);
  const { accountKey, devices: listed } = own.directory;
  if (BigInt(own.directory.revision) !== revision) return refuse(ErrorCode.DIRECTORY_CHANGED);
  const devices = new Map(listed);
  if (!devices.delete(deviceId)) return refuse(ErrorCode.DEVICE_UNKNOWN);
  return changePlan(own, { accountKey, devices }, [deviceId]);
}

interface OwnDirectory {
  readonly sender: Sender;
  readonly directory: Directory;
  readonly watchers: readonly string[];
  readonly requires: NonNullable<AppendPlan["requires"]>;
}

function ownDirectory(sender: Sender, state: PlanningState, rules: OperationRules): OwnDirectory {
  const { tenant, userId } = sender;
  const read = documentsIn(state.documents);
  const refs = [directoryRef(tenant, userId), watchersRef(tenant, userId)] as const;
  const [directory, watchers] = [read(refs[0]), read(refs[1])];
  return {
    sender,
    directory: directoryIn(directory, rules.crypto),
    watchers: namesIn(watchers),
    // Who began to watch meanwhile has to be told as well.
    requires: [
      { ref: refs[0], revision: directory.revision },
      { ref: refs[1], revision: watchers.revision },
    ],
  };
}

function refusalOn(requires: OwnDirectory["requires"]): (code: ErrorCode) => Plan {
  return (code) => ({ kind: "refuse", code, requires });
}

function isSame(one: DeviceCertificate, other: DeviceCertificate): boolean {
  return equalBytes(one.core, other.core) && equalBytes(one.signature, other.signature);
}

/** The change, told to the user and to those who watch. [SEC-86] */
function changePlan(
  { sender, directory, watchers, requires }: OwnDirectory,
  next: Pick<Directory, "accountKey" | "devices">,
  gone: readonly string[],
): Plan {
  const { tenant, userId } = sender;
  const user = userRefOf(tenant, userId);
  const revision = BigInt(directory.revision + 1);
  const changed = { case: "directoryChanged" as const, value: { userId, revision } };
  const kept = create(ListDevicesResponseSchema, { devices: [...next.devices.values()] });
  if (next.accountKey !== undefined) kept.accountKey = next.accountKey;
  const bytes = toBinary(ListDevicesResponseSchema, kept);
  const erases: readonly DeviceRef[] = gone.map((deviceId) => ({ user, deviceId }));
  return {
    kind: "append",
    log: ownLog(tenant, userId),
    event: toBinary(EventSchema, create(EventSchema, { kind: changed })),
    timelines: [user, ...watchers.map((name) => userRefOf(tenant, name))],
    requires,
    puts: [{ ref: directoryRef(tenant, userId), bytes }],
    erases,
  };
}
