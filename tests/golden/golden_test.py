"""Stores that an earlier build left: every later one opens them, and so does the reader written from the format's text."""

import errno
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "mount"), os.path.join(HERE, os.pardir, "format_reader")]

from mounted import COFFER, SSE, Scratch, coffer, content, main, read_file, write_file  # noqa: E402

import coffer_reader  # noqa: E402
import keys  # noqa: E402
import make  # noqa: E402
import stores  # noqa: E402


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Checks:
    """What holds for the stores in self.folder."""

    def for_each(self, check):
        """check(entry, store, unlock) for every store, unpacked afresh; unlock: the flags that open it."""
        for name, entry in stores.manifest(self.folder).items():
            with self.subTest(name), stores.unpacked(name, self.folder) as at:
                check(entry, os.path.join(at, "store"), stores.secret_file(at, entry["unlock"][0]))

    def test_the_formats_text_is_enough_to_read_every_object(self):
        def check(entry, store, _):
            for unlock in entry["unlock"]:
                opened = coffer_reader.Store(store, self.secret(unlock), unlock["kind"])
            for name, expected in entry["objects"].items():
                out = io.BytesIO()
                found = opened.object(name.encode())
                found.write_to(out)
                self.assertEqual((len(out.getvalue()), sha256(out.getvalue())), (expected["size"], expected["sha256"]), name)
                self.assertEqual(len(found.envelopes), 2 if "next_sse" in expected else 1, name)
        self.for_each(check)

    @staticmethod
    def secret(unlock):
        if unlock["kind"] == stores.PASSPHRASE:
            return unlock["secret"].rstrip("\n").encode()
        return bytes.fromhex(unlock["secret"]) if unlock["kind"] == stores.KEY_FILE else keys.recovery_key(unlock["secret"])

    def test_fsck_is_clean_by_every_way_to_unlock(self):
        def check(entry, store, _):
            for unlock in entry["unlock"]:
                done = coffer("fsck", store, *stores.secret_file(os.path.dirname(store), unlock), "--json")
                self.assertEqual(json.loads(done.stdout)["damage"], [])
        self.for_each(check)


class Golden(Checks, unittest.TestCase):
    folder = HERE

    def test_every_object_is_read_offline(self):
        def check(entry, store, unlock):
            for name, expected in entry["objects"].items():
                done = subprocess.run([COFFER, "cat", store, name, *unlock], stdout=subprocess.PIPE, check=True)
                self.assertEqual(sha256(done.stdout), expected["sha256"], name)
        self.for_each(check)

    def test_a_mount_shows_all_of_it_and_goes_on(self):
        def check(entry, store, unlock):
            at = Scratch(unlock=unlock)
            self.addCleanup(at.close)
            at.store = store
            at.mount()
            self.compare(at, entry)
            if "half/object" in entry["objects"]:
                at.cli("reseal", at.path("half"))
                self.assertEqual(os.getxattr(at.path("half", "object"), SSE).decode(),
                                 entry["objects"]["half/object"]["next_sse"])
            write_file(at.path("bucket", "inline"), content("now", 40_000))
            os.rename(at.path("bucket", "large"), at.path("bucket", "moved"))
            at.remount()
            changed = dict(entry["objects"])
            changed["bucket/moved"] = changed.pop("bucket/large")
            del changed["bucket/inline"]
            self.assertEqual(read_file(at.path("bucket", "inline")), content("now", 40_000))
            os.unlink(at.path("bucket", "inline"))
            self.compare(at, dict(entry, objects=changed))
            at.unmount()
            at.fsck()
        self.for_each(check)

    def test_users_policies_and_grants_hold_as_they_did(self):
        entry = stores.manifest()["access"]
        with stores.unpacked("access") as folder:
            at = Scratch(unlock=stores.secret_file(folder, entry["unlock"][0]))
            self.addCleanup(at.close)
            at.store = os.path.join(folder, "store")
            at.mount()
            self.assertEqual(make.access(at, entry["access"]["key"]), entry["access"])
            large = entry["objects"]["bucket/large"]["sha256"]
            self.assertEqual(sha256(read_file(at.path("bucket", "large"))), large)
            at.remount("-o", f"principal={make.ANN}")
            self.assertEqual(sha256(read_file(at.path("bucket", "large"))), large)
            for denied in (make.BOB, make.EVE):
                at.remount("-o", f"principal={denied}")
                with self.assertRaises(OSError) as refused:
                    read_file(at.path("bucket", "large"))
                self.assertEqual(refused.exception.errno, errno.EACCES)
            at.unmount()

    def compare(self, at, entry):
        """The mount against the manifest: the names, and of each everything recorded."""
        objects, symlinks = make.described(at)
        self.assertEqual(symlinks, entry["symlinks"])
        self.assertEqual(set(objects), set(entry["objects"]))
        for name, expected in entry["objects"].items():
            for what in set(objects[name]) & set(expected) - ({"sse"} if "next_sse" in expected else set()):
                self.assertEqual(objects[name][what], expected[what], f"{name}: {what}")
        self.assertEqual(os.stat(at.path("bucket", "linked")).st_ino, os.stat(at.path("bucket", "folder", "link")).st_ino)
        self.assertEqual(stat.S_IMODE(os.stat(at.path("bucket", "folder")).st_mode), 0o751)

    def test_each_scheme_and_each_way_to_unlock_is_there(self):
        kept = stores.manifest()
        self.assertEqual(set(kept), set(make.SCHEMES))
        self.assertEqual({unlock["kind"] for entry in kept.values() for unlock in entry["unlock"]},
                         {stores.KEY_FILE, stores.PASSPHRASE, stores.RECOVERY})
        self.assertEqual({entry["ended"] for entry in kept.values()}, {"unmounted", "killed"})
        for name, entry in kept.items():
            with stores.unpacked(name) as at:
                frames = read_file(os.path.join(at, "store", "coffer.db-wal"))[make.LOG_HEADERS:]
                self.assertEqual(any(frames), entry["ended"] == "killed", name)


class Fresh(Checks, unittest.TestCase):
    """The same of stores that this build makes, so that the generator works when a format needs it."""

    @classmethod
    def setUpClass(cls):
        at = tempfile.TemporaryDirectory(prefix="coffer-golden-")
        cls.addClassCleanup(at.cleanup)
        cls.folder = at.name
        make.main(at.name)


if __name__ == "__main__":
    main()
