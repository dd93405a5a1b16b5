"""The ciphers and derivations of docs/FORMAT.md, over python3-cryptography. Shares no code with Coffer."""

import ctypes
import ctypes.util
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEAL = 28  # nonce 12, tag 16
WRAP = 92  # salt 32, nonce 12, tag 16, ciphertext 32


class Damaged(Exception):
    """Stored bytes that do not authenticate, or are not as the format says."""


def need(truth, what):
    if not truth:
        raise Damaged(what)


def hkdf(key, salt, info):
    return HKDF(algorithm=hashes.SHA384(), length=32, salt=salt, info=info).derive(key)


def open_gcm(key, seal, aad, ciphertext, what):
    nonce, tag = seal[:12], seal[12:28]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext + tag, aad)
    except InvalidTag:
        raise Damaged(f"{what} does not authenticate") from None


def unwrap(wrapping_key, aad, wrapped, what):
    need(len(wrapped) == WRAP, f"{what} has not the size of a wrap")
    key = hkdf(wrapping_key, wrapped[:32], b"coffer/1/wrap")
    return open_gcm(key, wrapped[32:60], aad, wrapped[60:], what)


def open_xaes(key, nonce, aad, ciphertext_and_tag, what):
    """XAES-256-GCM (C2SP): 24 bytes of nonce, the first 12 of which derive the key for the other 12."""

    def block(data):
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(data)

    subkey = int.from_bytes(block(bytes(16)), "big") << 1
    if subkey >> 128:
        subkey = (subkey & ((1 << 128) - 1)) ^ 0x87
    subkey = subkey.to_bytes(16, "big")
    derived = b""
    for counter in (1, 2):
        message = bytes([0, counter, 0x58, 0]) + nonce[:12]
        derived += block(bytes(a ^ b for a, b in zip(message, subkey)))
    try:
        return AESGCM(derived).decrypt(nonce[12:], ciphertext_and_tag, aad)
    except InvalidTag:
        raise Damaged(f"{what} does not authenticate") from None


def argon2id(passphrase, salt, passes, memory_bytes):
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    out = ctypes.create_string_buffer(32)
    done = sodium.crypto_pwhash(out, ctypes.c_ulonglong(32), passphrase, ctypes.c_ulonglong(len(passphrase)), salt,
                                ctypes.c_ulonglong(passes), ctypes.c_size_t(memory_bytes), ctypes.c_int(2))
    need(done == 0, "Argon2id needs more memory than there is")
    return out.raw


def hmac_sha384(key, message):
    return hmac.new(key, message, hashlib.sha384).digest()


def u8(number):
    return struct.pack("<B", number)


def u16(number):
    return struct.pack("<H", number)


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


def blob16(data):
    return u16(len(data)) + data


def text16(text):
    return blob16(text.encode())


class Fields:
    """Takes the fields of an encoding one after the other."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def raw(self, size):
        need(self.at + size <= len(self.data), f"{self.what} ends too early")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, size):
        return int.from_bytes(self.raw(size), "little")

    def blob16(self):
        return self.raw(self.number(2))

    def text16(self):
        return self.blob16().decode()

    def rest(self):
        return self.raw(len(self.data) - self.at)

    def end(self):
        need(self.at == len(self.data), f"{self.what} is longer than it should be")
