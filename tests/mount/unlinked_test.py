"""Files without a name: unlinked while open they are whole until the last descriptor is closed; O_TMPFILE makes none."""

import errno
import mmap
import os

from mounted import SharedMountTest, checked, content, libc, main, read_file, wait_for, write_file

SIZE = 3_000_000
SYMLINK_FOLLOW = 0x400  # linux/fcntl.h


class Unlinked(SharedMountTest):
    def opened(self, name="f", size=SIZE):
        write_file(self.path(name), content(1, size))
        return os.open(self.path(name), os.O_RDWR)

    def test_o_tmpfile_is_refused(self):
        self.assertErrno(errno.EOPNOTSUPP, os.open, self.folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        self.assertErrno(errno.EOPNOTSUPP, os.open, self.at.dir, os.O_TMPFILE | os.O_RDWR, 0o600)
        self.assertEqual(os.listdir(self.folder), [])

    def test_an_unlinked_file_is_read_written_resized_and_described(self):
        for way in (os.unlink, lambda path: os.rename(self.touch("g"), path)):
            fd = self.opened()
            way(self.path("f"))
            self.assertEqual((os.fstat(fd).st_nlink, os.fstat(fd).st_size), (0, SIZE))
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            self.assertEqual(os.pread(fd, SIZE + 1, 0), content(1, SIZE))
            os.pwrite(fd, b"end", 2 * SIZE)
            os.ftruncate(fd, 100)
            self.assertEqual((os.fstat(fd).st_size, os.pread(fd, 200, 0)), (100, content(1, SIZE)[:100]))
            os.ftruncate(fd, 50_000)
            with mmap.mmap(fd, 0) as mapped:
                mapped[40_000:40_003] = b"map"
            os.fsync(fd)
            self.assertEqual(os.pread(fd, 10, 39_998), b"\0\0map\0\0\0\0\0")
            os.fchmod(fd, 0o604)
            os.fchown(fd, 12, 34)
            os.setxattr(fd, "user.a", b"b")
            os.utime(fd, ns=(5, 7))
            info = os.fstat(fd)
            self.assertEqual((info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime_ns, os.getxattr(fd, "user.a")),
                             (0o604, 12, 34, 7, b"b"))
            os.close(fd)

    def test_it_gets_no_name_again(self):
        fd = self.opened(size=10)
        os.unlink(self.path("f"))
        link = lambda: checked(libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, os.fsencode(self.path("again")), SYMLINK_FOLLOW))
        self.assertErrno(errno.ENOENT, link)
        self.assertErrno(errno.ENOENT, os.open, self.path("f"), os.O_RDONLY)
        os.close(fd)

    def test_a_new_file_of_the_name_is_another(self):
        fd = self.opened(size=10)
        os.unlink(self.path("f"))
        write_file(self.path("f"), b"another")
        self.assertNotEqual(os.fstat(fd).st_ino, os.stat(self.path("f")).st_ino)
        os.pwrite(fd, b"old", 0)
        os.fsync(fd)
        self.assertEqual(read_file(self.path("f")), b"another")
        os.close(fd)

    def test_its_space_comes_back_when_it_is_closed_and_not_before(self):
        fd = self.opened()
        os.fsync(fd)
        os.unlink(self.path("f"))
        self.at.cli("sync", self.at.dir)
        self.assertGreaterEqual(self.at.data_bytes(), SIZE)
        os.close(fd)
        wait_for(lambda: self.at.data_bytes() < SIZE, "the data file to go")

    def test_a_removed_directory_that_is_open_is_empty_and_takes_nothing(self):
        os.mkdir(self.path("d"))
        fd = os.open(self.path("d"), os.O_RDONLY)
        os.rmdir(self.path("d"))
        self.assertEqual(os.fstat(fd).st_nlink, 0)
        self.assertEqual(os.listdir(fd), [])
        self.assertErrno(errno.ENOENT, lambda: os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        self.assertErrno(errno.ENOENT, lambda: os.mkdir("e", dir_fd=fd))
        os.close(fd)


if __name__ == "__main__":
    main()
