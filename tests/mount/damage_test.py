"""Refusals and damage: clear errors, the right exit codes, no harm to the rest."""

import errno
import os
import shutil
import subprocess
import tempfile

from mounted import COFFER, MountTest, Scratch, coffer, content, drop_file, flip, main, read_file, run, wait_for, write_file


class Refusals(MountTest):
    def one_line(self, done):
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_store_in_use_is_refused(self):
        other = os.path.join(self.at.folder, "other")
        os.mkdir(other)
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), b"x")
        self.one_line(coffer("mount", self.at.store, other, code=1))
        self.one_line(coffer("fsck", self.at.store, code=1))
        self.one_line(coffer("cat", self.at.store, "bucket/f", code=1))
        self.assertEqual(read_file(self.at.path("bucket", "f")), b"x")

    def test_wrong_folders_are_wrong_usage(self):
        self.at.unmount()
        write_file(os.path.join(self.at.dir, "in-the-way"), b"")
        self.one_line(self.at.mount(code=2))
        os.unlink(os.path.join(self.at.dir, "in-the-way"))
        inside = os.path.join(self.at.store, "inside")
        os.mkdir(inside)
        self.one_line(coffer("mount", self.at.store, inside, code=2))
        os.rmdir(inside)
        self.one_line(coffer("init", self.at.store, code=2))
        self.one_line(coffer("unmount", self.at.dir, code=2))
        self.assertEqual(coffer("mount", os.path.join(self.at.folder, "missing"), self.at.dir, code=5).stdout, "")
        self.at.mount()

    def test_a_store_on_a_read_only_disk_is_refused_with_what_to_do(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), b"x")
        self.at.unmount()
        run(["mount", "--bind", self.at.store, self.at.store])
        self.addCleanup(run, ["umount", self.at.store], code=None)
        run(["mount", "-o", "remount,bind,ro", self.at.store])
        for words in (("mount", self.at.store, self.at.dir), ("mount", "-o", "ro", self.at.store, self.at.dir),
                      ("fsck", self.at.store), ("cat", self.at.store, "bucket/f")):
            refused = coffer(*words, code=1)
            self.one_line(refused)
            self.assertIn("read-only", refused.stderr)
            self.assertIn("copy the folder", refused.stderr)
        run(["umount", self.at.store])
        self.at.mount()
        self.assertEqual(read_file(self.at.path("bucket", "f")), b"x")

    def test_options_that_the_kernel_and_libfuse_take_or_refuse_leave_a_usable_mount_or_none(self):
        self.at.unmount()
        for options, code in (("max_read=65536", 0), ("max_read=65536,max_read=131072", 0), ("sync,noexec", 0), ("max_read=x", 2),
                              ("no-such-option", 2), ("blkdev", 1)):
            done = self.at.mount("-o", options, code=code)
            self.assertEqual(self.at.mounted, code == 0, options)
            if code:
                self.one_line(done)
                continue
            if not os.path.exists(self.at.path("bucket")):
                self.at.bucket("bucket")
            write_file(self.at.path("bucket", "f"), content(options, 300_000), sync=True)
            drop_file(self.at.path("bucket", "f"))
            self.assertEqual(read_file(self.at.path("bucket", "f")), content(options, 300_000))
            self.at.unmount()
        self.at.mount()

    def test_what_is_not_ours_in_the_folder_of_data_files_and_folders_left_out_of_a_copy_hinder_nothing(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), content(1, 50_000))
        self.at.unmount()
        objects = os.path.join(self.at.store, "objects")
        write_file(os.path.join(objects, ".DS_Store"), b"x")
        write_file(os.path.join(objects, "00", "README"), b"x")
        os.mkdir(os.path.join(objects, "02", "0000000000000f02"))
        os.symlink("/etc/passwd", os.path.join(objects, "03", "0000000000000f03"))
        for folder in os.listdir(objects):
            if os.path.isdir(os.path.join(objects, folder)) and not os.listdir(os.path.join(objects, folder)):
                os.rmdir(os.path.join(objects, folder))
        self.assertIn("clean", coffer("fsck", self.at.store).stdout)
        self.assertIn("clean", coffer("fsck", self.at.store, "--repair").stdout)
        self.at.mount()
        self.assertEqual(read_file(self.at.path("bucket", "f")), content(1, 50_000))
        for i in range(300):  # more than there are folders
            write_file(self.at.path("bucket", f"f{i}"), content(i, 9000))
        self.at.cli("sync", self.at.dir)
        self.at.remount()
        for i in range(300):
            self.assertEqual(read_file(self.at.path("bucket", f"f{i}")), content(i, 9000))
        self.assertTrue(os.path.isfile("/etc/passwd"))
        self.assertTrue(os.path.isfile(os.path.join(objects, "00", "README")))

    def test_a_missing_key_file_is_exit_4(self):
        self.at.unmount()
        key = os.path.join(self.at.store, "unlock.key")
        os.rename(key, os.path.join(self.at.folder, "kept.key"))
        self.one_line(self.at.mount(code=4))
        self.one_line(coffer("fsck", self.at.store, code=4))
        self.one_line(self.at.mount("--key-file", os.path.join(self.at.folder, "missing.key"), code=4))
        self.at.mount("--key-file", os.path.join(self.at.folder, "kept.key"))
        self.at.unmount()
        os.rename(os.path.join(self.at.folder, "kept.key"), key)
        self.at.mount()

    def test_a_wrong_key_file_is_exit_4(self):
        self.at.unmount()
        write_file(os.path.join(self.at.folder, "wrong.key"), os.urandom(32))
        write_file(os.path.join(self.at.folder, "short.key"), os.urandom(31))
        self.one_line(self.at.mount("--key-file", os.path.join(self.at.folder, "wrong.key"), code=4))
        self.assertIn(self.at.mount("--key-file", os.path.join(self.at.folder, "short.key"), code=None).returncode, (2, 4))
        self.at.mount()


