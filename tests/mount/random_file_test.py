"""Random operations on a file of the mount and on a plain file, compared as they go (of the kind of xfstests' fsx)."""

import ctypes
import mmap
import os
import random
import tempfile

from mounted import MountTest, checked, libc, main

OPERATIONS = int(os.environ.get("COFFER_RANDOM_OPERATIONS", "12000"))
SIZE_MAX = 300_000
KEEP_SIZE, PUNCH, ZERO = 1, 2, 16


def fallocate(fd, mode, offset, size):
    checked(libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(size)))


class Pair:
    """One file of the mount and its plain twin. Every operation is done to both."""

    def __init__(self, test, path, twin, chance):
        self.test, self.path, self.chance = test, path, chance
        self.plain = os.open(twin, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.sealed = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def close(self):
        os.close(self.plain)
        os.close(self.sealed)

    @property
    def size(self):
        return os.fstat(self.plain).st_size

    def span(self, size_max=None):
        offset = self.chance.randrange(SIZE_MAX if size_max is None else max(size_max, 1))
        if self.chance.random() < 0.3:
            offset &= ~4095
        limit = (SIZE_MAX if size_max is None else size_max) - offset
        return offset, min(limit, self.chance.choice((1, 100, 4096, 16384, 20_000, 70_000)) + self.chance.randrange(50))

    def both(self, operation):
        operation(self.plain)
        operation(self.sealed)

    def write(self):
        offset, size = self.span()
        data = self.chance.randbytes(size)
        self.both(lambda fd: os.pwrite(fd, data, offset))

    def append(self):
        if self.size > SIZE_MAX - 5000:
            return
        data = self.chance.randbytes(self.chance.randrange(1, 5000))
        end = self.size
        self.both(lambda fd: os.pwrite(fd, data, end))

    def read(self):
        offset, size = self.span()
        self.test.assertEqual(os.pread(self.sealed, size, offset), os.pread(self.plain, size, offset), f"{offset}+{size}")

    def truncate(self):
        size = self.chance.choice((0, self.chance.randrange(SIZE_MAX), self.chance.randrange(self.size + 1)))
        self.both(lambda fd: os.ftruncate(fd, size))

    def map_write(self):
        if not self.size:
            return
        offset, size = self.span(self.size)
        data = self.chance.randbytes(size)

        def write(fd):
            with mmap.mmap(fd, 0) as mapped:
                mapped[offset:offset + size] = data
        self.both(write)

    def map_read(self):
        if not self.size:
            return
        with mmap.mmap(self.sealed, 0, prot=mmap.PROT_READ) as sealed, mmap.mmap(self.plain, 0, prot=mmap.PROT_READ) as plain:
            self.test.assertEqual(sealed[:], plain[:])

    def punch(self):
        offset, size = self.span()
        if size:
            self.both(lambda fd: fallocate(fd, PUNCH | KEEP_SIZE, offset, size))

    def zero(self):
        """tmpfs has no FALLOC_FL_ZERO_RANGE: its twin gets written zeros."""
        offset, size = self.span()
        keep = self.chance.random() < 0.5
        if keep:
            size = min(size, self.size - offset)
        if size <= 0:
            return
        fallocate(self.sealed, ZERO | (KEEP_SIZE if keep else 0), offset, size)
        os.pwrite(self.plain, bytes(size), offset)

    def allocate(self):
        offset, size = self.span()
        if size:
            mode = self.chance.choice((0, KEEP_SIZE))
            self.both(lambda fd: fallocate(fd, mode, offset, size))

    def copy_range(self):
        offset, size = self.span(self.size)
        to = self.chance.randrange(SIZE_MAX - size)
        if size <= 0 or (offset < to + size and to < offset + size):
            return
        data = os.pread(self.plain, size, offset)
        done = 0
        while done < size:
            moved = os.copy_file_range(self.sealed, self.sealed, size - done, offset + done, to + done)
            self.test.assertGreater(moved, 0)
            done += moved
        os.pwrite(self.plain, data, to)

    def sync(self):
        os.fsync(self.sealed)

    def reopen(self):
        os.close(self.sealed)
        self.sealed = os.open(self.path, os.O_RDWR)

    def same(self):
        self.test.assertEqual(os.fstat(self.sealed).st_size, self.size)
        self.test.assertEqual(os.pread(self.sealed, SIZE_MAX + 1, 0), os.pread(self.plain, SIZE_MAX + 1, 0))


class RandomFile(MountTest):
    def drive(self, bucket, sse, operations, restart=None):
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        print(f"{bucket}: seed {seed}, {operations} operations", flush=True)
        chance = random.Random(seed)
        self.at.bucket(bucket, sse)
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.NamedTemporaryFile(dir=memory) as twin:
            pair = Pair(self, self.at.path(bucket, "file"), twin.name, chance)
            verbs = ([pair.write] * 6 + [pair.append] * 2 + [pair.read] * 6 + [pair.truncate] * 2 + [pair.map_write] * 2
                     + [pair.map_read, pair.punch, pair.punch, pair.zero, pair.allocate, pair.copy_range, pair.reopen])
            for i in range(operations):
                verb = pair.sync if chance.random() < 0.01 else chance.choice(verbs)
                with self.subTest(seed=seed, operation=i, verb=verb.__name__):
                    verb()
                    self.assertEqual(os.fstat(pair.sealed).st_size, pair.size)
                if not self.succeeded():
                    break
                if i % 500 == 0:
                    pair.same()
                if restart and i % restart == restart - 1:
                    os.close(pair.sealed)
                    self.at.remount()
                    pair.sealed = os.open(pair.path, os.O_RDWR)
                    pair.same()
            pair.same()
            pair.close()

    def succeeded(self):
        return self._outcome.success

    def test_a_file_under_aes256_equals_its_plain_twin(self):
        self.drive("plain", None, OPERATIONS)

    def test_a_file_under_dsse_equals_its_plain_twin_over_restarts(self):
        self.drive("dsse", "aws:kms:dsse", OPERATIONS // 2, restart=OPERATIONS // 8)

    def test_a_file_under_a_bucket_key_equals_its_plain_twin(self):
        self.drive("kms", "aws:kms", OPERATIONS // 2)


if __name__ == "__main__":
    main()
