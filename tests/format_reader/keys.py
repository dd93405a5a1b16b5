"""Unlock slots, envelopes and KMS blobs: docs/FORMAT.md sections 1 to 4."""

import hashlib
import json
import os
import time
from dataclasses import dataclass, field

from sealing import (SEAL, WRAP, Damaged, Fields, argon2id, blob16, hkdf, hmac_sha384, need, open_gcm, text16, u8, u16, u32, u64,
                     unwrap)

SSE_S3, KMS, BUCKET_KEY = 1, 2, 3
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ALGORITHMS = {1: "AES256", 2: "aws:kms", 3: "aws:kms:dsse"}


class Root:
    """The root key, the store's id, and what derives from them."""

    def __init__(self, key, store_id):
        self.key, self.store_id = key, store_id

    def purpose(self, label):
        return hkdf(self.key, self.store_id, label)


def slot_key(slot, secret, store_id):
    if slot["kind"] == "passphrase":
        argon2 = slot["argon2id"]
        return argon2id(secret, bytes.fromhex(argon2["salt"]), argon2["passes"], argon2["bytes"])
    return hkdf(secret, store_id, b"coffer/1/unlock-key-file")


def slot_aad(slot, store_id):
    argon2 = slot.get("argon2id", {"passes": 0, "bytes": 0, "salt": ""})
    return (b"coffer/1/unlock-slot" + store_id + text16(slot["id"]) + text16(slot["kind"]) + u64(argon2["passes"])
            + u64(argon2["bytes"]) + blob16(bytes.fromhex(argon2["salt"])))


def recovery_key(words):
    """The 32 bytes of a recovery key as it was printed."""
    letters = "".join(words.split()).replace("-", "").upper().translate(str.maketrans("OIL", "011"))
    number = 0
    for letter in letters:
        number = number * 32 + CROCKFORD.index(letter)
    key, checksum = number.to_bytes(35, "big")[:32], number.to_bytes(35, "big")[32:]
    need(hmac_sha384(key, b"coffer/1/recovery-checksum")[:3] == checksum, "the recovery key's checksum is another")
    return key


def unlock(store, secret, kind):
    """The root and the hash of keyslots.json, by a key file's bytes or a passphrase's."""
    with open(os.path.join(store, "keyslots.json"), "rb") as file:
        text = file.read()
    slots = json.loads(text)
    need(slots["version"] == 1, "keyslots.json is of another version")
    store_id = bytes.fromhex(slots["store"])
    for slot in slots["slots"]:
        if slot["kind"] != kind:
            continue
        try:
            root = unwrap(slot_key(slot, secret, store_id), slot_aad(slot, store_id), bytes.fromhex(slot["wrapped"]), "the slot")
            return Root(root, store_id), hashlib.sha384(text).digest()
        except Damaged:
            continue
    raise Damaged("no unlock slot opens with this secret")


@dataclass
class Layer:
    source: int
    wrapped: bytes
    commitment: bytes


@dataclass
class Envelope:
    store_id: bytes
    object: int
    generation: int
    chunk_size: int
    algorithm: int
    context_arn: str
    kms_key_arn: str
    layers: list = field(default_factory=list)

    @staticmethod
    def decode(data):
        fields = Fields(data, "the envelope")
        need(fields.number(1) == 1, "the envelope is of another version")
        envelope = Envelope(fields.raw(16), fields.number(8), fields.number(4), fields.number(4), fields.number(1),
                            fields.text16(), fields.text16())
        for _ in range(fields.number(1)):
            envelope.layers.append(Layer(fields.number(1), fields.blob16(), fields.raw(32)))
        fields.end()
        sources = [layer.source for layer in envelope.layers]
        need(sources in {1: [[SSE_S3]], 2: [[KMS], [BUCKET_KEY]], 3: [[KMS, SSE_S3]]}.get(envelope.algorithm, []),
             "the envelope's layers do not fit its algorithm")
        need(envelope.object != 0 and 1 <= envelope.chunk_size <= 65536, "the envelope is out of bounds")
        need(bool(envelope.kms_key_arn) == (envelope.algorithm != 1), "the envelope's key ARN does not fit its algorithm")
        return envelope

    def without_commitments(self):
        out = (u8(1) + self.store_id + u64(self.object) + u32(self.generation) + u32(self.chunk_size) + u8(self.algorithm)
               + text16(self.context_arn) + text16(self.kms_key_arn) + u8(len(self.layers)))
        for layer in self.layers:
            out += u8(layer.source) + blob16(layer.wrapped) + bytes(32)
        return out

    def context(self):
        return {"aws:s3:arn": self.context_arn}


