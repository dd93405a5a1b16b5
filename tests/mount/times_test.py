"""Times: nanoseconds, utimensat's special values, the range that can be stored, and what reading does to atime."""

import ctypes
import os
import time

from mounted import MountTest, SharedMountTest, checked, libc, main, read_file, wait_for, write_file

UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
FIRST_NS, LAST_NS = -(1 << 63), (1 << 63) - 1
COARSE_CLOCK = 5  # linux/time.h, CLOCK_REALTIME_COARSE: what the kernel stamps files with
OLD = 10**18  # in 2001: a year that no clock here shows


def utimensat(path, atime, mtime):
    """Each a pair of seconds and nanoseconds, the latter may be a special value."""
    times = (ctypes.c_int64 * 4)(*atime, *mtime)
    checked(libc.utimensat(-100, os.fsencode(path), times, 0))


class Times(SharedMountTest):
    def test_now_and_omit_mean_what_they_say(self):
        path = self.touch("f")
        os.utime(path, ns=(OLD + 1, OLD + 2))
        utimensat(path, (0, UTIME_OMIT), (0, UTIME_OMIT))
        self.assertEqual((os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns), (OLD + 1, OLD + 2))
        utimensat(path, (0, UTIME_OMIT), (5, 6))
        self.assertEqual((os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns), (OLD + 1, 5 * 10**9 + 6))
        utimensat(path, (0, UTIME_NOW), (0, UTIME_OMIT))
        self.assertGreater(os.stat(path).st_atime_ns, OLD + 10**17)
        self.assertEqual(os.stat(path).st_mtime_ns, 5 * 10**9 + 6)
        utimensat(path, (7, 0), (0, UTIME_NOW))
        self.assertEqual(os.stat(path).st_atime_ns, 7 * 10**9)
        self.assertGreater(os.stat(path).st_mtime_ns, OLD + 10**17)

    def test_every_nanosecond_between_1677_and_2262_is_kept(self):
        times = (0, 1, -1, 10**9 - 1, 10**9, -10**9, -10**9 - 1, 2**31 * 10**9, 2**32 * 10**9 + 999_999_999,
                 -2**31 * 10**9 - 1, FIRST_NS, LAST_NS)
        for i, ns in enumerate(times):
            os.utime(self.touch(f"f{i}"), ns=(ns, ns))
        self.remount()
        for i, ns in enumerate(times):
            info = os.stat(self.path(f"f{i}"))
            self.assertEqual((info.st_atime_ns, info.st_mtime_ns), (ns, ns))

    def test_times_beyond_what_is_stored_become_the_nearest_that_is(self):
        for name, seconds in (("late", 1 << 40), ("early", -(1 << 40))):
            utimensat(self.touch(name), (seconds, 5), (seconds, 5))
        self.remount()
        for name, nearest in (("late", LAST_NS), ("early", FIRST_NS)):
            info = os.stat(self.path(name))
            self.assertEqual((info.st_atime_ns, info.st_mtime_ns), (nearest, nearest), name)

    def test_renaming_moves_the_ctime_and_leaves_the_mtime(self):
        write_file(self.path("a"), b"x")
        os.utime(self.path("a"), ns=(OLD, OLD))
        before = os.stat(self.path("a"))
        wait_for(lambda: time.clock_gettime_ns(COARSE_CLOCK) > before.st_ctime_ns, "the kernel's clock to tick")
        os.rename(self.path("a"), self.path("b"))
        after = os.stat(self.path("b"))
        self.assertGreater(after.st_ctime_ns, before.st_ctime_ns)
        self.assertEqual(after.st_mtime_ns, OLD)


class AccessTimes(MountTest):
    def setUp(self):
        super().setUp()
        self.at.bucket("bucket")
        self.file, self.link = self.at.path("bucket", "f"), self.at.path("bucket", "l")
        write_file(self.file, b"x")
        os.symlink("f", self.link)

    def aged(self, *options):
        """On a mount with these options: atime and mtime are OLD, ctime is not."""
        for path in (self.file, self.link):
            os.utime(path, ns=(OLD, OLD), follow_symlinks=False)
        self.at.remount(*(["-o", ",".join(options)] if options else []))

    def atime(self, path):
        return os.lstat(path).st_atime_ns

    def test_reading_moves_an_atime_older_than_the_last_change_and_leaves_a_newer_one(self):
        for options in ((), ("relatime",)):
            self.aged(*options)
            read_file(self.file)
            first = wait_for(lambda: self.atime(self.file) > OLD and self.atime(self.file), "the kernel to hear of it")
            read_file(self.file)
            self.assertEqual(self.atime(self.file), first)
            os.readlink(self.link)
            wait_for(lambda: self.atime(self.link) > OLD, "the kernel to hear of it")

    def test_strictatime_moves_it_at_every_open(self):
        self.aged("strictatime")
        read_file(self.file)
        first = wait_for(lambda: self.atime(self.file) > OLD and self.atime(self.file), "the kernel to hear of it")
        read_file(self.file)
        wait_for(lambda: self.atime(self.file) > first, "the kernel to hear of it")

    def test_noatime_and_ro_leave_it(self):
        for option in ("noatime", "ro"):
            self.at.remount()
            self.aged(option)
            read_file(self.file)
            os.readlink(self.link)
            self.at.remount()  # what the daemon stored, and not what the kernel kept
            self.assertEqual((self.atime(self.file), self.atime(self.link)), (OLD, OLD), option)

    def test_a_file_opened_with_o_noatime_keeps_it(self):
        self.aged()
        fd = os.open(self.file, os.O_RDONLY | os.O_NOATIME)
        self.assertEqual(os.read(fd, 10), b"x")
        os.close(fd)
        self.at.remount()
        self.assertEqual(self.atime(self.file), OLD)


if __name__ == "__main__":
    main()
