import type { DeviceCertificate } from "../../gen/posthorn/v1/secure_pb.ts";
import type { CryptoProvider } from "../envelope/provider.ts";
import type { Plain } from "../plain.ts";
import type { Violation } from "../violation.ts";
import {
  type CertificateExpectation,
  type CertifiedDevice,
  isCertificateSigned,
  readCertificate,
  type SecureKeys,
} from "./identity.ts";
import { SECURE_LABEL, secureHash } from "./schedule.ts";

/** As many as a device has sessions at most; of some 300 bytes each. [SEC-102] */
export const JUDGED_MAX = 1_024;

/**
 * Certificates whose signatures were looked at, those used last: the same bytes under the same
 * account key are as good or as bad as before. Whether one is in force is judged each time. [SEC-9]
 */
export class JudgedCertificates {
  readonly #crypto: CryptoProvider;
  /** By a hash of everything that is judged; the one used last is last. */
  readonly #signed = new Map<string, boolean>();

  constructor(crypto: CryptoProvider) {
    this.#crypto = crypto;
  }

  /** As {@link readCertificate}. */
  read(
    certificate: Plain<DeviceCertificate>,
    expectation: CertificateExpectation,
  ): CertifiedDevice | Violation {
    const isSigned = (account: SecureKeys) => this.#isSigned(certificate, account);
    return readCertificate(this.#crypto, certificate, { ...expectation, isSigned });
  }

  #isSigned(certificate: Plain<DeviceCertificate>, account: SecureKeys): boolean {
    const { core, signature } = certificate;
    const items = [account.ed25519, account.mlDsa65, core, signature];
    const key = secureHash(this.#crypto, `${SECURE_LABEL} judged`, items).join();
    const isSigned =
      this.#signed.get(key) ?? isCertificateSigned(this.#crypto, certificate, account);
    this.#signed.delete(key);
    this.#signed.set(key, isSigned);
    for (const oldest of this.#signed.keys()) {
      if (this.#signed.size <= JUDGED_MAX) break;
      this.#signed.delete(oldest);
    }
    return isSigned;
  }
}
