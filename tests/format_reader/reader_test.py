"""docs/FORMAT.md is enough to read a store: what was written through the mount comes out of the reader, which shares no
code with Coffer; and what was damaged does not."""

import io
import json
import os
import subprocess
import sys
import time
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "mount")]

from mounted import MountTest, Scratch, coffer, content, main, read_file, wait_for, write_file  # noqa: E402

import audit  # noqa: E402
import catalog  # noqa: E402
import coffer_reader  # noqa: E402
import keys  # noqa: E402
import objects  # noqa: E402
import sealing  # noqa: E402

CHUNK = 16384
INLINE = 8192
SIZES = (0, 1, INLINE - 1, INLINE, INLINE + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5, 129 * CHUNK + 7)
SCHEMES = {
    "sse-s3": ("AES256", False),
    "sse-kms": ("aws:kms", False),
    "bucket-key": ("aws:kms", True),
    "dsse-kms": ("aws:kms:dsse", False),
}


def sparse(path):
    """Holes before, between and behind data; what it reads as."""
    pieces = {5 * CHUNK + 100: content("a", 300), 200 * CHUNK: content("b", 2 * CHUNK)}
    size = 300 * CHUNK + 17
    expected = bytearray(size)
    with open(path, "wb") as file:
        for offset, piece in pieces.items():
            file.seek(offset)
            file.write(piece)
            expected[offset:offset + len(piece)] = piece
        file.truncate(size)
    return bytes(expected)


def rewritten(path):
    """Changed in place, cut and grown again after it was durable; what it reads as."""
    expected = bytearray(content("c", 10 * CHUNK))
    write_file(path, expected, sync=True)
    with open(path, "r+b") as file:
        for offset in (0, 3 * CHUNK - 10, 9 * CHUNK):
            piece = content(offset, 100)
            file.seek(offset)
            file.write(piece)
            expected[offset:offset + len(piece)] = piece
        file.flush()
        os.fsync(file.fileno())
        file.truncate(4 * CHUNK + 50)
        file.truncate(6 * CHUNK)
    expected[4 * CHUNK + 50:] = bytes(2 * CHUNK - 50)
    return bytes(expected)


def read(store, name):
    out = io.BytesIO()
    store.object(name.encode()).write_to(out)
    return out.getvalue()


class ReaderTest(MountTest):
    def opened(self, at=None, key=None):
        at = at or self.at
        return coffer_reader.Store(at.store, read_file(key or os.path.join(at.store, "unlock.key")))

    def buckets(self):
        """One of each scheme; the ARN of their KMS key."""
        key = self.at.create_key()
        for bucket, (sse, bucket_key) in SCHEMES.items():
            self.at.bucket(bucket, sse, None if sse == "AES256" else key, bucket_key)
            os.mkdir(self.at.path(bucket, "folder"))
        return key


