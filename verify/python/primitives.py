"""What a suite is made of, from the `cryptography` package: 11.4 and [ENV-31]."""

import hashlib

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from faults import Fault, Skipped

try:
    from cryptography.hazmat.primitives.asymmetric import mlkem
except ImportError:
    mlkem = None
try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:
    mldsa = None

TAG_BYTES = 16
AEADS = {"aes-128-gcm": 16, "aes-256-gcm": 32, "chacha20-poly1305": 32}


class Aead:
    """[ENV-5]"""

    def __init__(self, name, key):
        if len(key) != AEADS[name]:
            raise ValueError(f"a key of {len(key)} bytes for {name}")
        self._cipher = (ChaCha20Poly1305 if name == "chacha20-poly1305" else AESGCM)(key)

    def seal(self, nonce, header, text):
        return self._cipher.encrypt(nonce, text, header)

    def open(self, nonce, header, body):
        if len(body) < TAG_BYTES:
            raise Fault("tag", f"a body of {len(body)} bytes")
        try:
            return self._cipher.decrypt(nonce, body, header)
        except InvalidTag:
            raise Fault("aead", "the tag does not fit") from None


# --- X-Wing [ENV-25] ---

KEM_KEY, KEM_TEXT, POINT = 1184, 1088, 32
XWING_LABEL = bytes.fromhex("5c2e2f2f5e5c")


class XWingKey:
    """A key pair from its seed of 32 bytes."""

    def __init__(self, seed):
        if mlkem is None:
            raise Skipped("ML-KEM-768")
        expanded = hashlib.shake_256(seed).digest(96)
        self._kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self._curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        self._point = self._curve.public_key().public_bytes_raw()
        self.public = self._kem.public_key().public_bytes_raw() + self._point

    def decapsulate(self, ciphertext):
        if len(ciphertext) != KEM_TEXT + POINT:
            raise Fault("kem", f"an X-Wing ciphertext of {len(ciphertext)} bytes")
        theirs = ciphertext[KEM_TEXT:]
        kem_secret = self._kem.decapsulate(ciphertext[:KEM_TEXT])
        return xwing_combine(kem_secret, agree_x25519(self._curve, theirs), theirs, self._point)


def xwing_combine(kem_secret, curve_secret, curve_text, curve_key):
    parts = kem_secret + curve_secret + curve_text + curve_key + XWING_LABEL
    return hashlib.sha3_256(parts).digest()


def agree_x25519(private, point):
    try:
        return private.exchange(x25519.X25519PublicKey.from_public_bytes(point))
    except ValueError:
        raise Fault("kem", "an X25519 point of low order") from None


def xwing_judge(public):
    """Whether a service can encapsulate to these bytes; the package draws ML-KEM's part itself."""
    if mlkem is None:
        raise Skipped("ML-KEM-768")
    if len(public) != KEM_KEY + POINT:
        raise Fault("kem", f"an X-Wing key of {len(public)} bytes")
    try:
        mlkem.MLKEM768PublicKey.from_public_bytes(public[:KEM_KEY]).encapsulate()
    except ValueError:
        raise Fault("kem", "an ML-KEM key that is not reduced") from None
    agree_x25519(x25519.X25519PrivateKey.generate(), public[KEM_KEY:])


# --- RSAES-OAEP [ENV-21] [ENV-22] ---

OAEP_LABEL = b"posthorn/link/v1/rsa-oaep"
MODULUS_BITS = (2048, 3072, 4096)


class RsaKey:
    """The key pair of an offer, from PKCS #8."""

    def __init__(self, pkcs8):
        self._key = serialization.load_der_private_key(pkcs8, None)
        self.public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.size = self._key.key_size // 8

    def decrypt(self, ciphertext):
        """The secret, or the fault that nobody may be shown. [ENV-24]"""
        both = hashes.SHA256()
        form = padding.OAEP(mgf=padding.MGF1(both), algorithm=both, label=OAEP_LABEL)
        try:
            secret = self._key.decrypt(ciphertext, form)
        except ValueError:
            raise Fault("kem", "OAEP refuses the ciphertext") from None
        if len(secret) != 32:
            raise Fault("kem", f"a secret of {len(secret)} bytes")
        return secret


def rsa_judge(spki):
    """
    [ENV-21]

    Takes the key apart with the library, checks the numbers, and has the library encode it again:
    there is one encoding.
    """
    try:
        key = serialization.load_der_public_key(spki)
    except Exception:
        raise Fault("policy", "not a SubjectPublicKeyInfo") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise Fault("policy", "not an RSA key")
    numbers = key.public_numbers()
    if numbers.n.bit_length() not in MODULUS_BITS or numbers.n % 2 == 0:
        raise Fault("policy", f"a modulus of {numbers.n.bit_length()} bits")
    if numbers.e != 65537:
        raise Fault("policy", f"the exponent {numbers.e}")
    again = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if again != spki:
        raise Fault("policy", "another encoding of the key")


# --- Signatures [ENV-30] [ENV-31] ---

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
ML_DSA_KEY, ML_DSA_SIGNATURE = 1952, 3309


def _edwards_d():
    return -121665 * pow(121666, FIELD - 2, FIELD) % FIELD


def _has_small_order(y):
    """
    Whether a point with this y, if there is one, is of order 1, 2, 4 or 8.

    The neutral point has y = 1, the one of order 2 y = -1, those of order 4 y = 0. Doubling a point
    of order 8 gives y = 0: for x² = -y² that is, and the curve's equation -x² + y² = 1 + d·x²·y²
    then says d·y⁴ + 2·y² - 1 = 0.
    """
    if y in (0, 1, FIELD - 1):
        return True
    return (_edwards_d() * pow(y, 4, FIELD) + 2 * y * y - 1) % FIELD == 0


def _is_sound_point(encoded):
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    return y < FIELD and not _has_small_order(y)


def ed25519_verify(key, text, signature):
    """[ENV-31]"""
    if len(key) != 32 or len(signature) != 64:
        raise Fault("signature", "a wrong length")
    if not _is_sound_point(key) or not _is_sound_point(signature[:32]):
        raise Fault("signature", "a point of small order, or not in its one form")
    if int.from_bytes(signature[32:], "little") >= ORDER:
        raise Fault("signature", "S is not below the order")
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        raise Fault("signature", "Ed25519 refuses it") from None


def ed25519_key(seed):
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)


def ed25519_public(seed):
    return ed25519_key(seed).public_key().public_bytes_raw()


def ml_dsa_65_public(seed):
    if mldsa is None:
        raise Skipped("ML-DSA-65")
    return mldsa.MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def ml_dsa_65_verify(key, text, signature):
    if mldsa is None:
        raise Skipped("ML-DSA-65")
    try:
        mldsa.MLDSA65PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        raise Fault("signature", "ML-DSA-65 refuses it") from None


def verify_identity(keys, algorithm, text, signature):
    """[ENV-30]: the algorithm follows from the keys, and every signature has to be right."""
    ed, ml = keys
    if algorithm != (2 if ml else 1):
        raise Fault("signature", f"algorithm {algorithm} does not belong to these keys")
    if len(signature) != 64 + (ML_DSA_SIGNATURE if ml else 0):
        raise Fault("signature", f"a signature of {len(signature)} bytes")
    ed25519_verify(ed, text, signature[:64])
    if ml:
        ml_dsa_65_verify(ml, text, signature[64:])