def encoded_context(context):
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    return u16(len(pairs)) + b"".join(blob16(name) + blob16(value) for name, value in pairs)


class LocalKms:
    """The keys as the catalog's kms_keys and kms_materials hold them."""

    def __init__(self, root, database):
        self.root = root
        self.wrapping = root.purpose(b"coffer/1/kms")
        self.keys = {row[0]: row[1:]
                     for row in database.execute("SELECT key_id, arn, state, expires FROM kms_keys")}
        self.materials = {(row[0], row[1]): row[2]
                          for row in database.execute("SELECT key_id, material_id, wrapped FROM kms_materials")}

    def decrypt(self, blob, context):
        fields = Fields(blob, "the KMS blob")
        need(fields.number(1) == 1, "the KMS blob is of another version")
        plain_id, material_id = fields.raw(16).hex(), fields.raw(32).hex()
        salt, seal, ciphertext = fields.raw(32), fields.raw(SEAL), fields.rest()
        key_id = "-".join((plain_id[:8], plain_id[8:12], plain_id[12:16], plain_id[16:20], plain_id[20:]))
        need((key_id, material_id) in self.materials, f"key {key_id} has no such material")
        arn, state, expires = self.keys[key_id]
        need(state == 1 and self.materials[key_id, material_id], f"key {key_id} does not serve")
        need(expires is None or time.time_ns() < expires, f"the material of key {key_id} has expired")
        material = unwrap(self.wrapping,
                          b"coffer/1/kms-material" + self.root.store_id + text16(key_id) + text16(material_id),
                          self.materials[key_id, material_id], "the key material")
        aad = b"coffer/1/kms-blob" + text16(arn) + text16(material_id) + encoded_context(context)
        return open_gcm(hkdf(material, salt, b"coffer/1/kms-blob"), seal, aad, ciphertext, "the KMS blob")


def data_key(root, kms, envelope, number):
    layer = envelope.layers[number]
    if layer.source == SSE_S3:
        aad = (b"coffer/1/sse-s3-data-key" + root.store_id + u64(envelope.object) + u32(envelope.generation) + u8(number))
        return unwrap(root.purpose(b"coffer/1/sse-s3"), aad, layer.wrapped, "the data key")
    if layer.source == KMS:
        return kms.decrypt(layer.wrapped, envelope.context())
    fields = Fields(layer.wrapped, "the Bucket Key blob")
    need(fields.number(1) == 1, "the Bucket Key blob is of another version")
    bucket_level = kms.decrypt(fields.blob16(), envelope.context())
    wrapped = fields.raw(WRAP)
    fields.end()
    return unwrap(bucket_level, b"coffer/1/bucket-key-data-key" + encoded_context(envelope.context()), wrapped, "the data key")


class Opener:
    """Opens the chunks of one envelope."""

    def __init__(self, root, kms, envelope):
        need(envelope.store_id == root.store_id, "the envelope is another store's")
        self.envelope = envelope
        self.chunk_keys = []
        commitments = []
        for number in range(len(envelope.layers)):
            key = data_key(root, kms, envelope, number)
            of = u64(envelope.object) + u8(number)
            self.chunk_keys.append(hkdf(key, root.store_id, b"coffer/1/chunk" + of))
            commitments.append(hkdf(key, root.store_id, b"coffer/1/commit" + of))
        bare = envelope.without_commitments()
        for number, (key, layer) in enumerate(zip(commitments, envelope.layers)):
            need(hmac_sha384(key, bare + u8(number))[:32] == layer.commitment, "the commitment does not hold")

    def aad(self, index, length):
        return (u8(1) + self.envelope.store_id + u64(self.envelope.object) + u32(self.envelope.generation) + u8(0)
                + u32(self.envelope.chunk_size) + u64(index) + u32(length))

    def open(self, index, seal, ciphertext):
        need(len(seal) == SEAL * len(self.chunk_keys), "a chunk has another number of layers than its envelope")
        aad = self.aad(index, len(ciphertext))
        what = f"chunk {index}"
        inner = seal[:SEAL]
        if len(self.chunk_keys) == 2:
            ciphertext = open_gcm(self.chunk_keys[1], seal[SEAL:], aad + b"\x01" + inner, ciphertext, f"{what}, outer layer,")
        return open_gcm(self.chunk_keys[0], inner, aad, ciphertext, what)