class Reader(ReaderTest):
    def written(self):
        """One object of each scheme and shape; name -> content."""
        self.buckets()
        expected = {}
        for bucket in SCHEMES:
            for size in SIZES:
                expected[f"{bucket}/folder/{size}"] = content((bucket, size).__repr__(), size)
                write_file(self.at.path(bucket, "folder", str(size)), expected[f"{bucket}/folder/{size}"])
            expected[f"{bucket}/sparse"] = sparse(self.at.path(bucket, "sparse"))
            expected[f"{bucket}/rewritten"] = rewritten(self.at.path(bucket, "rewritten"))
        return expected

    def compare(self, expected):
        store = self.opened()
        for name, data in expected.items():
            self.assertTrue(read(store, name) == data, name)

    def test_every_object_of_every_scheme_reads_as_it_was_written(self):
        expected = self.written()
        self.at.unmount()
        self.compare(expected)

    def test_a_killed_daemons_log_is_read_too(self):
        expected = self.written()
        self.at.cli("sync", self.at.dir)
        self.at.kill()
        self.compare(expected)

    def test_keys_that_were_rotated_open_old_and_new_objects(self):
        key = self.buckets()
        write_file(self.at.path("sse-kms", "before"), content(1, 20_000))
        self.at.cli("kms", "rotate-key", key)
        write_file(self.at.path("sse-kms", "after"), content(2, 20_000))
        self.at.unmount()
        self.compare({"sse-kms/before": content(1, 20_000), "sse-kms/after": content(2, 20_000)})

    def test_a_directory_bucket_has_its_arn_as_context_and_its_key_pinned(self):
        bucket = "base--use1-az4--x-s3"
        key = self.at.create_key()
        self.at.bucket(bucket, "aws:kms", key)
        write_file(self.at.path(bucket, "object"), content(1, 20_000))
        self.at.cli("encryption", "delete", bucket)
        self.at.unmount()
        self.compare({f"{bucket}/object": content(1, 20_000)})
        store = self.opened()
        rows = store.database.execute("SELECT algorithm, kms_key, bucket_key, pinned_key FROM buckets").fetchall()
        self.assertEqual(rows, [("AES256", None, 1, key)])
        envelope = store.object(f"{bucket}/object".encode()).envelopes[0]
        self.assertEqual(envelope.context(), {"aws:s3:arn": f"arn:aws:s3express:us-east-1:000000000000:bucket/{bucket}"})

    def imported(self, *flags):
        """A key whose material was brought from outside; its ARN, and the file it came from."""
        material = os.path.join(self.at.folder, "material")
        write_file(material, content("material", 32))
        key = self.at.cli("kms", "create-key", "--external").stdout.strip()
        self.at.cli("kms", "import-key-material", key, material, *flags)
        return key, material

    def test_objects_under_imported_material_read_as_they_were_written(self):
        key, _ = self.imported()
        self.at.bucket("imported", "aws:kms", key)
        write_file(self.at.path("imported", "object"), content(1, 20_000))
        self.at.unmount()
        self.compare({"imported/object": content(1, 20_000)})

    def test_imported_material_does_not_serve_from_its_expiry_on(self):
        key, _ = self.imported("--days", "1")
        self.at.bucket("imported", "aws:kms", key)
        write_file(self.at.path("imported", "object"), content(1, 20_000))
        self.at.unmount()
        self.compare({"imported/object": content(1, 20_000)})
        with mock.patch("time.time_ns", return_value=time.time_ns() + 86_400 * 10**9):
            with self.assertRaisesRegex(sealing.Damaged, "has expired"):
                read(self.opened(), "imported/object")

    def test_imported_material_that_is_gone_leaves_a_mark(self):
        key, _ = self.imported()
        self.at.cli("kms", "delete-imported-key-material", key)
        self.at.unmount()
        key_id = key.rsplit("/", 1)[1]
        (wrapped, mark), = self.opened().database.execute("SELECT wrapped, mark FROM kms_materials WHERE key_id = ?", (key_id,))
        self.assertEqual(wrapped, b"")
        self.assertEqual(mark[32:], sealing.hmac_sha384(mark[:32], key_id.encode() + content("material", 32))[:32])

    def test_a_renamed_object_keeps_the_context_it_was_sealed_with(self):
        self.buckets()
        write_file(self.at.path("dsse-kms", "old-name"), content(1, 20_000))
        os.rename(self.at.path("dsse-kms", "old-name"), self.at.path("dsse-kms", "folder", "new-name"))
        self.at.unmount()
        self.compare({"dsse-kms/folder/new-name": content(1, 20_000)})

    def test_a_data_file_says_whose_it_is(self):
        self.buckets()
        for name in ("before", "folder/stays"):
            write_file(self.at.path("dsse-kms", *name.split("/")), content(name, 20_000))
        os.rename(self.at.path("dsse-kms", "before"), self.at.path("dsse-kms", "after"))
        root = self.opened().root

        def paths():
            return sorted(objects.header(root, path).path for path in self.at.data_files())
        wait_for(lambda: paths() == [b"after", b"folder/stays"], "the headers to follow")
        self.at.unmount()
        store = self.opened()
        for path in self.at.data_files():
            found = objects.header(root, path)
            self.assertEqual(found.bucket, "dsse-kms")
            named = store.object(b"dsse-kms/" + found.path)
            self.assertEqual((named.ino, named.file), (found.ino, int(os.path.basename(path), 16)))
            self.assertEqual(keys.Envelope.decode(found.envelope), named.envelopes[0])

    def test_an_object_resealed_in_place_opens_under_its_new_envelope(self):
        key = self.buckets()
        path = self.at.path("sse-s3", "object")
        write_file(path, content(1, 40 * CHUNK), sync=True)
        self.at.put_rule("sse-s3", "aws:kms:dsse", key)
        with open(path, "r+b") as file:
            file.write(b"changed")
        self.at.cli("reseal", self.at.path("sse-s3"))
        self.assertEqual(self.at.inspect("sse-s3", "object")["sse"], "aws:kms:dsse")
        self.at.unmount()
        self.compare({"sse-s3/object": b"changed" + content(1, 40 * CHUNK)[7:]})

    def half_resealed(self, size):
        """Kills the daemon at work on an object of this size; whether both envelopes were in use, and what it should read as."""
        self.at.bucket("bucket")
        path = self.at.path("bucket", "object")
        write_file(path, content(1, size), sync=True)
        self.at.put_rule("bucket", "aws:kms:dsse")
        with open(path, "r+b") as file:
            file.write(b"changed")
            file.flush()
            os.fsync(file.fileno())
        wait_for(lambda: not self.at.inspect("bucket", "object")["reseal_pending"] or self.next_envelope(), "the reseal to begin")
        self.at.kill()
        return self.next_envelope(), b"changed" + content(1, size)[7:]

    def next_envelope(self):
        """Whether the newest commit in the files has an object under two envelopes, with chunks under both."""
        try:
            found = self.opened().object(b"bucket/object")
        except sealing.Damaged:  # the daemon writes as we read
            return False
        return len(found.envelopes) == 2 and len({parity for _, parity, _, _ in found.places()}) == 2

    def test_an_object_half_resealed_opens_under_both_envelopes(self):
        for _ in range(5):
            both, expected = self.half_resealed(64 << 20)
            self.compare({"bucket/object": expected})
            self.at.mount()
            if both:
                break
            os.unlink(self.at.path("bucket", "object"))
            os.rmdir(self.at.path("bucket"))
        self.assertTrue(both, "the reseal was never met at work")
        self.at.cli("reseal", self.at.path("bucket"))
        self.assertEqual(self.at.inspect("bucket", "object")["sse"], "aws:kms:dsse")
        self.assertTrue(read_file(self.at.path("bucket", "object")) == expected)

    def test_the_program_prints_an_object_by_key_file_or_passphrase(self):
        program = os.path.join(HERE, "coffer_reader.py")
        passphrase = os.path.join(self.at.folder, "passphrase")
        write_file(passphrase, b"correct horse battery staple\nsecond line\n")
        other = Scratch(unlock=("--passphrase-file", passphrase))
        self.addCleanup(other.close)
        other.init().mount()
        for at, words in ((self.at, [os.path.join(self.at.store, "unlock.key")]), (other, [passphrase])):
            at.bucket("bucket")
            write_file(at.path("bucket", "object"), content(1, 50_000))
            at.unmount()
            flags = ["--passphrase"] if at is other else []
            done = subprocess.run(["/usr/bin/python3", program, *flags, at.store, *words, "bucket/object"],
                                  stdout=subprocess.PIPE, check=True)
            self.assertEqual(done.stdout, content(1, 50_000))

    def test_of_two_layers_neither_opens_alone(self):
        self.buckets()
        plain = content(1, CHUNK)
        write_file(self.at.path("dsse-kms", "object"), plain)
        self.at.unmount()
        found = self.opened().object(b"dsse-kms/object")
        inner_key, outer_key = found.openers[1].chunk_keys
        (chunk, seal, stored), = found.stored_chunks()
        aad = found.openers[1].aad(chunk, len(stored))
        inner_seal, outer_seal = seal[:28], seal[28:]
        bound = aad + b"\x01" + inner_seal
        once_opened = sealing.open_gcm(outer_key, outer_seal, bound, stored, "the outer layer")
        self.assertNotEqual(once_opened, plain)
        self.assertEqual(sealing.open_gcm(inner_key, inner_seal, aad, once_opened, "the inner layer"), plain)
        for key, what, data in ((inner_key, inner_seal, stored), (outer_key, outer_seal, once_opened),
                                (outer_key, inner_seal, once_opened), (inner_key, outer_seal, stored)):
            for extra in (aad, bound):
                with self.assertRaises(sealing.Damaged):
                    sealing.open_gcm(key, what, extra, data, "a layer alone")


