"""Keys over time, by the program alone: rotations wrapped anew, unlock slots while mounted, another root key."""

import hashlib
import os
import subprocess
import time

from mounted import COFFER, EKEYREVOKED, LONG, MountTest, coffer, content, main, read_file, wait_for, write_file


FIRST_SLOT = 16 * 1024


def digests(paths):
    """Of the content: the first slot is a note of the envelope, which changes."""
    return {path: hashlib.sha256(read_file(path)[FIRST_SLOT:]).hexdigest() for path in paths}


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Reseal(MountTest):
    def test_after_a_rotation_objects_are_wrapped_anew_and_no_data_moves(self):
        key = self.at.create_key()
        path = self.at.bucket("photos", "aws:kms", key)
        for number in range(20):
            write_file(os.path.join(path, f"small{number}"), content(number, 100))
        write_file(os.path.join(path, "large"), content(99, 1 << 20))
        coffer("sync", self.at.dir)
        before = digests(self.at.data_files())
        self.at.cli("kms", "rotate-key", key)
        stats = self.at.json("kms", "stats")
        self.assertEqual(self.at.json("reseal", path)["added"], 21)
        after = self.at.json("kms", "stats")
        self.assertEqual(after["Encrypt"] - stats["Encrypt"], 21)
        self.assertEqual(digests(self.at.data_files()), before)
        self.assertEqual(self.at.json("reseal", path)["added"], 0)
        self.at.remount()
        self.assertEqual(read_file(os.path.join(path, "large")), content(99, 1 << 20))

    def test_a_key_left_behind_can_be_deleted_and_a_kill_in_between_loses_nothing(self):
        old, new = self.at.create_key(), self.at.create_key()
        path = self.at.bucket("photos", "aws:kms", old, bucket_key=True)
        for number in range(3000):
            write_file(os.path.join(path, f"f{number}"), content(number, 60))
        coffer("sync", self.at.dir)
        self.at.put_rule("photos", "aws:kms", new, bucket_key=True)
        waiting = subprocess.Popen([COFFER, "reseal", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moved = lambda: self.at.inspect("photos", "f2999")["kms_key_arn"] == new
        wait_for(moved, "the first objects to be wrapped anew")
        self.at.kill()
        waiting.wait(timeout=60)
        self.at.mount()
        self.at.cli("reseal", path)
        self.at.cli("kms", "schedule-key-deletion", old, "--days", "7")
        for number in range(0, 3000, 97):
            self.assertEqual(read_file(os.path.join(path, f"f{number}")), content(number, 60))
        # And the one left behind opens none of them any more.
        self.at.cli("kms", "cancel-key-deletion", old)
        self.at.cli("kms", "enable-key", old)
        self.at.cli("kms", "disable-key", new)
        for number in range(0, 3000, 97):
            self.assertErrno(EKEYREVOKED, read_file, os.path.join(path, f"f{number}"))
        self.at.cli("kms", "enable-key", new)
        self.assertEqual(read_file(os.path.join(path, "f0")), content(0, 60))

    def test_wrapping_anew_takes_less_than_a_millisecond_of_work_for_an_object(self):
        """Of the daemon's processor time, which does not depend on what else the machine does."""
        count = 20_000 if LONG else 1000
        for bucket_key in (False, True):
            old, new = self.at.create_key(), self.at.create_key()
            name = f"photos-{int(bucket_key)}"
            path = self.at.bucket(name, "aws:kms", old, bucket_key)
            for number in range(count):
                write_file(os.path.join(path, f"f{number}"), content(number, 60))
            coffer("sync", self.at.dir)
            self.at.put_rule(name, "aws:kms", new, bucket_key)
            began, worked = time.monotonic(), processor_seconds(self.at.pid)
            self.assertEqual(self.at.json("reseal", path)["added"], count)
            worked, took = processor_seconds(self.at.pid) - worked, time.monotonic() - began
            print(f"bucket key {bucket_key}: {count / took:.0f} objects a second, {count / max(worked, 0.01):.0f} in one of work")
            self.assertEqual(self.at.inspect(name, f"f{count // 2}")["kms_key_arn"], new)
            self.assertLess(worked, count / 1000)

    def test_data_is_sealed_anew_where_it_is_asked_for(self):
        path = self.at.bucket("photos")
        write_file(os.path.join(path, "large"), content(1, 1 << 20))
        coffer("sync", self.at.dir)
        before = digests(self.at.data_files())
        self.at.cli("reseal", path)
        self.assertEqual(digests(self.at.data_files()), before)
        self.at.cli("reseal", "--data", path)
        self.assertNotEqual(digests(self.at.data_files()), before)
        self.assertEqual(read_file(os.path.join(path, "large")), content(1, 1 << 20))


class UnlockSlots(MountTest):
    def file(self, name, data):
        path = os.path.join(self.at.folder, name)
        write_file(path, data)
        return path

    def slots(self):
        return [slot["id"] for slot in self.at.json("unlock", "list", self.at.store)["slots"]]

    def test_slots_are_added_and_removed_while_mounted_and_unmounted(self):
        passphrase = self.file("passphrase", b"correct horse\n")
        key = os.path.join(self.at.folder, "new.key")
        first = self.slots()[0]
        coffer("unlock", "add", self.at.store, "--new-passphrase-file", passphrase)  # mounted
        coffer("unlock", "add", self.at.store, "--new-key-file", key)
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        recovery = self.file("recovery", coffer("unlock", "add", self.at.store, "--recovery").stdout.encode())
        self.assertEqual(len(self.slots()), 4)
        old_slots = read_file(os.path.join(self.at.store, "keyslots.json"))
        removed = coffer("unlock", "remove", self.at.store, first)
        self.assertIn("warning", removed.stderr)
        self.at.unmount()
        os.rename(os.path.join(self.at.store, "unlock.key"), os.path.join(self.at.folder, "unlock.key"))
        coffer("fsck", self.at.store, "--key-file", os.path.join(self.at.folder, "unlock.key"), code=4)
        for flags in (["--passphrase-file", passphrase], ["--key-file", key], ["--recovery-file", recovery]):
            coffer("fsck", self.at.store, *flags)
        # Unmounted: down to one, which stays.
        for slot in self.slots()[1:]:
            coffer("unlock", "remove", self.at.store, slot, "--passphrase-file", passphrase)
        coffer("unlock", "remove", self.at.store, self.slots()[0], "--passphrase-file", passphrase, code=1)
        coffer("fsck", self.at.store, "--key-file", key, code=4)
        # The file from before a change is not taken back.
        new_slots = read_file(os.path.join(self.at.store, "keyslots.json"))
        write_file(os.path.join(self.at.store, "keyslots.json"), old_slots)
        coffer("fsck", self.at.store, "--key-file", key, code=3)
        write_file(os.path.join(self.at.store, "keyslots.json"), new_slots)
        self.at.unlock = ("--passphrase-file", passphrase)

    def test_a_wrong_secret_adds_nothing_while_mounted(self):
        wrong = self.file("wrong.key", os.urandom(32))
        coffer("unlock", "add", self.at.store, "--key-file", wrong, "--new-key-file", os.path.join(self.at.folder, "n.key"), code=4)
        self.assertEqual(len(self.slots()), 1)


class Rekey(MountTest):
    def test_after_a_rekey_the_new_secret_alone_opens_every_scheme(self):
        at = self.at
        key = at.create_key()
        expected = {}
        for bucket, rule in {"aes": None, "kms": ("aws:kms", key), "bucket-keys": ("aws:kms", key, True), "dsse": ("aws:kms:dsse", key)}.items():
            path = at.bucket(bucket, *(rule or ()))
            for size in (0, 100, 100_000):
                name = os.path.join(path, str(size))
                write_file(name, content(size, size))
                expected[name] = content(size, size)
        new = os.path.join(at.folder, "new.key")
        coffer("unlock", "rekey", at.store, "--new-key-file", new, code=1)  # mounted
        at.unmount()
        old = os.path.join(at.folder, "old.key")
        os.rename(os.path.join(at.store, "unlock.key"), old)
        old_slots = read_file(os.path.join(at.store, "keyslots.json"))
        coffer("unlock", "rekey", at.store, "--key-file", old, "--new-key-file", old, code=1)
        coffer("unlock", "rekey", at.store, "--key-file", old, "--new-key-file", new)
        coffer("unlock", "rekey", at.store, "--key-file", old, "--new-key-file", new)  # again: there is nothing left to do
        coffer("fsck", at.store, "--key-file", old, code=4)
        new_slots = read_file(os.path.join(at.store, "keyslots.json"))
        write_file(os.path.join(at.store, "keyslots.json"), old_slots)
        coffer("fsck", at.store, "--key-file", old, code=3)
        write_file(os.path.join(at.store, "keyslots.json"), new_slots)
        at.unlock = ("--key-file", new)
        at.mount()
        for name, data in expected.items():
            self.assertEqual(read_file(name), data)


if __name__ == "__main__":
    main()