class Passphrase(MountTest):
    def setUp(self):
        self.at = Scratch()
        self.addCleanup(self.at.close)
        self.right = os.path.join(self.at.folder, "right")
        write_file(self.right, b"correct horse\nsecond line\n")
        self.at.unlock = ("--passphrase-file", self.right)
        self.at.init().mount()

    def test_a_passphrase_opens_the_store_and_a_wrong_one_is_exit_4(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), b"under a passphrase")
        self.at.unmount()
        self.assertFalse(os.path.exists(os.path.join(self.at.store, "unlock.key")))
        wrong = os.path.join(self.at.folder, "wrong")
        write_file(wrong, b"correct horse \n")
        done = coffer("mount", self.at.store, self.at.dir, "--passphrase-file", wrong, code=4)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        coffer("cat", self.at.store, "bucket/f", code=4)
        write_file(wrong, b"correct horse")
        coffer("mount", self.at.store, self.at.dir, "--passphrase-file", wrong)
        self.assertEqual(read_file(self.at.path("bucket", "f")), b"under a passphrase")


class Damage(MountTest):
    clean_at_end = False  # fsck is asked, and must not be clean

    def test_after_an_unmount_there_is_nothing_in_the_log_to_cut(self):
        self.at.bucket("bucket")
        for i in range(300):
            write_file(self.at.path("bucket", f"file-{i}"), content(i, 7000))
        self.at.unmount()
        log = os.path.join(self.at.store, "coffer.db-wal")
        self.assertGreater(os.path.getsize(log), 8192)
        os.truncate(log, 8192)  # its two headers
        self.at.fsck()
        self.at.mount()
        for i in range(300):
            self.assertEqual(read_file(self.at.path("bucket", f"file-{i}")), content(i, 7000))

    def test_a_damaged_catalog_page_is_exit_3_and_never_served(self):
        self.at.bucket("bucket")
        names = [f"file-{i}" for i in range(3000)]
        for name in names:
            write_file(self.at.path("bucket", name), content(name, 8000))
        self.at.unmount()
        self.at.fsck()  # every open begins a new log: from here on all pages are in the database alone
        database = os.path.join(self.at.store, "coffer.db")
        with open(database, "rb") as file:
            pages = [page for page in range(os.path.getsize(database) // 4096) if any(file.read(4096))][1:]
        self.assertGreater(len(pages), 3000)
        kept = os.path.join(self.at.folder, "kept")
        shutil.copytree(self.at.store, kept)
        for page in pages:
            flip(database, page * 4096 + 100)
        self.assertEqual(self.at.mount(code=3).stderr.count("\n"), 1)
        self.at.fsck(code=3)
        for page in pages[::len(pages) // 5]:
            shutil.copytree(kept, self.at.store, dirs_exist_ok=True)
            flip(database, page * 4096 + 2000)
            self.at.fsck(code=3)
            if self.at.mount(code=None).returncode == 0:
                wrong = sum(self.is_wrong(name) for name in names)
                self.assertLess(wrong, len(names) // 10, "one page hides what is in it, not the rest")
                coffer("unmount", self.at.dir, code=None)  # may say that it met the damage
                self.assertFalse(self.at.mounted)
        shutil.copytree(kept, self.at.store, dirs_exist_ok=True)
        self.at.fsck()
        self.at.mount()
        self.assertEqual(sum(self.is_wrong(name) for name in names), 0)

    def test_a_damaged_synced_log_frame_is_exit_3(self):
        self.at.bucket("bucket")
        for i in range(100):
            write_file(self.at.path("bucket", f"file-{i}"), content(i, 3000), sync=i % 10 == 0)
        self.at.kill()  # an unmount would leave nothing in the log
        log = os.path.join(self.at.store, "coffer.db-wal")
        for at in (100, 9000, 300_000):
            flip(log, at)
            self.assertEqual(self.at.mount(code=3).stderr.count("\n"), 1)
            self.at.fsck(code=3)
            flip(log, at)
        self.at.fsck()

    def is_wrong(self, name):
        """Whether a file is refused; anything but its bytes or a refusal fails the test."""
        try:
            self.assertEqual(read_file(self.at.path("bucket", name)), content(name, 8000))
            return False
        except OSError as error:
            self.assertEqual(error.errno, errno.EBADMSG, error)
            return True

    def test_damaged_key_slots_or_superblocks_are_refused_by_name(self):
        self.at.unmount()
        for name in ("coffer.tags", "coffer.db", "keyslots.json"):
            path = os.path.join(self.at.store, name)
            kept = read_file(path)
            write_file(path, b"")
            done = self.at.mount(code=None)
            self.assertIn(done.returncode, (3, 4), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            write_file(path, kept)
        self.at.mount()

    def test_a_cut_or_changed_data_file_is_ebadmsg_and_exit_3(self):  # KMS-36
        self.at.bucket("bucket")
        before = set()
        files = {}
        for name in ("cut", "changed", "removed", "whole"):
            write_file(self.at.path("bucket", name), content(name, 400_000), sync=True)
            files[name] = (set(self.at.data_files()) - before).pop()
            before = set(self.at.data_files())
        self.at.unmount()
        self.at.fsck()
        os.truncate(files["cut"], os.path.getsize(files["cut"]) // 2)
        with open(files["changed"], "rb") as file:
            data = file.read()
        middle = next(i for i in range(len(data) // 2, len(data)) if data[i])
        flip(files["changed"], middle)
        os.unlink(files["removed"])
        done = self.at.fsck(code=3)
        self.assertIn("bucket/cut", done.stdout + done.stderr)
        self.at.mount()
        for name in ("cut", "changed", "removed"):
            with self.subTest(name):
                self.assertErrno((errno.EBADMSG, errno.EIO) if name == "removed" else errno.EBADMSG,
                                 read_file, self.at.path("bucket", name))
        self.assertEqual(read_file(self.at.path("bucket", "whole")), content("whole", 400_000))
        self.at.unmount()
        done = subprocess.run([COFFER, "cat", self.at.store, "bucket/changed"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertTrue(content("changed", 400_000).startswith(done.stdout), "only what authenticated was printed")


class FullDisk(MountTest):
    """The store on a small ext4 of its own, over a loop device."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="coffer-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        image, self.small = os.path.join(self.folder, "image"), os.path.join(self.folder, "small")
        with open(image, "wb") as file:
            file.truncate(320 << 20)
        run(["mkfs.ext4", "-q", "-m", "0", image])
        os.mkdir(self.small)
        run(["mount", "-o", "loop", image, self.small])
        self.addCleanup(lambda: wait_for(
            lambda: run(["umount", self.small], code=None).returncode == 0, "the small disk to unmount"))
        self.at = Scratch(parent=self.small)
        self.addCleanup(self.at.close)
        self.at.init().mount()

    def fill(self):
        """Writes files until one is refused; the numbers of those that were not, and the refusal."""
        for i in range(1000):
            try:
                write_file(self.at.path("bucket", f"fill-{i}"), content(i, 2_000_000), sync=True)
            except OSError as error:
                return i, error
        raise AssertionError("the disk never filled")

    def test_a_full_disk_is_enospc_and_hurts_nothing_written_before(self):
        self.at.bucket("bucket")
        for i in range(20):
            write_file(self.at.path("bucket", f"early-{i}"), content(-i, 70_000 if i % 2 else 700), sync=True)
        count, error = self.fill()
        self.assertEqual(error.errno, errno.ENOSPC)
        self.assertGreater(count, 20)

        def intact(numbers):
            for i in range(20):
                self.assertEqual(read_file(self.at.path("bucket", f"early-{i}")), content(-i, 70_000 if i % 2 else 700))
            for i in numbers:
                self.assertEqual(read_file(self.at.path("bucket", f"fill-{i}")), content(i, 2_000_000))
        intact(range(count))
        for i in range(count // 2):
            os.unlink(self.at.path("bucket", f"fill-{i}"))
        self.at.cli("sync", self.at.dir)

        def writes():
            try:
                write_file(self.at.path("bucket", "after"), content("after", 1_000_000), sync=True)
                return True
            except OSError as refused:
                self.assertEqual(refused.errno, errno.ENOSPC)
                return False
        wait_for(writes, "deleting to make room")
        intact(range(count // 2, count))
        self.at.remount()
        intact(range(count // 2, count))
        self.assertEqual(read_file(self.at.path("bucket", "after")), content("after", 1_000_000))

    def test_a_store_left_full_and_killed_mounts_again(self):
        self.at.bucket("bucket")
        count, error = self.fill()
        self.assertEqual(error.errno, errno.ENOSPC)
        self.at.kill()
        self.at.mount()
        for i in range(count):
            self.assertEqual(read_file(self.at.path("bucket", f"fill-{i}")), content(i, 2_000_000))
        for i in range(count):
            os.unlink(self.at.path("bucket", f"fill-{i}"))


if __name__ == "__main__":
    main()
