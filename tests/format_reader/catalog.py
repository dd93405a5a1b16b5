"""The sealed catalog as a plain SQLite database in memory: docs/FORMAT.md sections 5 to 7."""

import os
import sqlite3
from dataclasses import dataclass

from sealing import SEAL, Damaged, Fields, hkdf, need, open_gcm, open_xaes, u8, u32, u64

PAGE, RESERVED = 4096, 40
CONTENT = PAGE - RESERVED
SLOT, SALT = 4096, 32
HEADER, FRAMES_AT = 4096, 8192
FRAME_HEAD = 24
CHILDREN = 240
NODE = CHILDREN * 16 + CHILDREN // 8
XAES_SEAL = 40
FRAME = SEAL + 16 + FRAME_HEAD + CONTENT


@dataclass
class Superblock:
    sequence: int
    log_salt: bytes
    frames_before: int
    digest: bytes
    database_pages: int
    tags: bytes  # the encoded root of the page tags


@dataclass
class Frame:
    page: int
    database_pages: int
    data_synced: int
    log_synced: int
    content: bytes
    previous: bytes
    tag: bytes


def read(store, name):
    with open(os.path.join(store, name), "rb") as file:
        return file.read()


def superblock_slot(root, data, slot):
    stored = data[slot * SLOT:(slot + 1) * SLOT]
    need(len(stored) == SLOT, "coffer.tags is too short")
    key = hkdf(root.purpose(b"coffer/1/superblock"), stored[:SALT], b"coffer/1/superblock-slot")
    aad = b"coffer/1/superblock" + root.store_id + u8(slot)
    content = open_gcm(key, stored[SALT:SALT + SEAL], aad, stored[SALT + SEAL:], f"superblock slot {slot}")
    fields = Fields(content, "the superblock")
    return Superblock(fields.number(8), fields.raw(32), fields.number(8), fields.raw(16), fields.number(4),
                      fields.raw(NODE))


def superblock(root, data):
    found = []
    for slot in (0, 1):
        try:
            found.append(superblock_slot(root, data, slot))
        except Damaged:
            pass
    need(found, "no superblock slot authenticates")
    return max(found, key=lambda block: block.sequence)


