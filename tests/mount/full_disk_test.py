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

    mount_below = ()
    mebibytes = 64

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
        run(["mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro", image])
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


class FullTmpfs(FullDisk):
    def make_disk(self):
        run(["mount", "-t", "tmpfs", "-o", f"size={self.mebibytes}m", "none", self.below])


class LargerDisk(SmallDisk):
    """Large enough that all of the reserve is held back."""

    mebibytes = 600
    test_everything_but_growing_goes_on_and_deleting_makes_room = FullDisk.test_everything_but_growing_goes_on_and_deleting_makes_room


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
