"""Disks that are full, that have a quota, and that turn read-only under a mounted store."""

import errno
import os
import shutil
import subprocess
import tempfile

from mounted import COFFER, MountTest, Scratch, content, main, read_file, run, wait_for, write_file

EARLY = [(f"early-{i}", content(-i, size)) for i, size in enumerate((0, 1, 700, 8192, 8193, 40_000, 300_000))]
FILL = 1_000_000


class SmallDisk(MountTest):
    """A store alone on a disk of its own, mounted from a folder outside of it."""

    mebibytes = 64
    mkfs = ("mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro")

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="coffer-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.below = os.path.join(self.folder, "below")
        os.mkdir(self.below)
        self.make_disk()
        self.addCleanup(self.unmount_below)
        self.at = Scratch(parent=self.below)
        self.addCleanup(self.at.close)
        outside = os.path.join(self.folder, "mnt")
        os.mkdir(outside)
        self.at.dir = outside
        self.at.init().mount()
        self.bucket = self.at.bucket("bucket")
        for name, data in EARLY:
            write_file(f"{self.bucket}/{name}", data, sync=True)

    def make_disk(self):
        image = os.path.join(self.folder, "image")
        with open(image, "wb") as file:
            file.truncate(self.mebibytes << 20)
        run([*self.mkfs, image])
        mounted = run(["mount", "-o", "loop", image, self.below], code=None)
        if mounted.returncode != 0:
            if os.environ.get("CI") == "true" and os.path.exists("/dev/loop-control"):
                self.fail(f"loop devices are there, and the mount fails: {mounted.stderr}")
            self.skipTest(f"no loop mount: {mounted.stderr.strip()}")

    def unmount_below(self):
        wait_for(lambda: run(["umount", self.below], code=None).returncode == 0, "the disk below to unmount")

    def fill(self):
        """Files until the disk has no room for another, each synced; their contents."""
        filled = {}
        for i in range(10_000):
            try:
                write_file(f"{self.bucket}/fill-{i}", content(i, FILL), sync=True)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
                return filled
            filled[f"fill-{i}"] = i
        raise AssertionError("the disk never filled")

    def intact(self, filled):
        for name, data in EARLY:
            self.assertEqual(read_file(f"{self.bucket}/{name}"), data, name)
        for name, seed in filled.items():
            self.assertEqual(read_file(f"{self.bucket}/{name}"), content(seed, FILL), name)

    def poisoned(self):
        return self.at.json("status")["mounts"][0]["poisoned"]