def block_of(level, node):
    """The number of the first of a node's two places."""
    return (2 + 115682 * node, 4 + 115682 * (node // 240) + 482 * (node % 240),
            6 + 115682 * (node // 57600) + 482 * (node // 240 % 240) + 2 * (node % 240))[2 - level]


class PageTags:
    """The tags of all pages, as coffer.tags has them."""

    def __init__(self, root, block, data):
        self.root, self.top, self.data = root, block.tags, data
        self.key = root.purpose(b"coffer/1/page-tags")
        self.nodes = {}

    def node(self, level, number):
        if level == 3:
            return self.top
        if (level, number) not in self.nodes:
            self.nodes[level, number] = self.open(level, number)
        return self.nodes[level, number]

    def open(self, level, number):
        above, child = self.node(level + 1, number // CHILDREN), number % CHILDREN
        tag = above[child * 16:child * 16 + 16]
        copy = above[CHILDREN * 16 + child // 8] >> child % 8 & 1
        at = (block_of(level, number) + copy) * PAGE
        stored, what = self.data[at:at + PAGE], f"coffer.tags at {at}"
        need(len(stored) == PAGE and stored[-16:] == tag, f"{what} is not what was last written there")
        aad = b"coffer/1/page-tags" + self.root.store_id + u8(level) + u32(number) + u8(copy)
        return open_xaes(self.key, stored[-XAES_SEAL:-16], aad, stored[:-XAES_SEAL] + stored[-16:], what)[:NODE]

    def of(self, page):
        child = (page - 1) % CHILDREN
        return self.node(0, (page - 1) // CHILDREN)[child * 16:child * 16 + 16]


def page_of(root, key, data, tags, number):
    stored = data[(number - 1) * PAGE:number * PAGE]
    need(len(stored) == PAGE, f"page {number} is missing")
    ciphertext, nonce, tag = stored[:CONTENT], stored[CONTENT:CONTENT + 24], stored[CONTENT + 24:]
    need(tag == tags.of(number), f"page {number} is not what was last written there")
    aad = b"coffer/1/catalog-page" + root.store_id + u32(number)
    return open_xaes(key, nonce, aad, ciphertext + tag, f"page {number}")


class Log:
    """One generation of coffer.db-wal."""

    def __init__(self, root, block, data):
        self.root, self.block, self.data = root, block, data
        self.key = hkdf(root.purpose(b"coffer/1/wal"), block.log_salt, b"coffer/1/log-generation")
        at = block.sequence % 2 * HEADER
        stored = data[at:at + HEADER]
        need(len(stored) == HEADER, "the log is too short")
        aad = b"coffer/1/log-header" + root.store_id + block.log_salt
        header = open_gcm(self.key, stored[:SEAL], aad, stored[SEAL:], "the log's header")
        self.boot_id = Fields(header, "the log's header").text16()
        self.header_tag = stored[12:28]

    def frame(self, number):
        """The frame with this number, or None where there is none that authenticates."""
        at = FRAMES_AT + (number - self.block.frames_before) * FRAME
        stored = self.data[at:at + FRAME]
        seal, previous = stored[:SEAL], stored[SEAL:SEAL + 16]
        if not any(seal):
            return None
        aad = b"coffer/1/log-frame" + self.root.store_id + self.block.log_salt + u64(number) + previous
        try:
            fields = Fields(open_gcm(self.key, seal, aad, stored[SEAL + 16:], "a frame"), "a frame")
        except Damaged:
            return None
        return Frame(fields.number(4), fields.number(4), fields.number(8), fields.number(8), fields.rest(), previous,
                     seal[12:])

    def chain(self):
        """The frames that follow each other from the first on, and whether others stand behind a gap."""
        frames, tag, ended, hole = [], self.header_tag, False, False
        for i in range(max(0, len(self.data) - FRAMES_AT) // FRAME):
            frame = self.frame(self.block.frames_before + i)
            ended = ended or frame is None or frame.previous != tag
            if not ended:
                frames.append(frame)
                tag = frame.tag
            elif frame is not None:
                need(frame.log_synced <= self.block.frames_before + len(frames), "a frame that was once synced is gone")
                hole = True
        return frames, hole

    def committed(self, boot_id, store):
        """The frames up to the last commit that counts."""
        frames, hole = self.chain()
        before = self.block.frames_before
        last = max([before] + [frame.data_synced for frame in frames])
        ends = max([before] + [before + i + 1 for i, frame in enumerate(frames) if frame.database_pages > 0])
        if self.boot_id == boot_id and not hole and ends > last:
            contents = [frame.content for frame in frames[last - before:ends - before] if frame.page == 0]
            if are_in_data_files([row for content in contents for row in map_rows(content)], store):
                last = ends
        need(last - before <= len(frames), "a frame counts on frames that are not there")
        used = frames[:last - before]
        need(not used or used[-1].database_pages > 0, "a commit that was synced has no end")
        return used


def map_rows(content):
    """What a frame without a page says a commit counts on: (file, row, chunk size, slots named, {slot: (length, fold)})."""
    fields, rows = Fields(content, "a frame's map rows"), []
    for _ in range(fields.number(2)):
        file, row, chunk_size = fields.number(8), fields.number(4), fields.number(4)
        bits = fields.number(32)
        named = {slot for slot in range(256) if bits >> slot & 1}
        slots = {fields.number(1): (fields.number(2) or chunk_size, fields.number(4)) for _ in range(fields.number(2))}
        need(slots.keys() <= named and all(length <= chunk_size for length, _ in slots.values()), "a map row is not sound")
        rows.append((file, row, chunk_size, named, slots))
    need(not any(fields.rest()), "a frame has more than its map rows")
    return rows


def fold(ciphertext):
    folded = 0
    for at in range(0, len(ciphertext), 512):
        folded ^= int.from_bytes(ciphertext[at:at + 4], "little")
    return folded


def are_in_data_files(rows, store):
    asked = {}
    for file, row, chunk_size, named, slots in rows:
        if file == 0:
            asked = {}
            continue
        kept = asked.setdefault((file, row, chunk_size), {})
        for slot in [slot for slot in kept if slot not in named]:
            del kept[slot]
        kept.update(slots)
    for (file, row, chunk_size), slots in asked.items():
        path = os.path.join(store, "objects", f"{file % 256:02x}", f"{file:016x}")
        for slot, (length, wanted) in slots.items():
            try:
                with open(path, "rb") as data:
                    data.seek((1 + 256 * row + slot) * chunk_size)
                    found = data.read(length)
            except FileNotFoundError:
                return False
            except OSError:
                continue
            if len(found) < length or fold(found) != wanted:
                return False
    return True


def log_of(root, store):
    return Log(root, superblock(root, read(store, "coffer.tags")), read(store, "coffer.db-wal"))


def image(root, store, boot_id):
    """The database file as SQLite would have it, were nothing sealed."""
    log = log_of(root, store)
    frames = log.committed(boot_id, store)
    sizes = [frame.database_pages for frame in frames if frame.database_pages > 0] or [log.block.database_pages]
    logged = {frame.page: frame.content for frame in frames if frame.page != 0}
    kept = min(sizes + [log.block.database_pages])
    database, key = read(store, "coffer.db"), root.purpose(b"coffer/1/catalog-pages")
    tags = PageTags(root, log.block, read(store, "coffer.tags"))

    def content(number):
        if number in logged:
            return logged[number]
        return page_of(root, key, database, tags, number) if number <= kept else bytes(CONTENT)

    return b"".join(content(number) + bytes(RESERVED) for number in range(1, sizes[-1] + 1))


def open_catalog(root, store, boot_id, keyslots_hash):
    plain = bytearray(image(root, store, boot_id))
    plain[18:20] = b"\x01\x01"  # the log is in the image already: no WAL mode
    database = sqlite3.connect(":memory:")
    database.deserialize(bytes(plain))
    need(database.execute("PRAGMA integrity_check").fetchone() == ("ok",), "SQLite finds the catalog damaged")
    meta = dict(database.execute("SELECT name, value FROM meta"))
    need(meta["format_version"] in (1, 2, 3), "the store is of another version")
    need(meta["store_id"] == root.store_id, "the catalog is another store's")
    need(keyslots_hash in (meta["keyslots_hash"], meta.get("keyslots_next_hash")), "keyslots.json is not the catalog's")
    return database


def journal(database):
    """{(ino, chunk): (seal, ciphertext)} of the rows that count."""
    rows = database.execute("SELECT value FROM meta WHERE name = 'journal_rows'").fetchone()
    if not rows or rows[0] == 0:
        return {}
    return {(ino, chunk): (seal, ciphertext) for ino, chunk, seal, ciphertext in
            database.execute("SELECT ino, chunk, seal, bytes FROM journal WHERE row <= ?", rows)}


def restored(database):
    """(commit counter, time in ns) of the copy that a repair once put in place; None: there was none."""
    meta = dict(database.execute("SELECT name, value FROM meta"))
    found = [meta.get(name) for name in ("restored_commit", "restored_made")]
    if found == [None, None]:
        return None
    need(all(isinstance(value, int) and value >= 0 for value in found), "the mark of a repair is half there")
    need(found[0] <= meta["commit_counter"], "the catalog is older than the copy it was restored from")
    return tuple(found)
