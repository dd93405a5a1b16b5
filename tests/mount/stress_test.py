"""Many processes on one tree: reading, writing, renaming, linking, unlinking, truncating and listing it, while its rule changes.

Every block of every file says which inode it belongs to, where it lies and who wrote it, so that a byte in the wrong place is seen whoever
put it there. Run by ./check with a daemon built with ThreadSanitizer too, for COFFER_STRESS_SECONDS.
"""

import ctypes
import errno
import hashlib
import os
import random
import stat
import struct
import time
import traceback

from mounted import LONG, MountTest, libc, main, rule_xml

SECONDS = float(os.environ.get("COFFER_STRESS_SECONDS", 600 if LONG else 8))
WORKERS = 8
BLOCK = 512
BLOCKS_MAX = 120  # 60 KiB: in the catalog or some chunks
DIRECTORIES = [f"d{i}" for i in range(4)]
NAMES = [f"n{i}" for i in range(12)]
ANCHORS = [f"anchor{i}" for i in range(3)]  # replaced by rename only: always there, and always whole
TWINS = ["left", "right"]  # exchanged only: both always there
HEADER = struct.Struct("<4sIQQQ")  # magic, writer, inode, offset, number of the write
NOREPLACE, EXCHANGE = 1, 2
AT_FDCWD = -100


def block(writer, ino, offset, number):
    header = HEADER.pack(b"strs", writer, ino, offset, number)
    return (header + hashlib.sha256(header).digest()) * (BLOCK // (HEADER.size + 32))


assert len(block(0, 0, 0, 0)) == BLOCK


def blocks(writer, ino, offset, count, number):
    return b"".join(block(writer, ino, offset + i * BLOCK, number) for i in range(count))


def wrong_in(data, ino, offset, zeros=True):
    """What does not belong at this offset of this inode, or None. A block never written is zeros."""
    if len(data) % BLOCK:
        return f"{len(data)} bytes are no whole blocks"
    for at in range(0, len(data), BLOCK):
        piece = data[at:at + BLOCK]
        if zeros and not piece.strip(b"\0"):
            continue
        magic, writer, is_of, is_at, number = HEADER.unpack_from(piece)
        if magic != b"strs" or piece != block(writer, is_of, is_at, number):
            return f"the block at {offset + at} is torn or was written by nobody: {piece[:HEADER.size].hex()}"
        if (is_of, is_at) != (ino, offset + at):
            return f"the block at {offset + at} of inode {ino} is that at {is_at} of inode {is_of}, by {writer}"
    return None


def rename2(old, new, flags):
    if libc.renameat2(AT_FDCWD, old.encode(), AT_FDCWD, new.encode(), ctypes.c_uint(flags)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), old)


