import { buckets } from "./properties/buckets.ts";
import { bytePipe } from "./properties/byte-pipe.ts";
import { BYTE_PROPERTIES } from "./properties/bytes.ts";
import {
  conversationsMentions,
  conversationsRecall,
  conversationsReceipts,
  conversationsRoles,
} from "./properties/conversation-laws.ts";
import { conversationsMarks } from "./properties/conversation-marks.ts";
import { conversationView } from "./properties/conversation-view.ts";
import {
  conversationsLmdb,
  conversationsModel,
  conversationsServices,
} from "./properties/conversations.ts";
import { deviceLogin } from "./properties/device-login.ts";
import { devices } from "./properties/devices.ts";
import { envelopeCoreBytes } from "./properties/envelope-core-bytes.ts";
import { envelopeAgree, envelopeTamper } from "./properties/envelope-handshake.ts";
import { envelopeImpostor } from "./properties/envelope-impostor.ts";
import { envelopeLogin } from "./properties/envelope-login.ts";
import { envelopeProviders } from "./properties/envelope-providers.ts";
import { envelopeBytes, envelopePadding, envelopeRecords } from "./properties/envelope-records.ts";
import { envelopeRsaKey, envelopeRsaOracle } from "./properties/envelope-rsa.ts";
import { envelopeSealed } from "./properties/envelope-sealed.ts";
import { envelopeTicketRace } from "./properties/envelope-ticket-race.ts";
import { envelopeTickets } from "./properties/envelope-tickets.ts";
import { delimiting, frameRules } from "./properties/framing.ts";
import { hostileDevice } from "./properties/hostile-device.ts";
import { hostileService } from "./properties/hostile-service.ts";
import { hotCodecsRead, hotCodecsWrite } from "./properties/hot-codecs.ts";
import { linkFirstBytes } from "./properties/link-first-bytes.ts";
import { linkFraming } from "./properties/link-framing.ts";
import { linkLongPoll } from "./properties/link-longpoll.ts";
import { linkLongPollCut } from "./properties/link-longpoll-cut.ts";
import { linkLongPollForms } from "./properties/link-longpoll-forms.ts";
import { linkSession } from "./properties/link-session.ts";
import { linkWebSocket } from "./properties/link-websocket.ts";
import { numberSets } from "./properties/number-sets.ts";
import { readBitmap } from "./properties/read-bitmap.ts";
import { secureBinding } from "./properties/secure-binding.ts";
import {
  secureCrossing,
  secureExpiry,
  secureHalfOpen,
  secureReplay,
} from "./properties/secure-chats.ts";
import {
  secureCross,
  secureFranking,
  securePadding,
  secureSalamander,
} from "./properties/secure-commitment.ts";
import { secureErasure, secureFaults } from "./properties/secure-erasure.ts";
import { secureAgree, secureSplice, secureTamper } from "./properties/secure-handshake.ts";
import {
  secureCertificates,
  secureComposite,
  secureContexts,
  secureIds,
  secureNumber,
} from "./properties/secure-identity.ts";
import { secureInteraction } from "./properties/secure-interaction.ts";
import { secureMessages, secureWindow } from "./properties/secure-messages.ts";
import { secureConverge, secureProgress, secureTurns } from "./properties/secure-ratchet.ts";
import { secureFuture, securePast } from "./properties/secure-secrecy.ts";
import { session, words } from "./properties/session.ts";
import { signals } from "./properties/signals.ts";
import { stores } from "./properties/store.ts";
import type { Property } from "./property.ts";

/** Every property, in the order in which they run. */
export const PROPERTIES: readonly Property[] = [
  session,
  words,
  hostileDevice,
  hostileService,
  conversationView,
  signals,
  stores,
  conversationsModel,
  conversationsLmdb,
  conversationsServices,
  conversationsRecall,
  conversationsMentions,
  conversationsRoles,
  conversationsReceipts,
  conversationsMarks,
  numberSets,
  buckets,
  devices,
  delimiting,
  frameRules,
  hotCodecsWrite,
  hotCodecsRead,
  bytePipe,
  readBitmap,
  ...BYTE_PROPERTIES,
  envelopeAgree,
  envelopeTamper,
  envelopeImpostor,
  envelopeCoreBytes,
  envelopeBytes,
  envelopeRsaKey,
  envelopeRsaOracle,
  envelopeTickets,
  envelopeTicketRace,
  envelopeLogin,
  deviceLogin,
  envelopeRecords,
  envelopePadding,
  envelopeProviders,
  envelopeSealed,
  secureAgree,
  secureSplice,
  secureTamper,
  secureCertificates,
  secureComposite,
  secureContexts,
  secureIds,
  secureNumber,
  secureMessages,
  secureWindow,
  secureCross,
  secureFranking,
  securePadding,
  secureSalamander,
  secureConverge,
  secureProgress,
  secureTurns,
  secureFuture,
  securePast,
  secureCrossing,
  secureExpiry,
  secureHalfOpen,
  secureReplay,
  secureErasure,
  secureFaults,
  secureInteraction,
  secureBinding,
  linkFirstBytes,
  linkFraming,
  linkWebSocket,
  linkSession,
  linkLongPoll,
  linkLongPollCut,
  linkLongPollForms,
];
