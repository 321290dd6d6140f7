import { bytePipe } from "./properties/byte-pipe.ts";
import { BYTE_PROPERTIES } from "./properties/bytes.ts";
import { delimiting, frameRules } from "./properties/framing.ts";
import { hostileDevice } from "./properties/hostile-device.ts";
import { hostileService } from "./properties/hostile-service.ts";
import { hotCodecsRead, hotCodecsWrite } from "./properties/hot-codecs.ts";
import { session, words } from "./properties/session.ts";
import { stores } from "./properties/store.ts";
import type { Property } from "./property.ts";

/** Every property, in the order in which they run. */
export const PROPERTIES: readonly Property[] = [
  session,
  words,
  hostileDevice,
  hostileService,
  stores,
  delimiting,
  frameRules,
  hotCodecsWrite,
  hotCodecsRead,
  bytePipe,
  ...BYTE_PROPERTIES,
];
