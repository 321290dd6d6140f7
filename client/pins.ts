import { parsePin } from "../protocol/envelope/identity.ts";

/**
 * The pins in a URL's fragment: `#pin=TEXT`, more of them with `&pin=`. Browser-safe. [ENV-28]
 *
 * @throws TypeError for a pin that is none
 */
export function pinsOf(url: string): Uint8Array[] {
  const texts = new URLSearchParams(new URL(url).hash.slice(1)).getAll("pin");
  return texts.map((text) => {
    const pin = parsePin(text);
    if ("code" in pin) throw new TypeError(`${url}: ${pin.detail}`);
    return pin;
  });
}
