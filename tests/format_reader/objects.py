"""Finding an object in the catalog and reading its chunks: docs/FORMAT.md sections 8 and 9."""

import os
from dataclasses import dataclass

from catalog import journal
from keys import Envelope, Opener
from sealing import SEAL, Damaged, Fields, hkdf, need, open_gcm, u8, u16, u64

CHUNKS_PER_ROW, SLOTS_PER_ROW = 128, 256
ROOT = 1
FILE = 1


def find(database, path):
    """The inode number that BUCKET/KEY leads to."""
    at = ROOT
    for part in path.split(b"/"):
        row = database.execute("SELECT ino FROM names WHERE parent = ? AND name = ?", (at, part)).fetchone()
        if row is None:
            raise FileNotFoundError(path)
        at = row[0]
    return at


def bits(bitmap):
    return [bitmap[i // 8] >> (i % 8) & 1 for i in range(len(bitmap) * 8)]


def chunks_of_row(row, data, chunk_size):
    """(chunk, slot, length, parity, seal) of each chunk a map row names."""
    fields = Fields(data, "the map row")
    need(fields.number(1) == 1, "the map row is of another version")
    layers = [fields.number(1), fields.number(1)]
    present, parity, short = bits(fields.raw(16)), bits(fields.raw(16)), bits(fields.raw(16))
    for i in range(CHUNKS_PER_ROW):
        if not present[i]:
            continue
        slot = fields.number(1)
        length = fields.number(2) if short[i] else chunk_size
        yield CHUNKS_PER_ROW * row + i, slot, length, parity[i], fields.raw(SEAL * layers[parity[i]])
    fields.end()


HALF = 8192


@dataclass
class Header:
    """What a data file's first slot says of its object."""
    sequence: int
    ino: int
    mode: int
    size: int
    envelope: bytes
    next_envelope: bytes
    bucket: str
    path: bytes


def header_half(root, number, stored, half):
    fields = Fields(stored, "the first slot")
    salt, size, seal = fields.raw(32), fields.number(2), fields.raw(SEAL)
    aad = b"coffer/1/data-file-header" + root.store_id + u64(number) + u8(half) + u16(size)
    key = hkdf(root.purpose(b"coffer/1/data-file-header"), salt, b"coffer/1/data-file-header-half")
    fields = Fields(open_gcm(key, seal, aad, fields.raw(size), "the first slot"), "the first slot")
    need(fields.number(1) == 1, "the first slot is of another version")
    sequence, ino, mode = fields.number(8), fields.number(8), fields.number(4)
    fields.raw(8)  # uid, gid
    size = fields.number(8)
    fields.raw(24 + 16)  # times, rule versions
    envelope, next_envelope, bucket = fields.blob16(), fields.blob16(), fields.text16()
    fields.number(1)
    path = fields.blob16()
    fields.end()
    need(sequence % 2 == half, "the first slot's halves are swapped")
    return Header(sequence, ino, mode, size, envelope, next_envelope, bucket, path)


def header(root, path):
    """The newer half that authenticates."""
    with open(path, "rb") as data_file:
        stored = data_file.read(2 * HALF)
    found = []
    for half in (0, 1):
        try:
            found.append(header_half(root, int(os.path.basename(path), 16), stored[half * HALF:(half + 1) * HALF], half))
        except Damaged:
            pass
    need(found, "no half of the first slot authenticates")
    return max(found, key=lambda half: half.sequence)


def inline_chunk(data):
    fields = Fields(data, "the inline chunk")
    need(fields.number(1) == 1, "the inline chunk is of another version")
    parity, layers, length = fields.number(1), fields.number(1), fields.number(2)
    seal, ciphertext = fields.raw(SEAL * layers), fields.raw(length)
    fields.end()
    return parity, seal, ciphertext


class Object:
    def __init__(self, store, root, kms, database, ino):
        self.store, self.database, self.ino = store, database, ino
        kind, self.size = database.execute("SELECT kind, size FROM inodes WHERE ino = ?", (ino,)).fetchone()
        need(kind == FILE, "this is no regular file")
        row = database.execute("SELECT file, envelope, next_envelope, inline FROM contents WHERE ino = ?", (ino,)).fetchone()
        self.file, envelope, next_envelope, self.inline = row if row else (0, None, None, None)
        self.envelopes = [Envelope.decode(e) for e in (envelope, next_envelope) if e is not None]
        self.journal = journal(database)
        self.openers = {}
        for e in self.envelopes:
            need(e.object == ino, "the envelope is another object's")
            self.openers[e.generation % 2] = Opener(root, kms, e)

    def places(self):
        """(chunk, parity, seal, stored bytes) of every chunk that is no hole, in order."""
        if not self.envelopes:
            return
        chunk_size = self.envelopes[0].chunk_size
        if self.inline is not None:
            parity, seal, ciphertext = inline_chunk(self.inline)
            yield 0, parity, seal, ciphertext
        if self.file == 0:
            return
        name = f"{self.file:016x}"
        with open(os.path.join(self.store, "objects", name[-2:], name), "rb") as data_file:
            rows = self.database.execute("SELECT id, slots FROM maps WHERE id >= ? AND id < ? ORDER BY id",
                                         (self.ino << 24, (self.ino + 1) << 24))
            for number, slots in rows:
                row = number & 0xFFFFFF
                for chunk, slot, length, parity, seal in chunks_of_row(row, slots, chunk_size):
                    kept_seal, ciphertext = self.journal.get((self.ino, chunk), (None, None))
                    if kept_seal != seal:
                        data_file.seek((1 + SLOTS_PER_ROW * row + slot) * chunk_size)
                        ciphertext = data_file.read(length)
                    need(len(ciphertext) == length, "the data file is cut short")
                    yield chunk, parity, seal, ciphertext

    def stored_chunks(self):
        """(chunk, seal, ciphertext), as they are stored."""
        return [(chunk, seal, ciphertext) for chunk, _, seal, ciphertext in self.places()]

    def chunks(self):
        """(offset, plaintext) of every chunk that is no hole, in order."""
        for chunk, parity, seal, ciphertext in self.places():
            need(parity in self.openers, "a chunk is under no envelope of the object")
            yield chunk * self.envelopes[0].chunk_size, self.openers[parity].open(chunk, seal, ciphertext)

    def write_to(self, out):
        """The object's bytes, holes as zeros."""
        at = 0
        for offset, plain in self.chunks():
            need(at <= offset and offset + len(plain) <= self.size, "a chunk lies outside the object")
            write_zeros(out, offset - at)
            out.write(plain)
            at = offset + len(plain)
        write_zeros(out, self.size - at)


def write_zeros(out, count):
    piece = bytes(1 << 20)
    while count > 0:
        count -= out.write(piece[:min(count, len(piece))])