class FullDisk(SmallDisk):
    def test_everything_but_growing_goes_on_and_deleting_makes_room(self):
        filled = self.fill()
        self.assertGreater(len(filled), 10)
        self.intact(filled)
        name, seed = filled.popitem()
        fd = os.open(f"{self.bucket}/{name}", os.O_RDWR)
        for place in range(0, FILL - 4096, 100_000):
            os.pwrite(fd, bytes(4096), place)
            os.fsync(fd)
        expected = bytearray(content(seed, FILL))
        for place in range(0, FILL - 4096, 100_000):
            expected[place:place + 4096] = bytes(4096)
        os.ftruncate(fd, FILL - 1)
        os.close(fd)
        self.assertEqual(read_file(f"{self.bucket}/{name}"), expected[:-1])
        os.rename(f"{self.bucket}/{name}", f"{self.bucket}/renamed")
        os.chmod(f"{self.bucket}/renamed", 0o600)
        os.utime(f"{self.bucket}/renamed", (1, 2))
        self.at.cli("sync", self.at.dir)
        os.unlink(f"{self.bucket}/renamed")
        for _ in range(5):
            os.unlink(f"{self.bucket}/{filled.popitem()[0]}")
        self.at.cli("sync", self.at.dir)

        def there_is_room():
            try:
                write_file(f"{self.bucket}/after", content("after", FILL), sync=True)
                return True
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
                return False
        wait_for(there_is_room, "deleting to make room")
        self.assertFalse(self.poisoned())
        self.intact(filled)
        self.at.remount()
        self.intact(filled)
        self.assertEqual(read_file(f"{self.bucket}/after"), content("after", FILL))

    def test_a_refused_write_leaves_what_was_synced_before(self):
        filled = self.fill()
        fd = os.open(f"{self.bucket}/early-5", os.O_RDWR | os.O_APPEND)
        with self.assertRaises(OSError) as refused:
            for _ in range(200):
                os.write(fd, bytes(1 << 20))
                os.fsync(fd)
        self.assertEqual(refused.exception.errno, errno.ENOSPC)
        try:
            os.close(fd)
        except OSError as error:
            self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual(read_file(f"{self.bucket}/early-5")[:len(EARLY[5][1])], EARLY[5][1])
        os.truncate(f"{self.bucket}/early-5", len(EARLY[5][1]))
        self.intact(filled)
        self.assertFalse(self.poisoned())

    def test_small_files_make_room_for_small_files(self):
        made = []
        with self.assertRaises(OSError) as refused:
            for i in range(100_000):
                write_file(f"{self.bucket}/small-{i}", content(i, 4000))
                made.append(i)
                if i % 100 == 0:
                    self.at.cli("sync", self.at.dir)
        self.assertEqual(refused.exception.errno, errno.ENOSPC)
        for i in made[:len(made) // 2]:
            os.unlink(f"{self.bucket}/small-{i}")
        self.at.cli("sync", self.at.dir)
        for i in range(len(made) // 8):
            write_file(f"{self.bucket}/again-{i}", content(i, 4000))
        self.at.cli("sync", self.at.dir)
        self.assertFalse(self.poisoned())
        for i in made[len(made) // 2:-2:97]:
            self.assertEqual(read_file(f"{self.bucket}/small-{i}"), content(i, 4000))


    def test_fallocate_looks_for_room_and_keeps_none(self):
        with open(f"{self.bucket}/wished", "wb") as wished:
            with self.assertRaises(OSError) as refused:
                os.posix_fallocate(wished.fileno(), 0, 1 << 30)
            self.assertEqual(refused.exception.errno, errno.ENOSPC)
            os.posix_fallocate(wished.fileno(), 0, 2 * FILL)
            self.assertEqual(os.fstat(wished.fileno()).st_size, 2 * FILL)
            self.fill()
            with self.assertRaises(OSError) as refused:
                os.pwrite(wished.fileno(), content("wished", 2 * FILL), 0)
                os.fsync(wished.fileno())
            self.assertEqual(refused.exception.errno, errno.ENOSPC)
        self.assertFalse(self.poisoned())


class FullXfs(SmallDisk):
    mkfs = ("mkfs.xfs", "-q")
    mebibytes = 320  # the least that mkfs.xfs makes is 300
    test_everything_but_growing_goes_on_and_deleting_makes_room = FullDisk.test_everything_but_growing_goes_on_and_deleting_makes_room
    test_fallocate_looks_for_room_and_keeps_none = FullDisk.test_fallocate_looks_for_room_and_keeps_none


class NoInodes(SmallDisk):
    """A disk that has room and no inode left: what needs a data file of its own is refused."""

    mkfs = (*SmallDisk.mkfs, "-N", "320")  # 256 are folders of data files

    def test_new_large_objects_are_refused_and_all_else_goes_on(self):
        made = 0
        with self.assertRaises(OSError) as refused:
            while made < 1000:
                write_file(f"{self.bucket}/large-{made}", content(made, 20_000), sync=True)
                made += 1
        self.assertEqual(refused.exception.errno, errno.ENOSPC)
        self.assertGreater(made, 3)
        write_file(f"{self.bucket}/small", b"in the catalog", sync=True)
        write_file(f"{self.bucket}/large-0", content("again", 20_000), sync=True)
        self.assertFalse(self.poisoned())
        self.at.remount()
        self.intact({})
        self.assertEqual(read_file(f"{self.bucket}/small"), b"in the catalog")
        self.assertEqual(read_file(f"{self.bucket}/large-0"), content("again", 20_000))
        for i in range(1, made):
            self.assertEqual(read_file(f"{self.bucket}/large-{i}"), content(i, 20_000))


class FullTmpfs(FullDisk):
    def make_disk(self):
        run(["mount", "-t", "tmpfs", "-o", f"size={self.mebibytes}m", "none", self.below])


class LargerDisk(SmallDisk):
    """Large enough that all of the reserve is held back."""

    mebibytes = 600
    test_everything_but_growing_goes_on_and_deleting_makes_room = FullDisk.test_everything_but_growing_goes_on_and_deleting_makes_room


class SpaceTold(SmallDisk):
    def told(self):
        """Bytes in use, bytes for new files, and inodes in use, as statvfs(3) of the mount has them."""
        info = os.statvfs(self.bucket)
        return (info.f_blocks - info.f_bfree) * info.f_frsize, info.f_bavail * info.f_frsize, info.f_files - info.f_ffree

    def test_statfs_follows_writes_and_deletions(self):
        before = self.told()
        for i in range(10):
            write_file(f"{self.bucket}/fill-{i}", content(i, FILL), sync=True)
        used, left, inodes = self.told()
        self.assertTrue(10 * FILL <= used - before[0] <= 11.5 * FILL, (before, used))
        self.assertTrue(10 * FILL <= before[1] - left <= 11.5 * FILL, (before, left))
        self.assertEqual(inodes, before[2] + 10)
        below = os.statvfs(self.below)
        self.assertLess(abs((below.f_blocks - below.f_bfree) * below.f_frsize - used), FILL, "the disk below agrees")
        for i in range(10):
            os.unlink(f"{self.bucket}/fill-{i}")
        wait_for(lambda: self.told()[2] == before[2], "the inodes to be forgotten by the kernel")
        self.at.cli("sync", self.at.dir)
        log = 3 * FILL  # and the catalog: what they grew by they keep, for the next commits
        wait_for(lambda: self.told()[0] < before[0] + log and self.told()[1] > before[1] - log, "the space to come back")

    def test_what_statfs_leaves_for_new_files_can_be_written(self):
        left = self.told()[1]
        write_file(f"{self.bucket}/most", content("most", left * 9 // 10), sync=True)
        with self.assertRaises(OSError) as refused:
            write_file(f"{self.bucket}/more", content("more", left // 4), sync=True)
        self.assertEqual(refused.exception.errno, errno.ENOSPC)
        self.assertEqual(read_file(f"{self.bucket}/most"), content("most", left * 9 // 10))


class QuotaOfBtrfs(SmallDisk):
    """A limit on the subvolume the store is in: EDQUOT, while statfs tells of free space. Overwriting needs room there, so that the
    store's own reserve is none, and a commit may be refused."""

    clean_at_end = False
    mebibytes = 600

    def make_disk(self):
        if shutil.which("mkfs.btrfs") is None:
            self.skipTest("no mkfs.btrfs")
        image = os.path.join(self.folder, "image")
        with open(image, "wb") as file:
            file.truncate(self.mebibytes << 20)
        run(["mkfs.btrfs", "-q", image])
        self.disk = os.path.join(self.folder, "disk")
        os.mkdir(self.disk)
        mounted = run(["mount", "-t", "btrfs", "-o", "loop", image, self.disk], code=None)
        if mounted.returncode != 0:
            self.skipTest(f"no btrfs on a loop device: {mounted.stderr.strip()}")
        self.below = os.path.join(self.disk, "limited")
        run(["btrfs", "quota", "enable", self.disk])
        run(["btrfs", "subvolume", "create", self.below])
        self.limit("32M")

    def limit(self, size):
        run(["btrfs", "qgroup", "limit", size, self.below])

    def unmount_below(self):
        wait_for(lambda: run(["umount", self.disk], code=None).returncode == 0, "the disk below to unmount")

    def test_what_was_synced_stays_readable_and_a_raised_limit_brings_writing_back(self):
        filled = {}
        with self.assertRaises(OSError) as refused:
            for i in range(200):
                write_file(f"{self.bucket}/fill-{i}", content(i, FILL), sync=True)
                filled[f"fill-{i}"] = i
        self.assertIn(refused.exception.errno, (errno.ENOSPC, errno.EIO))
        if refused.exception.errno == errno.EIO:  # after ENOSPC the commit behind it may be refused too, or not yet
            self.assertTrue(self.poisoned())
        self.assertGreater(len(filled), 10)
        self.intact(filled)
        self.limit("none")
        run([COFFER, "unmount", self.at.dir], code=None)
        wait_for(lambda: not self.at.mounted, "the mount to end")
        self.at.mount()
        self.intact(filled)
        write_file(f"{self.bucket}/after", content("after", FILL), sync=True)
        os.unlink(f"{self.bucket}/fill-0")
        self.at.unmount()
        self.at.fsck()


class ReadOnlyBelow(SmallDisk):
    clean_at_end = False

    def test_a_disk_that_turns_read_only_takes_nothing_back(self):
        path = f"{self.bucket}/late"
        write_file(path, content("late", 50_000), sync=True)
        with open(f"/sys/fs/ext4/{self.device()}/trigger_fs_error", "w") as file:
            file.write("a test")

        def refused():
            try:
                write_file(f"{self.bucket}/new", content("new", 50_000), sync=True)
                return False
            except OSError as error:
                self.assertIn(error.errno, (errno.EIO, errno.EROFS, errno.ENOSPC))
                return True
        wait_for(refused, "the disk's refusal to reach the writer")
        self.intact({})
        self.assertEqual(read_file(path), content("late", 50_000))
        subprocess.run([COFFER, "unmount", self.at.dir], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        wait_for(lambda: not self.at.mounted, "the mount to end")
        self.unmount_below()
        run(["fsck.ext4", "-fy", os.path.join(self.folder, "image")], code=None)
        run(["mount", "-o", "loop", os.path.join(self.folder, "image"), self.below])
        self.at.mount()
        self.intact({})
        self.assertEqual(read_file(path), content("late", 50_000))
        self.at.unmount()
        self.at.fsck()

    def device(self):
        with open("/proc/self/mounts") as mounts:
            return next(os.path.basename(line.split()[0]) for line in mounts if line.split()[1] == self.below)


del SmallDisk  # it has no tests of its own

if __name__ == "__main__":
    main()
