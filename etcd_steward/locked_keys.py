"""Writes a private key under a passphrase, so that guessing it costs what the passphrase is worth.

The library encrypts PKCS #8 with PBKDF2 of 2048 rounds and lets nobody choose more (cryptography 50.0), so the frame of
the same format is written here: PBES2 of RFC 8018, with PBKDF2 over HMAC-SHA-256 and AES-256 in CBC mode. OpenSSL and the
library read it as any other.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

__all__ = ["ROUNDS", "locked_text"]

# OWASP's number for PBKDF2 with HMAC-SHA-256; about a third of a second on a desktop, for whoever guesses too.
ROUNDS = 600_000
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("300c06082a864886f70d02090500")
_AES256_CBC = bytes.fromhex("060960864801650304012a")
_OCTETS, _INTEGER, _SEQUENCE = 0x04, 0x02, 0x30
_SHORT = 0x80  # lengths below it take one byte


def locked_text(key: CertificateIssuerPrivateKeyTypes, passphrase: str) -> str:
    """Write a key as PEM, encrypted.

    Args:
        key: the key.
        passphrase: what opens it.

    Returns:
        The text of the file.
    """
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, start = secrets.token_bytes(16), secrets.token_bytes(16)
    derived = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ROUNDS, 32)
    padder = padding.PKCS7(algorithms.AES256.block_size).padder()
    encryptor = Cipher(algorithms.AES256(derived), modes.CBC(start)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    rounds = ROUNDS.to_bytes(ROUNDS.bit_length() // 8 + 1, "big")
    derivation = _sequence(_PBKDF2, _sequence(_der(_OCTETS, salt), _der(_INTEGER, rounds), _HMAC_SHA256))
    encryption = _sequence(_AES256_CBC, _der(_OCTETS, start))
    whole = _sequence(_sequence(_PBES2, _sequence(derivation, encryption)), _der(_OCTETS, sealed))
    return _pem(whole)


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _SHORT:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT | len(length))) + length + content


def _pem(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(
        ["-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", ""]
    )