class AuditTrail(ReaderTest):
    def read(self):
        store = self.opened()
        (end,) = store.database.execute("SELECT value FROM meta WHERE name = 'audit_end'").fetchone()
        return audit.records(store.root, store.path, audit.End(end))

    def test_its_records_are_those_that_coffer_shows(self):
        self.at.create_key()
        self.at.remount()
        self.at.bucket("bucket", "aws:kms")
        write_file(self.at.path("bucket", "object"), b"x")
        self.at.unmount()
        shown = coffer("audit", "export", self.at.store).stdout.splitlines()
        self.assertEqual(self.read(), shown)
        self.assertIn("arn:aws:s3:::bucket/object", "".join(shown))

    def test_what_was_changed_or_cut_off_is_refused(self):
        self.at.create_key()
        self.at.unmount()
        name = os.path.join(self.at.store, "audit", f"{1:016x}")
        whole = read_file(name)
        for at in (1, 20, 4100, 4096 + 256 + 40, len(whole) - 1):
            damaged = bytearray(whole)
            damaged[at] ^= 1
            write_file(name, damaged)
            with self.assertRaises(sealing.Damaged):
                self.read()
        write_file(name, whole[:-256])
        with self.assertRaises(sealing.Damaged):
            self.read()


class RecoveryKey(unittest.TestCase):
    WORDS = "000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-3RFX-WWA2"

    def test_its_words_are_those_of_the_text(self):
        for words in (self.WORDS, self.WORDS.lower().replace("-", " ").replace("0", "o").replace("1", "l")):
            self.assertEqual(keys.recovery_key(words), bytes(range(32)))
        with self.assertRaises(sealing.Damaged):
            keys.recovery_key(self.WORDS.replace("G", "H", 1))


