import { hostileDevice } from "./properties/hostile-device.ts";
import { hostileService } from "./properties/hostile-service.ts";
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
];
