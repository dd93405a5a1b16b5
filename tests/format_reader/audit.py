"""The audit trail: docs/FORMAT.md section 12."""

import hashlib
import os

from sealing import SEAL, WRAP, Damaged, Fields, hkdf, hmac_sha384, need, open_gcm, u8, u32, u64, unwrap

HEAD, STEP = 4096, 256


class End:
    """How far the trail reaches at least, as the catalog says."""

    def __init__(self, encoded):
        fields = Fields(encoded, "audit_end")
        need(fields.number(1) == 1, "audit_end is of another version")
        self.first, self.file, self.offset, self.records, self.missing, self.cuts = (fields.number(8) for _ in range(6))
        self.chain = fields.raw(48)
        fields.end()


def file_key(root, number, head):
    wrapping = hkdf(root.purpose(b"coffer/1/wal"), root.store_id, b"coffer/1/audit")
    for place in (0, 1):
        moved, wrapped = head[2048 * place], head[2048 * place + 1:2048 * place + 1 + WRAP]
        try:
            return unwrap(wrapping, b"coffer/1/audit-file-key" + root.store_id + u64(number) + u8(place) + u8(moved), wrapped,
                          "the file's key")
        except Damaged:
            continue
    raise Damaged(f"file {number} of the audit trail has no key that opens")


def frames(root, number, data):
    """(end of the frame, chain after it, fields of its content) of each frame, as far as they go."""
    key = file_key(root, number, data[:HEAD])
    chain = hmac_sha384(key, b"coffer/1/audit-file" + root.store_id + u64(number))
    cipher_key = hkdf(key, root.store_id, b"coffer/1/audit-frames")
    at = HEAD
    while at + 4 + SEAL <= len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        end = at + 4 + SEAL + size
        if size == 0 or (4 + SEAL + size) % STEP or end > len(data):
            return
        aad = b"coffer/1/audit-frame" + root.store_id + chain + u32(size)
        try:
            content = open_gcm(cipher_key, data[at + 4:at + 4 + SEAL], aad, data[at + 4 + SEAL:end], "a frame")
        except Damaged:
            return
        chain = hashlib.sha384(b"coffer/1/audit-chain" + chain + data[at:end]).digest()
        at = end
        yield at, chain, Fields(content, "a frame of the audit trail")


def records(root, path, end):
    """All records that are kept, as texts, after proof that they reach to what the catalog names."""
    out, chain, reached, number = [], None, end.file == 0, max(end.first, 1)
    while os.path.exists(name := os.path.join(path, "audit", f"{number:016x}")):
        with open(name, "rb") as file:
            data = file.read()
        for at, after, content in frames(root, number, data):
            kind, before = content.number(1), content.number(8)
            content.raw(16)
            if kind == 1:
                content.raw(8)
                need(chain in (None, content.raw(48)), "a file of the audit trail does not follow the one before")
                first = before if chain is None else first
            else:
                need(before == first + len(out), "records of the audit trail are counted wrongly")
                for _ in range(content.number(4)):
                    out.append(content.raw(content.number(4)).decode())
            chain = after
            if (number, at) == (end.file, end.offset):
                need((first + len(out), chain) == (end.records, end.chain), "the audit trail is another than the catalog says")
                reached = True
        number += 1
    need(reached, "the audit trail does not reach as far as the catalog says")
    return out
