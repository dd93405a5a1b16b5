"""Set-user-id, set-group-id and file capabilities: who loses them when; and what sticky and set-group-id directories do."""

import ctypes
import errno
import os
import stat
import struct

from mounted import SharedMountTest, as_user, checked, libc, main, write_file

USER, OTHER, GROUP = 1001, 1002, 3003
KEEP_SIZE, PUNCH = 1, 2
CAPABILITY = struct.pack("<5I", 0x2000001, 1 << 10, 0, 0, 0)


def bits(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class Privileges(SharedMountTest):
    def setUp(self):
        super().setUp()
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        os.chmod(self.folder, 0o777)

    def file(self, mode, name="f", capable=False):
        write_file(self.path(name), b"0123456789")
        os.chown(self.path(name), USER, USER)
        os.chmod(self.path(name), mode)
        if capable:
            os.setxattr(self.path(name), "security.capability", CAPABILITY)
        return self.path(name)

    def capable(self, path):
        return "security.capability" in os.listxattr(path)

    def overwrite(self, path):
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, b"y")
        os.close(fd)

    def changes(self, path):
        """Every way to change content, by name."""
        def with_fd(act, flags=os.O_RDWR):
            fd = os.open(path, flags)
            try:
                act(fd)
            finally:
                os.close(fd)
        return {
            "write": lambda: self.overwrite(path),
            "append": lambda: with_fd(lambda fd: os.write(fd, b"z") and None, os.O_WRONLY | os.O_APPEND),
            "truncate": lambda: os.truncate(path, 5),
            "extend": lambda: os.truncate(path, 50),
            "ftruncate": lambda: with_fd(lambda fd: os.ftruncate(fd, 3)),
            "O_TRUNC": lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
            "fallocate": lambda: with_fd(lambda fd: os.posix_fallocate(fd, 0, 100)),
            "punch": lambda: with_fd(lambda fd: checked(libc.fallocate(fd, PUNCH | KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(5)))),
            "copy_file_range": lambda: with_fd(lambda fd: os.copy_file_range(fd, fd, 2, 0, 5) and None),
        }

    def test_every_change_of_content_by_another_user_takes_them_away(self):
        for name in self.changes(""):
            path = self.file(0o6777, name, capable=True)
            as_user(OTHER, self.changes(path)[name])
            self.assertEqual((bits(path), self.capable(path)), (0o777, False), name)

    def test_a_set_group_id_bit_without_group_execution_stays(self):
        path = self.file(0o2767)
        as_user(OTHER, self.overwrite, path, groups=[USER])
        self.assertEqual(bits(path), 0o2767)

    def test_root_keeps_the_bits_and_loses_the_capabilities(self):
        path = self.file(0o6777, capable=True)
        self.overwrite(path)
        self.assertEqual((bits(path), self.capable(path)), (0o6777, False))

    def test_chown_takes_them_away_also_by_root(self):
        for owner in ((OTHER, -1), (-1, GROUP), (OTHER, GROUP)):
            path = self.file(0o6755, capable=True)
            os.chown(path, *owner)
            self.assertEqual((bits(path), self.capable(path)), (0o755, False), owner)

    def test_chown_leaves_directories_their_bits(self):
        os.mkdir(self.path("d"))
        os.chmod(self.path("d"), 0o6755)
        os.chown(self.path("d"), OTHER, GROUP)
        self.assertEqual(bits(self.path("d")), 0o6755)

    def test_chmod_by_one_outside_the_group_takes_set_group_id_away(self):
        path = self.file(0o755)
        os.chown(path, USER, GROUP)
        as_user(USER, os.chmod, path, 0o2755)
        self.assertEqual(bits(path), 0o755)
        as_user(USER, os.chmod, path, 0o2755, groups=[GROUP])
        self.assertEqual(bits(path), 0o2755)

    def test_only_the_owner_may_change_mode_and_times_and_only_root_the_owner(self):
        path = self.file(0o666)
        self.assertErrno(errno.EPERM, as_user, OTHER, os.chmod, path, 0o777)
        self.assertErrno(errno.EPERM, as_user, OTHER, os.chown, path, OTHER, -1)
        self.assertErrno(errno.EPERM, as_user, USER, os.chown, path, OTHER, -1)
        self.assertErrno(errno.EPERM, as_user, USER, os.chown, path, -1, GROUP)
        as_user(USER, os.chown, path, -1, GROUP, groups=[GROUP])
        self.assertEqual(os.stat(path).st_gid, GROUP)
        self.assertErrno(errno.EPERM, as_user, OTHER, lambda: os.utime(path, ns=(1, 1)))
        as_user(OTHER, lambda: os.utime(path))  # now: writing is enough

    def test_in_a_sticky_directory_only_the_owners_remove_and_rename(self):
        os.mkdir(self.path("tmp"))
        os.chmod(self.path("tmp"), 0o1777)
        theirs, mine = self.path("tmp", "theirs"), self.path("tmp", "mine")
        for path, owner in ((theirs, USER), (mine, OTHER)):
            write_file(path, b"x")
            os.chown(path, owner, owner)
        os.mkdir(self.path("tmp", "d"))
        os.chown(self.path("tmp", "d"), USER, USER)
        for call in ((os.unlink, theirs), (os.rename, theirs, theirs + "2"), (os.rename, mine, theirs), (os.rmdir, self.path("tmp", "d"))):
            self.assertErrno(errno.EPERM, as_user, OTHER, *call)
        as_user(OTHER, os.rename, mine, mine + "2")
        as_user(OTHER, os.unlink, mine + "2")
        as_user(USER, os.rmdir, self.path("tmp", "d"))
        os.chown(self.path("tmp"), OTHER, OTHER)
        as_user(OTHER, os.unlink, theirs)

    def test_a_set_group_id_directory_hands_down_group_and_bit(self):
        os.mkdir(self.path("d"))
        os.chown(self.path("d"), USER, GROUP)
        os.chmod(self.path("d"), 0o2777)

        def make():
            os.mkdir(self.path("d", "sub"), 0o755)
            os.close(os.open(self.path("d", "file"), os.O_CREAT | os.O_WRONLY, 0o2775))
            os.symlink("x", self.path("d", "link"))
            os.mkfifo(self.path("d", "fifo"))
        as_user(OTHER, make)
        for name in ("sub", "file", "link", "fifo"):
            self.assertEqual((os.lstat(self.path("d", name)).st_uid, os.lstat(self.path("d", name)).st_gid), (OTHER, GROUP), name)
        self.assertEqual(bits(self.path("d", "sub")), 0o2755)
        self.assertEqual(bits(self.path("d", "file")), 0o775, "one outside the group makes no set-group-id program")


if __name__ == "__main__":
    main()
