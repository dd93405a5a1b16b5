"""fsck --repair on stores that were really mounted."""

import errno
import json
import os

from mounted import MountTest, coffer, content, flip, main, read_file, write_file


class Repair(MountTest):
    clean_at_end = False

    def fsck_json(self, *flags, code=0):
        return json.loads(coffer("fsck", self.at.store, *self.at.unlock, *flags, "--json", code=code).stdout)

    def test_a_damaged_object_is_quarantined_and_a_lost_catalog_comes_back(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "whole"), content("whole", 400_000))
        write_file(self.at.path("bucket", "small"), content("small", 5000))
        before = set(self.at.data_files())
        write_file(self.at.path("bucket", "broken"), content("broken", 400_000), sync=True)
        broken, = set(self.at.data_files()) - before
        ino = os.stat(self.at.path("bucket", "broken")).st_ino
        self.at.unmount()
        with open(broken, "rb") as file:
            data = file.read()
        flip(broken, next(i for i in range(len(data) // 2, len(data)) if data[i]))

        found = self.fsck_json(code=3)["damage"]
        self.assertEqual([(one["object"], one["repaired"]) for one in found], [("bucket/broken", None)])
        quarantined = f"bucket/lost+found/broken.{ino}"
        repaired = self.fsck_json("--repair")["damage"]
        self.assertEqual([one["repaired"] for one in repaired], ["moved to " + quarantined])
        again = self.fsck_json()
        self.assertEqual((again["damage"], again["quarantined"]), ([], [quarantined]))

        self.at.mount()
        self.assertEqual(os.stat(self.at.path("bucket", "lost+found")).st_mode & 0o7777, 0o700)
        place = self.at.path(*quarantined.split("/"))
        with open(place, "rb") as file:
            self.assertEqual(file.read(1000), content("broken", 400_000)[:1000])
        self.assertErrno(errno.EBADMSG, read_file, place)
        os.unlink(place)
        self.at.unmount()
        self.at.mount()
        write_file(self.at.path("bucket", "later"), content("later", 400_000), sync=True)
        self.at.kill()

        os.unlink(os.path.join(self.at.store, "coffer.tags"))
        self.fsck_json(code=3)
        self.assertEqual(self.at.mount(code=3).stderr.count("\n"), 1)
        restored = self.fsck_json("--repair")
        self.assertEqual([one["object"] for one in restored["lost"]], ["bucket/later"])
        self.assertIsNotNone(restored["restored"])
        self.assertEqual(self.fsck_json()["damage"], [])
        self.at.mount()
        for name, size in (("whole", 400_000), ("small", 5000)):
            self.assertEqual(read_file(self.at.path("bucket", name)), content(name, size))
        self.assertFalse(os.path.exists(self.at.path("bucket", "later")))
        self.at.unmount()
        self.at.fsck()

    def test_a_catalog_comes_back_from_a_copy_older_than_a_change_of_unlock_slots(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "small"), content("small", 5000))
        self.at.unmount()
        passphrase = os.path.join(self.at.folder, "passphrase")
        write_file(passphrase, b"correct horse\n")
        coffer("unlock", "add", self.at.store, "--new-passphrase-file", passphrase)
        os.unlink(os.path.join(self.at.store, "coffer.tags"))
        self.assertIsNotNone(self.fsck_json("--repair")["restored"])
        coffer("fsck", self.at.store, "--passphrase-file", passphrase)
        self.at.mount()
        self.assertEqual(read_file(self.at.path("bucket", "small")), content("small", 5000))
        self.at.unmount()

    def test_a_store_without_its_key_slots_says_what_helps(self):
        self.at.unmount()
        slots = os.path.join(self.at.store, "keyslots.json")
        os.rename(slots, slots + ".aside")
        done = coffer("fsck", self.at.store, "--repair", *self.at.unlock, code=5)
        self.assertIn("backup", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
        os.rename(slots + ".aside", slots)
        self.at.fsck()


if __name__ == "__main__":
    main()