class Damage(ReaderTest):
    clean_at_end = False

    def after_flip(self, path, offset):
        """What the object reads as with one bit of a file flipped; None where that is refused."""
        before = read_file(path)
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(bytes([before[offset] ^ 0x10]))
        try:
            return read(self.opened(), "dsse-kms/object")
        except (sealing.Damaged, FileNotFoundError, ValueError, KeyError):  # keyslots.json may be no JSON any more
            return None
        finally:
            write_file(path, before)

    def store_with_an_object(self, end):
        self.buckets()
        write_file(self.at.path("dsse-kms", "object"), content(1, 3 * CHUNK), sync=True)
        end()
        self.assertEqual(read(self.opened(), "dsse-kms/object"), content(1, 3 * CHUNK))

    def test_a_flipped_bit_of_content_is_refused(self):
        self.store_with_an_object(end=self.at.unmount)
        data_file, = self.at.data_files()
        stored = read_file(data_file)
        # Behind the first slot: what it says is a copy, and nothing here reads it.
        used = [offset for offset in range(CHUNK, len(stored), CHUNK) if any(stored[offset:offset + CHUNK])]
        self.assertGreaterEqual(len(used), 3)
        for offset in used:
            for byte in (0, 5, CHUNK - 1):
                self.assertIsNone(self.after_flip(data_file, offset + byte), offset + byte)

    def test_a_flipped_bit_of_the_catalog_or_its_slots_is_refused(self):
        self.store_with_an_object(end=self.at.unmount)
        store = self.opened()
        in_log = {frame.page for frame in catalog.log_of(store.root, store.path).committed(coffer_reader.current_boot_id(), store.path)}
        pages = [page for page in range(1, store.pages + 1) if page not in in_log]
        self.assertTrue(pages)
        for page in pages:
            for byte in (0, 4055, 4056, 4079, 4080, 4095):
                where = (page - 1) * 4096 + byte
                self.assertIsNone(self.after_flip(os.path.join(self.at.store, "coffer.db"), where), where)
        keyslots = os.path.join(self.at.store, "keyslots.json")
        for where in range(0, os.path.getsize(keyslots), 7):
            self.assertIsNone(self.after_flip(keyslots, where), where)

    def test_a_flipped_bit_of_the_log_never_becomes_content(self):
        self.store_with_an_object(end=self.at.kill)  # an unmount leaves nothing in the log
        store = self.opened()
        path = os.path.join(self.at.store, "coffer.db-wal")
        frames = len(catalog.log_of(store.root, store.path).committed(coffer_reader.current_boot_id(), store.path))
        self.assertGreater(frames, 3)
        header = catalog.superblock(store.root, read_file(os.path.join(self.at.store, "coffer.tags"))).sequence % 2 * 4096
        for byte in (0, 12, 28, 4095):
            self.assertIsNone(self.after_flip(path, header + byte), byte)
        for frame in range(frames):
            for byte in (0, 12, 28, 44, 4123):
                found = self.after_flip(path, 8192 + frame * 4124 + byte)
                self.assertIn(found, (None, b"", content(1, 3 * CHUNK)), frame)

    def test_unsynced_bytes_that_a_lost_page_cache_had_take_the_store_back(self):
        self.store_with_an_object(end=lambda: None)
        with open(self.at.path("dsse-kms", "object"), "r+b") as file:
            file.write(content(2, 3 * CHUNK))
        time.sleep(0.2)  # a commit, and no sync
        self.at.kill()
        data_file, = self.at.data_files()
        whole = read_file(data_file)
        self.assertEqual(read(self.opened(), "dsse-kms/object"), content(2, 3 * CHUNK))
        found = [self.after_flip(data_file, slot * CHUNK) for slot in range(1, 7)]
        self.assertEqual(found, 3 * [content(2, 3 * CHUNK)] + 3 * [content(1, 3 * CHUNK)])
        os.unlink(data_file)
        self.assertRaises((FileNotFoundError, sealing.Damaged), read, self.opened(), "dsse-kms/object")
        write_file(data_file, whole[:4 * CHUNK])
        self.at.mount()
        self.assertEqual(read_file(self.at.path("dsse-kms", "object")), content(1, 3 * CHUNK))

    def test_a_flipped_bit_of_a_node_of_the_page_tags_is_refused(self):
        self.store_with_an_object(end=self.at.unmount)
        store = self.opened()
        path = os.path.join(self.at.store, "coffer.tags")
        tags = catalog.PageTags(store.root, catalog.superblock(store.root, read_file(path)), read_file(path))
        tags.of(1)
        self.assertEqual(set(tags.nodes), {(0, 0), (1, 0), (2, 0)})
        for level in (0, 1, 2):
            found = [self.after_flip(path, (catalog.block_of(level, 0) + copy) * 4096 + byte)
                     for copy in (0, 1) for byte in (0, 4055, 4056, 4080, 4095)]
            self.assertEqual(found.count(None), 5, "the place in use is refused, the other means nothing")
            self.assertEqual(found.count(content(1, 3 * CHUNK)), 5)

    def test_every_old_page_put_back_is_refused(self):
        self.store_with_an_object(end=self.at.unmount)
        path = os.path.join(self.at.store, "coffer.db")
        old = read_file(path)
        self.at.mount()
        write_file(self.at.path("dsse-kms", "object"), content(2, 3 * CHUNK), sync=True)
        self.at.unmount()
        new = read_file(path)
        changed = [at for at in range(0, 4096 * self.opened().pages, 4096) if old[at:at + 4096] != new[at:at + 4096]]
        self.assertGreater(len(changed), 2)
        for at in changed:
            with self.subTest(page=at // 4096 + 1):
                write_file(path, new[:at] + old[at:at + 4096] + new[at + 4096:])
                with self.assertRaises(sealing.Damaged):
                    self.opened()
        write_file(path, new)
        self.assertEqual(read(self.opened(), "dsse-kms/object"), content(2, 3 * CHUNK))

    def test_a_restored_catalog_says_of_which_commit_and_time_it_is(self):
        self.store_with_an_object(end=self.at.unmount)
        self.assertIsNone(self.opened().restored)
        os.unlink(os.path.join(self.at.store, "coffer.tags"))
        said = json.loads(coffer("fsck", self.at.store, *self.at.unlock, "--repair", "--json").stdout)["restored"]
        commit, made_ns = self.opened().restored
        self.assertEqual((commit, made_ns // 10**9), (said["commit_counter"], said["made"]))
        self.assertEqual(read(self.opened(), "dsse-kms/object"), content(1, 3 * CHUNK))

    def test_another_key_opens_nothing(self):
        self.at.unmount()
        wrong = os.path.join(self.at.folder, "wrong.key")
        write_file(wrong, bytes(32))
        with self.assertRaises(sealing.Damaged):
            self.opened(key=wrong)

    def test_one_bad_superblock_slot_is_survived_and_two_are_not(self):
        self.at.unmount()
        tags = os.path.join(self.at.store, "coffer.tags")
        whole = read_file(tags)
        for slots, fine in (((0,), True), ((1,), True), ((0, 1), False)):
            damaged = bytearray(whole)
            for slot in slots:
                damaged[slot * 4096 + 100] ^= 1
            write_file(tags, damaged)
            if fine:
                self.opened()
            else:
                with self.assertRaises(sealing.Damaged):
                    self.opened()


if __name__ == "__main__":
    main()
