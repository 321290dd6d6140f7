import { NATIVE_CRYPTO } from "../../platform/native-crypto.ts";
import { SecureSigner } from "../../protocol/secure/identity.ts";
import { drawn } from "../envelope/drawn.ts";

/** A composite key that is the same for the same name. */
export function signerOf(name: string): SecureSigner {
  return new SecureSigner(
    NATIVE_CRYPTO.ed25519Key(drawn(`${name} ed25519`, 32)),
    NATIVE_CRYPTO.mlDsa65Key(drawn(`${name} ml-dsa-65`, 32)),
  );
}