class Worker:
    """One process. Whatever another may have done meanwhile is fine; anything else is raised."""

    def __init__(self, number, folder, seed):
        self.number, self.folder = number, folder
        self.chance = random.Random(seed * 1000 + number)
        self.writes = self.done = 0
        self.own = os.path.join(folder, f"own{number}")  # nobody else touches it
        self.own_fd = os.open(self.own, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        self.own_blocks = []

    def any_name(self):
        return os.path.join(self.folder, self.chance.choice(DIRECTORIES), self.chance.choice(NAMES))

    def next(self):
        self.writes += 1
        return self.writes

    def may_fail(self, call, *allowed):
        try:
            return call()
        except OSError as error:
            if error.errno not in allowed:
                raise
            return None

    def opened(self, path, flags):
        return self.may_fail(lambda: os.open(path, flags | os.O_CLOEXEC, 0o644), errno.ENOENT, errno.EISDIR, errno.EEXIST)

    def demand(self, good, what):
        if not good:
            raise AssertionError(what)

    # --- what it does ---
    def write(self):
        fd = self.opened(self.any_name(), os.O_RDWR | os.O_CREAT)
        if fd is None:
            return
        try:
            first, count = self.chance.randrange(BLOCKS_MAX - 8), self.chance.choice((1, 1, 2, 8))
            data = blocks(self.number, os.fstat(fd).st_ino, first * BLOCK, count, self.next())
            self.demand(os.pwrite(fd, data, first * BLOCK) == len(data), "a short write")
            if self.chance.random() < 0.02:
                os.fsync(fd)
        finally:
            os.close(fd)

    def read(self):
        fd = self.opened(self.any_name(), os.O_RDONLY)
        if fd is None:
            return
        try:
            self.check(fd)
        finally:
            os.close(fd)

    def check(self, fd):
        """A block that is being written while it is read may be seen half; one that stays so is torn."""
        ino, first = os.fstat(fd).st_ino, self.chance.randrange(BLOCKS_MAX) * BLOCK
        for attempt in range(50):
            wrong = wrong_in(os.pread(fd, 64 * BLOCK, first), ino, first)
            if wrong is None:
                return
        raise AssertionError(wrong)

    def truncate(self):
        fd = self.opened(self.any_name(), os.O_RDWR)
        if fd is None:
            return
        try:
            os.ftruncate(fd, self.chance.choice((0, self.chance.randrange(BLOCKS_MAX) * BLOCK)))
        finally:
            os.close(fd)

    def create(self):
        fd = self.opened(self.any_name(), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        if fd is not None:
            os.close(fd)

    def unlink(self):
        self.may_fail(lambda: os.unlink(self.any_name()), errno.ENOENT, errno.EISDIR)

    def use_unlinked(self):
        path = self.any_name()
        fd = self.opened(path, os.O_RDWR)
        if fd is None:
            return
        try:
            self.may_fail(lambda: os.unlink(path), errno.ENOENT)
            os.pwrite(fd, blocks(self.number, os.fstat(fd).st_ino, 0, 1, self.next()), 0)
            self.check(fd)
        finally:
            os.close(fd)

    def rename(self):
        old, new = self.any_name(), self.any_name()
        flags = self.chance.choice((0, 0, 0, NOREPLACE, EXCHANGE))
        self.may_fail(lambda: rename2(old, new, flags), errno.ENOENT, errno.EEXIST)

    def link(self):
        self.may_fail(lambda: os.link(self.any_name(), self.any_name()), errno.ENOENT, errno.EEXIST)

    def stat(self):
        found = self.may_fail(lambda: os.stat(self.any_name()), errno.ENOENT)
        if found is not None:
            self.demand(stat.S_ISREG(found.st_mode) and found.st_size % BLOCK == 0, f"an odd stat: {found}")
            self.demand(found.st_size <= BLOCKS_MAX * BLOCK, f"a size that nobody made: {found}")

    def list(self):
        directory = os.path.join(self.folder, self.chance.choice(DIRECTORIES))
        found = sorted(os.listdir(directory))
        self.demand(len(set(found)) == len(found), f"listed twice: {found}")
        self.demand(set(found) <= set(NAMES), f"names that nobody made: {found}")

    def directories(self):
        mine = os.path.join(self.folder, f"shared-{self.chance.randrange(3)}")
        self.may_fail(lambda: os.mkdir(mine), errno.EEXIST)
        self.may_fail(lambda: os.symlink("elsewhere", os.path.join(mine, "link")), errno.ENOENT, errno.EEXIST)
        self.may_fail(lambda: os.unlink(os.path.join(mine, "link")), errno.ENOENT)
        self.may_fail(lambda: os.rmdir(mine), errno.ENOENT, errno.ENOTEMPTY)

    def replace_anchor(self):
        new = os.path.join(self.folder, f"new-{self.number}")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, blocks(self.number, os.fstat(fd).st_ino, 0, self.chance.choice((3, 40)), self.next()))
        os.close(fd)
        os.rename(new, os.path.join(self.folder, self.chance.choice(ANCHORS)))

    def read_anchor(self):
        """It is always there, and always one writer's, whole."""
        fd = os.open(os.path.join(self.folder, self.chance.choice(ANCHORS)), os.O_RDONLY)
        try:
            data = os.pread(fd, 64 * BLOCK, 0)
            self.demand(len(data) // BLOCK in (3, 40), f"an anchor of {len(data)} bytes")
            wrong = wrong_in(data, os.fstat(fd).st_ino, 0, zeros=False)
            self.demand(wrong is None, f"an anchor: {wrong}")
            makers = {HEADER.unpack_from(data, at)[1::3] for at in range(0, len(data), BLOCK)}
            self.demand(len(makers) == 1, f"an anchor by several: {makers}")
        finally:
            os.close(fd)

    def exchange(self):
        left, right = (os.path.join(self.folder, name) for name in TWINS)
        rename2(left, right, EXCHANGE)
        os.stat(left)
        os.stat(right)

    def own_file(self):
        """It holds what was written to it last, whatever others do."""
        ino, at = os.fstat(self.own_fd).st_ino, self.chance.randrange(BLOCKS_MAX)
        number = self.next()
        os.pwrite(self.own_fd, blocks(self.number, ino, at * BLOCK, 1, number), at * BLOCK)
        self.own_blocks += [0] * (at + 1 - len(self.own_blocks))
        self.own_blocks[at] = number
        if self.chance.random() < 0.1:
            self.check_own()

    def check_own(self):
        with open(self.own, "rb") as file:
            data, ino = file.read(), os.fstat(file.fileno()).st_ino
        expected = b"".join(blocks(self.number, ino, i * BLOCK, 1, n) if n else bytes(BLOCK) for i, n in enumerate(self.own_blocks))
        self.demand(data == expected, "a file of one's own holds other bytes than were written")

    def go(self, until):
        verbs = ([self.write] * 8 + [self.read] * 8 + [self.truncate] * 2 + [self.create, self.unlink, self.unlink, self.use_unlinked]
                 + [self.rename] * 3 + [self.link] * 2 + [self.stat] * 4 + [self.list] * 2 + [self.directories]
                 + [self.replace_anchor, self.read_anchor, self.read_anchor, self.exchange] + [self.own_file] * 3)
        while time.monotonic() < until:
            self.chance.choice(verbs)()
            self.done += 1
        self.check_own()


class Stress(MountTest):
    def start(self, work):
        """A process that does work(), and says what went wrong."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writer)
            return pid, reader
        code = 1
        try:
            os.close(reader)
            os.write(writer, str(work()).encode())
            code = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-3000:])
        os._exit(code)

    def ended(self, process):
        pid, reader = process
        with os.fdopen(reader) as file:
            said = file.read()
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), said

    def administrate(self, until, seed):
        """Rules, keys and buckets change meanwhile, and every change of a rule puts what is written next into the reseal queue."""
        chance, wire, calls = random.Random(seed), self.at.wire(), 0
        while time.monotonic() < until:
            what = chance.randrange(6)
            sse, key = chance.choice((("AES256", None), ("aws:kms", self.key), ("aws:kms:dsse", self.key)))
            if what < 2:
                answer = wire.put_encryption("stress", rule_xml(sse, key, chance.random() < 0.5 and sse == "aws:kms"))
                assert answer.status == 200, (answer.status, answer.body)
            elif what == 2:
                assert wire.get_encryption("stress").status == 200
            elif what == 3:
                os.mkdir(self.at.path("comes-and-goes"))
                with open(self.at.path("comes-and-goes", "file"), "wb") as file:
                    file.write(b"x" * 20_000)
                os.unlink(self.at.path("comes-and-goes", "file"))
                os.rmdir(self.at.path("comes-and-goes"))
            elif what == 4:
                for operation in ("DisableKey", "EnableKey"):
                    status, answer = wire.kms(operation, KeyId=self.other_key)
                    assert status == 200, answer
                with open(self.at.path("under-another-key", "file"), "rb") as file:
                    assert file.read() == b"y" * 20_000
            else:
                assert os.statvfs(self.at.dir).f_blocks > 0
                self.at.json("status")
            calls += 1
        return calls

    def test_no_process_sees_a_byte_or_a_name_that_nobody_put_there(self):
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        folder = self.at.bucket("stress")
        self.key, self.other_key = self.at.create_key(), self.at.create_key()
        self.at.bucket("under-another-key", "aws:kms", self.other_key)
        with open(self.at.path("under-another-key", "file"), "wb") as file:
            file.write(b"y" * 20_000)
        for name in DIRECTORIES:
            os.mkdir(os.path.join(folder, name))
        first = Worker(WORKERS, folder, seed)
        for name in ANCHORS + TWINS:
            fd = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT)
            os.write(fd, blocks(first.number, os.fstat(fd).st_ino, 0, 3, first.next()))
            os.close(fd)
        os.close(first.own_fd)
        until = time.monotonic() + SECONDS

        def work(number):
            worker = Worker(number, folder, seed)
            worker.go(until)
            return worker.done
        processes = [self.start(lambda number=number: work(number)) for number in range(WORKERS)]
        processes.append(self.start(lambda: self.administrate(until, seed)))
        ends = [self.ended(process) for process in processes]
        for code, said in ends:
            self.assertEqual(code, 0, f"COFFER_SEED={seed}\n{said}")
        print(f"COFFER_SEED={seed}: {sum(int(said) for _, said in ends[:-1])} operations of {WORKERS} processes in {SECONDS:.0f} s, "
              f"{ends[-1][1]} of the administrator", flush=True)
        before = self.look_at_all(folder)
        self.at.remount()
        self.assertEqual(self.look_at_all(folder), before)

    def look_at_all(self, folder):
        """Every file, with nobody writing: its names, its link count, and each block in its place."""
        inodes, names = {}, {}
        for base, _, files in os.walk(folder):
            for name in files:
                with open(os.path.join(base, name), "rb") as file:
                    data, found = file.read(), os.fstat(file.fileno())
                self.assertEqual(len(data), found.st_size)
                self.assertIsNone(wrong_in(data, found.st_ino, 0))
                inodes[found.st_ino] = (found.st_nlink, hashlib.sha256(data).hexdigest())
                names.setdefault(found.st_ino, []).append(os.path.join(base, name))
        for ino, (links, _) in inodes.items():
            self.assertEqual(links, len(names[ino]), names[ino])
        return inodes, {ino: sorted(paths) for ino, paths in names.items()}


if __name__ == "__main__":
    main()
