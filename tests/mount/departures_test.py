"""Where the mount is not as other file systems, as docs/SEMANTICS.md says under POSIX, and its limits."""

import ctypes
import errno
import os

from mounted import MountTest, SharedMountTest, checked, libc, main, read_file, run, wait_for, write_file

FILE_MAX = 16 << 40
COLLAPSE, INSERT, UNSHARE = 8, 32, 64
MS_RDONLY, MS_NOATIME, MS_REMOUNT = 1, 1024, 32
OLD = 10**18


class Departures(SharedMountTest):
    def test_collapse_insert_and_unshare_are_refused_and_change_nothing(self):
        write_file(self.path("f"), b"x" * 100_000)
        fd = os.open(self.path("f"), os.O_RDWR)
        for mode in (COLLAPSE, INSERT, UNSHARE):
            self.assertErrno(errno.EOPNOTSUPP, lambda: checked(libc.fallocate(fd, mode, ctypes.c_int64(0), ctypes.c_int64(16384))))
        os.close(fd)
        self.assertEqual(read_file(self.path("f")), b"x" * 100_000)

    def test_statx_has_no_birth_time(self):
        self.assertIn(run(["stat", "--format=%W", self.touch("f")]).stdout.strip(), ("0", "-"))

    def test_a_write_beyond_16_tib_is_refused_by_fsync(self):
        fd = os.open(self.path("f"), os.O_CREAT | os.O_RDWR)
        os.pwrite(fd, b"kept", 0)
        os.fsync(fd)
        os.pwrite(fd, b"x", FILE_MAX)
        self.assertErrno(errno.EFBIG, os.fsync, fd)
        os.ftruncate(fd, 4)
        os.fsync(fd)
        os.close(fd)
        self.remount()
        self.assertEqual(read_file(self.path("f")), b"kept")

    def test_listing_a_directory_leaves_its_atime(self):
        os.mkdir(self.path("d"))
        self.touch("d/f")
        os.utime(self.path("d"), ns=(OLD, OLD))
        self.remount()
        self.assertEqual(os.listdir(self.path("d")), ["f"])
        self.remount()
        self.assertEqual(os.stat(self.path("d")).st_atime_ns, OLD)

    def test_attributes_have_64_kib_each_and_1_mib_together(self):
        path = self.touch("f")
        os.setxattr(path, "user.most", b"x" * 65_536)
        self.assertErrno(errno.E2BIG, os.setxattr, path, "user.more", b"x" * 65_537)
        count = 1
        with self.assertRaises(OSError) as refused:
            for count in range(1, 100):
                os.setxattr(path, f"user.{count}", b"y" * 65_536)
        self.assertEqual((refused.exception.errno, count), (errno.ENOSPC, 15))
        os.removexattr(path, "user.most")
        os.setxattr(path, "user.15", b"y" * 65_536)
        self.remount()
        self.assertEqual(sorted(os.listxattr(path)), sorted(f"user.{i}" for i in range(1, 16)))
        self.assertEqual(os.getxattr(path, "user.15"), b"y" * 65_536)


class MountOptions(MountTest):
    def test_a_later_remount_does_not_reach_the_daemon(self):
        self.at.bucket("bucket")
        path = self.at.path("bucket", "f")
        write_file(path, b"x")
        os.utime(path, ns=(OLD, OLD))
        self.at.remount("-o", "strictatime")
        checked(libc.mount(None, os.fsencode(self.at.dir), None, MS_REMOUNT | MS_NOATIME, None))
        read_file(path)
        wait_for(lambda: os.stat(path).st_atime_ns > OLD, "the kernel to hear of it")
        # What the kernel does by itself it does.
        checked(libc.mount(None, os.fsencode(self.at.dir), None, MS_REMOUNT | MS_RDONLY, None))
        self.assertErrno(errno.EROFS, write_file, path, b"y")

    def test_with_ro_the_admin_socket_changes_rules_and_keys_all_the_same(self):
        self.at.bucket("bucket")
        self.at.remount("-o", "ro")
        key = self.at.create_key()
        self.at.put_rule("bucket", "aws:kms", key)
        self.assertErrno(errno.EROFS, write_file, self.at.path("bucket", "f"), b"x")
        self.at.remount()
        write_file(self.at.path("bucket", "f"), b"x")
        self.assertEqual(self.at.inspect("bucket", "f")["kms_key_arn"], key)


if __name__ == "__main__":
    main()
