"""Holes: where they are said to be, also in files being written; what copying keeps of them; files of 16 TiB."""

import ctypes
import errno
import mmap
import os

from mounted import SharedMountTest, checked, content, drop_file, libc, main, read_file, run, write_file

CHUNK = 16 * 1024
TIB = 1 << 40
FILE_MAX = 16 * TIB
KEEP_SIZE, PUNCH = 1, 2


def data_of(fd):
    """The parts that SEEK_DATA and SEEK_HOLE call data."""
    parts, at = [], 0
    while True:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return parts
            raise
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        parts.append((begin, at))


class Sparse(SharedMountTest):
    def opened(self, name="f", flags=os.O_CREAT | os.O_RDWR):
        fd = os.open(self.path(name), flags)
        self.addCleanup(os.close, fd)
        return fd

    def test_what_is_written_is_never_called_a_hole_also_before_it_is_written_back(self):
        fd = self.opened()
        os.ftruncate(fd, 200 * CHUNK)
        written = [(3 * CHUNK + 5, 10), (50 * CHUNK - 1, 2), (120 * CHUNK, 3 * CHUNK), (199 * CHUNK + 1, 1)]
        for offset, size in written:
            os.pwrite(fd, b"x" * size, offset)
            for start, length in written[:written.index((offset, size)) + 1]:
                self.assertTrue(any(a <= start and start + length <= b for a, b in data_of(fd)), (start, data_of(fd)))

    def test_content_too_far_for_the_disk_below_is_refused_and_hurts_nothing_else(self):
        fd = os.open(self.path("far"), os.O_CREAT | os.O_RDWR)
        os.pwrite(fd, b"x", FILE_MAX - 1)
        try:
            os.fsync(fd)  # xfs below: it is kept
        except OSError as error:
            self.assertEqual(error.errno, errno.EFBIG)
        try:
            os.close(fd)
        except OSError as error:
            self.assertIn(error.errno, (errno.EFBIG, errno.EIO))
        write_file(self.path("near"), content(1, 50_000), sync=True)
        drop_file(self.path("near"))
        self.assertEqual(read_file(self.path("near")), content(1, 50_000))

    def test_holes_are_exact_to_the_chunk_once_nobody_writes(self):
        fd = os.open(self.path("f"), os.O_CREAT | os.O_RDWR)
        os.pwrite(fd, b"x", 3 * CHUNK)
        os.pwrite(fd, b"x" * (2 * CHUNK), 130 * CHUNK)
        os.pwrite(fd, b"x" * (9 * CHUNK), 300 * CHUNK)
        checked(libc.fallocate(fd, PUNCH | KEEP_SIZE, ctypes.c_int64(303 * CHUNK), ctypes.c_int64(2 * CHUNK)))
        os.ftruncate(fd, 400 * CHUNK)
        os.close(fd)
        fd = self.opened(flags=os.O_RDONLY)
        expected = [(3, 4), (130, 132), (300, 303), (305, 309)]
        self.assertEqual(data_of(fd), [(a * CHUNK, b * CHUNK) for a, b in expected])
        self.assertEqual(os.lseek(fd, 399 * CHUNK, os.SEEK_HOLE), 399 * CHUNK)
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            self.assertErrno(errno.ENXIO, os.lseek, fd, 400 * CHUNK, whence)
            self.assertErrno(errno.ENXIO, os.lseek, fd, -1, whence)

    def test_holes_are_exact_also_while_the_file_is_written_to(self):
        fd = self.opened()
        os.ftruncate(fd, 400 * CHUNK)
        expected = []
        for at, size in ((3, 1), (130, 2), (300, 9)):
            os.pwrite(fd, b"x" * (size * CHUNK), at * CHUNK)
            expected.append((at * CHUNK, (at + size) * CHUNK))
            self.assertEqual(data_of(fd), expected)
        with mmap.mmap(fd, 400 * CHUNK) as mapped:
            mapped[350 * CHUNK] = 1
            self.assertEqual(data_of(fd), expected + [(350 * CHUNK, 351 * CHUNK)])
        checked(libc.fallocate(fd, PUNCH | KEEP_SIZE, ctypes.c_int64(130 * CHUNK), ctypes.c_int64(2 * CHUNK)))
        self.assertEqual(data_of(fd), [expected[0], expected[2], (350 * CHUNK, 351 * CHUNK)])

    def test_cp_of_a_file_with_dirty_pages_keeps_data_and_holes(self):
        fd = self.opened()
        os.ftruncate(fd, 20_000_000)
        for i in range(0, 20_000_000, 4_000_000):
            os.pwrite(fd, content(i, 100), i + 77)
        for how in ("auto", "always"):
            run(["cp", f"--sparse={how}", self.path("f"), self.path(how)])
            self.assertEqual(read_file(self.path(how)), os.pread(fd, 20_000_001, 0))
            self.assertLess(os.stat(self.path(how)).st_blocks * 512, 1_000_000)

    def test_a_file_of_16_tib_is_written_and_read_at_7_tib(self):
        fd = self.opened()
        os.ftruncate(fd, FILE_MAX)
        os.pwrite(fd, b"far", 7 * TIB + 3)
        os.fsync(fd)
        drop_file(self.path("f"))
        self.assertEqual(os.fstat(fd).st_size, FILE_MAX)
        self.assertLess(os.fstat(fd).st_blocks * 512, 1 << 20)
        self.assertEqual(os.pread(fd, 5, 7 * TIB + 2), b"\0far\0")
        self.assertEqual(os.pread(fd, 100, FILE_MAX - 10), bytes(10))

    def test_no_file_grows_beyond_16_tib(self):
        fd = self.opened()
        self.assertErrno(errno.EFBIG, os.ftruncate, fd, FILE_MAX + 1)
        self.assertErrno(errno.EFBIG, os.posix_fallocate, fd, FILE_MAX, 1)
        self.assertEqual(os.fstat(fd).st_size, 0)

    # --- copy_file_range ---
    def test_copy_file_range_ends_at_the_end_of_the_source(self):
        write_file(self.path("a"), content(1, 100_000))
        source, target = self.opened("a", os.O_RDONLY), self.opened("b")
        self.assertEqual(os.copy_file_range(source, target, 1000, 100_000, 0), 0)
        self.assertEqual(os.copy_file_range(source, target, 1000, 200_000, 0), 0)
        self.assertEqual(os.copy_file_range(source, target, 0, 0, 0), 0)
        self.assertEqual(os.copy_file_range(source, target, 1000, 99_990, 5), 10)
        self.assertEqual(os.pread(target, 100, 0), bytes(5) + content(1, 100_000)[-10:])

    def test_copy_file_range_takes_unaligned_pieces_and_what_is_not_written_back(self):
        data = content(2, 5 * CHUNK)
        source, target = self.opened("a"), self.opened("b")
        os.pwrite(source, data, 0)
        os.pwrite(target, b"t" * (6 * CHUNK), 0)
        expected = bytearray(b"t" * (6 * CHUNK))
        for begin, size, to in ((1, CHUNK, 7), (CHUNK - 1, 2, 3 * CHUNK - 1), (0, 2 * CHUNK, 2 * CHUNK), (4 * CHUNK + 5, 100, 6 * CHUNK - 50)):
            self.assertEqual(os.copy_file_range(source, target, size, begin, to), size)
            expected[to:to + size] = data[begin:begin + size]
        self.assertEqual(os.pread(target, 7 * CHUNK, 0), bytes(expected))

    def test_copy_file_range_within_a_file_refuses_overlap(self):
        fd = self.opened()
        os.pwrite(fd, content(3, 3 * CHUNK), 0)
        self.assertErrno(errno.EINVAL, os.copy_file_range, fd, fd, 1000, 0, 999)
        self.assertEqual(os.copy_file_range(fd, fd, 1000, 0, 1000), 1000)
        self.assertEqual(os.pread(fd, 1000, 1000), content(3, 3 * CHUNK)[:1000])

    def test_copy_file_range_needs_the_right_descriptors(self):
        write_file(self.path("a"), b"a" * 100)
        reads, writes, appends = self.opened("a", os.O_RDONLY), self.opened("b", os.O_CREAT | os.O_WRONLY), self.opened(
            "b", os.O_WRONLY | os.O_APPEND)
        self.assertErrno(errno.EBADF, os.copy_file_range, writes, writes, 10)
        self.assertErrno(errno.EBADF, os.copy_file_range, reads, reads, 10, 0, 50)
        self.assertErrno(errno.EBADF, os.copy_file_range, reads, appends, 10)
        self.assertErrno(errno.EISDIR, os.copy_file_range, self.opened(".", os.O_RDONLY), writes, 10)

    def test_copy_file_range_crosses_buckets_and_reseals(self):
        other = self.at.bucket("other-bucket", "aws:kms:dsse")
        write_file(self.path("a"), content(4, 100_000))
        target = os.open(os.path.join(other, "b"), os.O_CREAT | os.O_RDWR)
        source = self.opened("a", os.O_RDONLY)
        done = 0
        while done < 100_000:
            done += os.copy_file_range(source, target, 100_000 - done, done, done)
        os.close(target)
        self.assertEqual(read_file(os.path.join(other, "b")), content(4, 100_000))
        self.assertEqual(len(self.at.inspect("other-bucket", "b")["layers"]), 2)
        run(["rm", "-rf", other])


if __name__ == "__main__":
    main()
