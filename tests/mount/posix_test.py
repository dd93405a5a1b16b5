"""Below a bucket it is an ordinary POSIX file system; the root is S3's."""

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import stat
import threading

from mounted import MountTest, SharedMountTest, as_user, checked, content, libc, main, read_file, run, wait_for, write_file

NOREPLACE, EXCHANGE = 1, 2
KEEP_SIZE, PUNCH, ZERO = 1, 2, 16
CHUNK = 16 * 1024
EDGES = (0, 1, 4095, 4096, 8191, 8192, 8193, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 128 * CHUNK - 1, 128 * CHUNK + 1)


def rename(old, new, flags):
    checked(libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags))


def fallocate(fd, mode, offset, size):
    checked(libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(size)))


class Posix(SharedMountTest):
    # --- content ---
    def test_files_of_every_edge_size_come_back(self):
        for size in EDGES:
            write_file(self.path(str(size)), content(size, size))
        self.drop_cache()
        for size in EDGES:
            self.assertEqual(os.path.getsize(self.path(str(size))), size)
            self.assertEqual(read_file(self.path(str(size))), content(size, size), size)

    def test_writes_at_every_edge_leave_the_rest_alone(self):
        size = 5 * CHUNK + 100
        data = bytearray(content(1, size))
        write_file(self.path("f"), data)
        fd = os.open(self.path("f"), os.O_RDWR)
        for at in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 5, size - 10):
            for length in (1, 10, CHUNK, CHUNK + 1):
                piece = content(at * length, min(length, size - at))
                os.pwrite(fd, piece, at)
                data[at:at + len(piece)] = piece
        os.fsync(fd)
        self.drop_cache()
        self.assertEqual(os.pread(fd, size + 1, 0), bytes(data))
        os.close(fd)

    def test_a_write_beyond_the_end_leaves_zeros_between(self):
        fd = os.open(self.path("f"), os.O_CREAT | os.O_RDWR)
        os.write(fd, b"begin")
        os.pwrite(fd, b"end", 10 * CHUNK + 7)
        os.fsync(fd)
        self.drop_cache()
        self.assertEqual(os.pread(fd, 20 * CHUNK, 0), b"begin" + bytes(10 * CHUNK + 2) + b"end")
        os.close(fd)

    def test_append_adds_at_the_end(self):
        for i in range(100):
            with open(self.path("f"), "ab") as file:
                file.write(b"%05d" % i)
        self.assertEqual(read_file(self.path("f")), b"".join(b"%05d" % i for i in range(100)))
        one, two = (os.open(self.path("f"), os.O_WRONLY | os.O_APPEND) for _ in range(2))
        os.write(one, b"one")
        os.write(two, b"two")
        os.write(one, b"one")
        self.assertEqual(read_file(self.path("f"))[500:], b"onetwoone")
        os.close(one)
        os.close(two)

    def test_truncate_cuts_and_extends_with_zeros(self):
        data = content(2, 3 * CHUNK + 10)
        for size in EDGES:
            write_file(self.path("f"), data)
            os.truncate(self.path("f"), size)
            self.assertEqual(os.path.getsize(self.path("f")), size)
            os.truncate(self.path("f"), 4 * CHUNK)
            if size in (1, CHUNK + 1):
                self.drop_cache()
            self.assertEqual(read_file(self.path("f")), data[:size][:4 * CHUNK].ljust(4 * CHUNK, b"\0"), size)

    def test_a_file_grows_to_terabytes_without_using_space(self):
        os.truncate(self.touch("f"), 2 << 40)
        fd = os.open(self.path("f"), os.O_RDWR)
        os.pwrite(fd, b"far", (2 << 40) - 3)
        self.assertEqual(os.pread(fd, 10, (2 << 40) - 3), b"far")
        self.assertEqual(os.pread(fd, 10, 1 << 40), bytes(10))
        os.close(fd)

    def test_shared_mappings_write_through(self):
        write_file(self.path("f"), content(3, 5 * CHUNK))
        with open(self.path("f"), "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[CHUNK - 3:CHUNK + 3] = b"mapped"
            mapped.flush()
        self.drop_cache()
        expected = bytearray(content(3, 5 * CHUNK))
        expected[CHUNK - 3:CHUNK + 3] = b"mapped"
        self.assertEqual(read_file(self.path("f")), bytes(expected))

    def test_processes_see_each_others_stores_to_shared_mappings_and_they_stay(self):
        """Two processes pass a turn to and fro through one mapping; each leaves a mark in every chunk, its neighbour beside it."""
        chunks, rounds = 4, 50
        write_file(self.path("f"), bytes((chunks + 1) * CHUNK))

        def player(me):
            with open(self.path("f"), "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
                for i in range(rounds):
                    turn = 2 * i + me
                    wait_for(lambda: mapped[0] == turn, "the other's store")
                    for chunk in range(1, chunks + 1):
                        if i and mapped[chunk * CHUNK + 1 - me] != (i if me == 0 else i + 1):
                            return False
                        mapped[chunk * CHUNK + me] = i + 1
                    mapped[0] = turn + 1
                mapped.flush()
            return True
        other = os.fork()
        if not other:
            os._exit(0 if player(1) else 1)
        self.assertTrue(player(0))
        self.assertEqual(os.waitpid(other, 0)[1], 0)
        expected = bytearray((chunks + 1) * CHUNK)
        expected[0] = 2 * rounds
        for chunk in range(1, chunks + 1):
            expected[chunk * CHUNK:chunk * CHUNK + 2] = bytes([rounds, rounds])
        self.assertEqual(read_file(self.path("f")), bytes(expected))
        self.at.kill()
        self.at.mount(*self.mount_options)
        self.assertEqual(read_file(self.path("f")), bytes(expected))

    def test_an_unlinked_open_file_lives_until_it_is_closed(self):
        fd = os.open(self.path("f"), os.O_CREAT | os.O_RDWR)
        os.write(fd, content(4, 100_000))
        os.unlink(self.path("f"))
        self.assertEqual(os.listdir(self.folder), [])
        os.fsync(fd)
        self.drop_cache()
        self.assertEqual(os.pread(fd, 200_000, 0), content(4, 100_000))
        os.pwrite(fd, b"still writable", 5)
        self.assertEqual(os.fstat(fd).st_nlink, 0)
        os.close(fd)

    def test_data_and_holes_are_found(self):
        fd = os.open(self.path("f"), os.O_CREAT | os.O_RDWR)
        os.pwrite(fd, b"x" * CHUNK, 0)
        os.pwrite(fd, b"y" * CHUNK, 64 * CHUNK)
        os.ftruncate(fd, 100 * CHUNK)
        os.fsync(fd)
        os.close(fd)
        fd = os.open(self.path("f"), os.O_RDONLY)
        self.assertEqual(os.lseek(fd, 0, os.SEEK_DATA), 0)
        hole = os.lseek(fd, 0, os.SEEK_HOLE)
        self.assertTrue(CHUNK <= hole <= 64 * CHUNK, hole)
        data = os.lseek(fd, hole, os.SEEK_DATA)
        self.assertTrue(hole < data <= 64 * CHUNK, data)
        self.assertTrue(65 * CHUNK <= os.lseek(fd, data, os.SEEK_HOLE) <= 100 * CHUNK)
        self.assertErrno(errno.ENXIO, os.lseek, fd, 100 * CHUNK, os.SEEK_DATA)
        os.close(fd)

    def test_sparse_copies_of_unsynced_files_lose_no_data(self):
        fd = os.open(self.path("f"), os.O_CREAT | os.O_RDWR)
        os.ftruncate(fd, 40 * CHUNK)
        os.pwrite(fd, b"dirty in the kernel", 20 * CHUNK)
        run(["cp", "--sparse=always", self.path("f"), self.path("copy")])
        self.assertEqual(read_file(self.path("copy"))[20 * CHUNK:20 * CHUNK + 19], b"dirty in the kernel")
        os.close(fd)

    def test_fallocate_allocates_punches_and_zeroes(self):
        data = content(5, 10 * CHUNK)
        write_file(self.path("f"), data)
        fd = os.open(self.path("f"), os.O_RDWR)
        fallocate(fd, PUNCH | KEEP_SIZE, CHUNK + 5, 3 * CHUNK)
        expected = data[:CHUNK + 5] + bytes(3 * CHUNK) + data[4 * CHUNK + 5:]
        self.assertEqual(os.pread(fd, 20 * CHUNK, 0), expected)
        fallocate(fd, 0, 9 * CHUNK, 3 * CHUNK)
        self.assertEqual(os.fstat(fd).st_size, 12 * CHUNK)
        fallocate(fd, KEEP_SIZE, 20 * CHUNK, CHUNK)
        self.assertEqual(os.fstat(fd).st_size, 12 * CHUNK)
        fallocate(fd, ZERO, 6 * CHUNK + 1, 100)
        expected = (expected[:6 * CHUNK + 1] + bytes(100) + expected[6 * CHUNK + 101:]).ljust(12 * CHUNK, b"\0")
        os.fsync(fd)
        self.drop_cache()
        self.assertEqual(os.pread(fd, 20 * CHUNK, 0), expected)
        self.assertErrno(errno.EOPNOTSUPP, fallocate, fd, 8, 0, CHUNK)  # collapse range
        os.close(fd)

    def test_punching_gives_the_space_back(self):
        write_file(self.path("f"), content(6, 30_000_000), sync=True)
        before = self.at.data_bytes()
        fd = os.open(self.path("f"), os.O_RDWR)
        fallocate(fd, PUNCH | KEEP_SIZE, 0, 30_000_000)
        os.fsync(fd)
        os.close(fd)
        wait_for(lambda: self.at.data_bytes() < before - 20_000_000, "the freed regions to be punched")

    def test_copy_file_range_copies(self):
        write_file(self.path("a"), content(7, 500_000))
        source, target = os.open(self.path("a"), os.O_RDONLY), os.open(self.path("b"), os.O_CREAT | os.O_RDWR)
        done = 0
        while done < 500_000:
            done += os.copy_file_range(source, target, 500_000 - done, done, done)
        self.assertEqual(os.pread(target, 600_000, 0), content(7, 500_000))
        os.close(source)
        os.close(target)

    def test_locks_keep_others_out(self):
        with open(self.touch("f"), "r+b") as one, open(self.path("f"), "r+b") as two:
            fcntl.flock(one, fcntl.LOCK_EX)
            self.assertErrno(errno.EWOULDBLOCK, fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(one, fcntl.LOCK_UN)
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_writers_beside_each_other_do_not_mix(self):
        def work(number):
            for i in range(60):
                write_file(self.path(f"w{number}-{i}"), content(number * 1000 + i, 30_000))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(6):
            for i in range(60):
                self.assertEqual(read_file(self.path(f"w{number}-{i}")), content(number * 1000 + i, 30_000))

    # --- names ---
    def test_directories_are_made_and_removed(self):
        os.makedirs(self.path("a/b/c"))
        self.assertErrno(errno.EEXIST, os.mkdir, self.path("a"))
        self.assertErrno(errno.ENOTEMPTY, os.rmdir, self.path("a"))
        self.assertErrno(errno.ENOENT, os.mkdir, self.path("missing/d"))
        self.assertEqual(os.stat(self.path("a")).st_nlink, 3)
        for name in ("a/b/c", "a/b", "a"):
            os.rmdir(self.path(name))
        self.assertErrno(errno.ENOENT, os.rmdir, self.path("a"))
        self.assertErrno(errno.ENOTDIR, os.rmdir, self.touch("f"))
        self.assertErrno(errno.ENOTDIR, os.mkdir, self.path("f/d"))
        self.assertErrno((errno.EISDIR, errno.EPERM), os.unlink, self.folder)

    def test_names_are_bytes_up_to_255(self):
        names = [b"\xff\xfe not UTF-8", "käse".encode(), b"a" * 255, b" ", b"-", b"new\nline", b"'\"\\", b"..."]
        for name in names:
            with open(os.path.join(os.fsencode(self.folder), name), "wb") as file:
                file.write(name)
        self.assertEqual(sorted(os.listdir(os.fsencode(self.folder))), sorted(names))
        for name in names:
            self.assertEqual(read_file(os.path.join(os.fsencode(self.folder), name)), name)
        self.assertErrno(errno.ENAMETOOLONG, write_file, self.path("a" * 256), b"")

    def test_rename_replaces_atomically(self):
        write_file(self.path("a"), b"a")
        write_file(self.path("b"), b"b")
        held = os.open(self.path("b"), os.O_RDONLY)
        os.rename(self.path("a"), self.path("b"))
        self.assertEqual((os.listdir(self.folder), read_file(self.path("b"))), (["b"], b"a"))
        self.assertEqual(os.read(held, 9), b"b")
        os.close(held)
        os.mkdir(self.path("d"))
        os.mkdir(self.path("e"))
        os.rename(self.path("d"), self.path("e"))
        os.rename(self.path("b"), self.path("e", "c"))
        self.assertEqual(read_file(self.path("e", "c")), b"a")
        self.assertErrno(errno.ENOENT, os.rename, self.path("missing"), self.path("x"))
        self.assertErrno(errno.ENOTEMPTY, lambda: (os.mkdir(self.path("g")), os.rename(self.path("g"), self.path("e"))))
        self.assertErrno(errno.EINVAL, os.rename, self.path("e"), self.path("e", "inside"))
        self.assertErrno(errno.EISDIR, lambda: os.rename(self.touch("f"), self.path("e")))
        self.assertErrno(errno.ENOTDIR, os.rename, self.path("g"), self.path("f"))

    def test_rename_flags_do_not_replace_or_exchange(self):
        write_file(self.path("a"), b"a")
        write_file(self.path("b"), b"b")
        self.assertErrno(errno.EEXIST, rename, self.path("a"), self.path("b"), NOREPLACE)
        rename(self.path("a"), self.path("b"), EXCHANGE)
        self.assertEqual((read_file(self.path("a")), read_file(self.path("b"))), (b"b", b"a"))
        rename(self.path("a"), self.path("c"), NOREPLACE)
        self.assertEqual(sorted(os.listdir(self.folder)), ["b", "c"])
        os.mkdir(self.path("d"))
        write_file(self.path("d", "in"), b"in")
        rename(self.path("b"), self.path("d"), EXCHANGE)
        self.assertEqual((read_file(self.path("d")), read_file(self.path("b", "in"))), (b"a", b"in"))
        self.assertErrno(errno.ENOENT, rename, self.path("c"), self.path("missing"), EXCHANGE)

    def test_symlinks_hold_any_target(self):
        for target in ("f", "/absolute/nowhere", "a/" * 2000 + "b"):
            os.symlink(target, self.path("link"))
            self.assertEqual(os.readlink(self.path("link")), target)
            self.assertEqual(os.lstat(self.path("link")).st_size, len(target))
            os.unlink(self.path("link"))
        write_file(self.path("f"), b"through")
        os.symlink("f", self.path("link"))
        self.assertEqual(read_file(self.path("link")), b"through")

    def test_hard_links_are_one_file(self):
        write_file(self.path("a"), b"one")
        os.link(self.path("a"), self.path("b"))
        self.assertEqual(os.stat(self.path("a")).st_ino, os.stat(self.path("b")).st_ino)
        self.assertEqual(os.stat(self.path("a")).st_nlink, 2)
        with open(self.path("b"), "ab") as file:
            file.write(b" and two")
        self.assertEqual(read_file(self.path("a")), b"one and two")
        os.unlink(self.path("a"))
        self.assertEqual((read_file(self.path("b")), os.stat(self.path("b")).st_nlink), (b"one and two", 1))
        self.assertErrno(errno.EPERM, os.link, self.folder, self.path("dir"))
        os.rename(self.path("b"), self.path("c"))
        os.link(self.path("c"), self.path("b"))
        os.rename(self.path("b"), self.path("c"))  # of one file onto itself: nothing happens
        self.assertEqual(sorted(os.listdir(self.folder)), ["b", "c"])

    def test_fifos_sockets_and_devices_are_made(self):
        os.mkfifo(self.path("fifo"), 0o600)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode))
        with socket.socket(socket.AF_UNIX) as server:
            here = os.getcwd()
            os.chdir(self.folder)
            try:
                server.bind("sock")
            finally:
                os.chdir(here)
        self.assertTrue(stat.S_ISSOCK(os.stat(self.path("sock")).st_mode))
        os.mknod(self.path("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.assertEqual(os.stat(self.path("null")).st_rdev, os.makedev(1, 3))

    def test_five_thousand_entries_are_listed_once_each(self):
        for i in range(5000):
            os.close(os.open(self.path(f"entry-{i}"), os.O_CREAT | os.O_WRONLY))
        names = os.listdir(self.folder)
        self.assertEqual(len(names), 5000)
        self.assertEqual(set(names), {f"entry-{i}" for i in range(5000)})
        seen = 0
        for entry in os.scandir(self.folder):  # removed while listed
            seen += 1
            os.unlink(entry.path)
        self.assertEqual((seen, os.listdir(self.folder)), (5000, []))

    # --- attributes ---
    def test_modes_owners_and_times_are_kept(self):
        write_file(self.path("f"), b"x")
        os.chmod(self.path("f"), 0o4751)
        os.chown(self.path("f"), 1234, 5678)
        info = os.stat(self.path("f"))
        self.assertEqual((info.st_uid, info.st_gid), (1234, 5678))
        os.chmod(self.path("f"), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("f")).st_mode), 0o640)
        os.utime(self.path("f"), ns=(1_234_567_890_123_456_789, -5_000_000_001))
        info = os.stat(self.path("f"))
        self.assertEqual((info.st_atime_ns, info.st_mtime_ns), (1_234_567_890_123_456_789, -5_000_000_001))
        os.symlink("f", self.path("l"))
        os.utime(self.path("l"), ns=(7, 9), follow_symlinks=False)
        os.lchown(self.path("l"), 3, 4)
        info = os.lstat(self.path("l"))
        self.assertEqual((info.st_mtime_ns, info.st_uid, info.st_gid), (9, 3, 4))
        self.assertEqual(os.stat(self.path("f")).st_uid, 1234)

    def test_writing_moves_mtime_and_reading_does_not(self):
        write_file(self.path("f"), b"x")
        os.utime(self.path("f"), ns=(10**9, 10**9))
        read_file(self.path("f"))
        self.assertEqual(os.stat(self.path("f")).st_mtime_ns, 10**9)
        with open(self.path("f"), "ab") as file:
            file.write(b"y")
        self.assertGreater(os.stat(self.path("f")).st_mtime_ns, 10**18)
        before = os.stat(self.folder).st_mtime_ns
        self.touch("g")
        self.assertGreaterEqual(os.stat(self.folder).st_mtime_ns, before)

    def test_a_write_clears_setuid(self):
        write_file(self.path("f"), b"x")
        os.chown(self.path("f"), 1000, 1000)
        os.chmod(self.path("f"), 0o6777)
        def overwrite():
            fd = os.open(self.path("f"), os.O_WRONLY)
            os.write(fd, b"y")
            os.close(fd)
        as_user(1001, overwrite)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("f")).st_mode) & 0o6000, 0)

    def test_new_files_take_the_umask(self):
        old = os.umask(0o027)
        try:
            os.close(os.open(self.path("f"), os.O_CREAT | os.O_WRONLY, 0o666))
            os.mkdir(self.path("d"), 0o777)
        finally:
            os.umask(old)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("f")).st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("d")).st_mode), 0o750)

    def test_a_setgid_directory_hands_down_its_group(self):
        os.mkdir(self.path("d"))
        os.chown(self.path("d"), 0, 4321)
        os.chmod(self.path("d"), 0o2755)
        write_file(self.path("d", "f"), b"")
        os.mkdir(self.path("d", "e"))
        self.assertEqual(os.stat(self.path("d", "f")).st_gid, 4321)
        self.assertEqual((os.stat(self.path("d", "e")).st_gid, os.stat(self.path("d", "e")).st_mode & stat.S_ISGID),
                         (4321, stat.S_ISGID))

    def test_xattrs_are_set_listed_and_removed(self):
        path = self.touch("f")
        for name, value in (("user.a", b"1"), ("user.empty", b""), ("user.large", content(8, 60_000)), ("trusted.t", b"t")):
            os.setxattr(path, name, value)
            self.assertEqual(os.getxattr(path, name), value)
        self.assertEqual(sorted(os.listxattr(path)), ["trusted.t", "user.a", "user.empty", "user.large"])
        self.assertErrno(errno.EEXIST, os.setxattr, path, "user.a", b"2", os.XATTR_CREATE)
        self.assertErrno(errno.ENODATA, os.setxattr, path, "user.b", b"2", os.XATTR_REPLACE)
        os.setxattr(path, "user.a", b"2", os.XATTR_REPLACE)
        self.assertEqual(os.getxattr(path, "user.a"), b"2")
        os.removexattr(path, "user.a")
        self.assertErrno(errno.ENODATA, os.getxattr, path, "user.a")
        self.assertErrno(errno.ENODATA, os.removexattr, path, "user.a")
        os.setxattr(self.folder, "user.on-a-bucket", b"yes")
        self.assertEqual(os.getxattr(self.folder, "user.on-a-bucket"), b"yes")

    def test_xattrs_have_the_namespaces_of_linux_alone(self):
        path = self.touch("f")
        for name in ("user.a", "trusted.a", "security.a"):
            os.setxattr(path, name, b"b")
        for name in ("system.a", "system.posix_acl", "no-such.a", "plain", "os2.a"):
            self.assertErrno(errno.EOPNOTSUPP, os.setxattr, path, name, b"b")
        self.assertEqual(sorted(os.listxattr(path)), ["security.a", "trusted.a", "user.a"])

    def test_acls_are_kept(self):
        path = self.touch("f")
        run(["setfacl", "-m", "u:1234:rw,g:77:r", path])
        listed = run(["getfacl", "-cn", path]).stdout
        self.assertIn("user:1234:rw-", listed)
        self.assertIn("group:77:r--", listed)
        os.mkdir(self.path("d"))
        run(["setfacl", "-d", "-m", "u:99:rwx", self.path("d")])
        write_file(self.path("d", "f"), b"")
        self.assertIn("user:99:rwx", run(["getfacl", "-cn", self.path("d", "f")]).stdout)

    def test_statfs_tells_of_the_disk_below(self):
        here, below = os.statvfs(self.folder), os.statvfs(self.at.store)
        self.assertEqual(here.f_namemax, 255)
        self.assertEqual(here.f_blocks * here.f_frsize, below.f_blocks * below.f_frsize // here.f_frsize * here.f_frsize)
        self.assertGreater(here.f_bavail * here.f_frsize, 0)
        self.assertLess(here.f_bavail * here.f_frsize, below.f_bavail * below.f_frsize, "a reserve is kept back")
        self.assertLessEqual(here.f_bfree * here.f_frsize, below.f_bfree * below.f_frsize * 1.01)
        with open("/proc/self/mounts") as mounts:
            source, _, kind = next(line.split()[:3] for line in mounts if line.split()[1] == self.at.dir)
        self.assertEqual((source, kind), (self.at.store, "fuse.coffer"))

    def test_fsync_of_files_and_directories_answers(self):
        for path, flags in ((self.touch("f"), os.O_RDWR), (self.folder, os.O_RDONLY), (self.at.dir, os.O_RDONLY)):
            fd = os.open(path, flags)
            os.fsync(fd)
            os.fdatasync(fd)
            os.close(fd)
        fd = os.open(self.path("f"), os.O_WRONLY | os.O_SYNC)
        os.write(fd, b"synced as written")
        os.close(fd)
        self.assertEqual(read_file(self.path("f")), b"synced as written")

    # --- buckets ---
    def test_the_root_holds_buckets_alone(self):
        self.assertErrno(errno.EPERM, write_file, self.at.path("file"), b"")
        self.assertErrno(errno.EPERM, os.symlink, "x", self.at.path("link"))
        self.assertErrno(errno.EPERM, os.mkfifo, self.at.path("fifo"))
        for name in ("ab", "UPPER", "has space", "-dash", "a..b", "192.168.0.1", "a" * 64, "xn--a-b", "base--x-s3", "a.b--usw2-az1--x-s3"):
            self.assertErrno(errno.EINVAL, os.mkdir, self.at.path(name))
        self.assertErrno(errno.EEXIST, os.mkdir, self.folder)
        self.touch("f")
        self.assertErrno(errno.ENOTEMPTY, os.rmdir, self.folder)
        self.assertErrno(errno.EPERM, os.rename, self.folder, self.at.path("another-name"))
        os.mkdir(self.path("directory"))
        self.assertErrno(errno.EPERM, os.rename, self.path("directory"), self.at.path("directory"))
        self.assertEqual(stat.S_IMODE(os.stat(self.at.dir).st_mode), 0o755)

    def test_links_and_renames_do_not_cross_buckets(self):
        other = self.at.bucket("other-bucket")
        write_file(self.path("f"), b"x")
        os.mkdir(self.path("d"))
        self.assertErrno(errno.EXDEV, os.rename, self.path("f"), os.path.join(other, "f"))
        self.assertErrno(errno.EXDEV, os.rename, self.path("d"), os.path.join(other, "d"))
        self.assertErrno(errno.EXDEV, rename, self.path("f"), os.path.join(other, "f"), NOREPLACE)
        self.assertErrno(errno.EXDEV, os.link, self.path("f"), os.path.join(other, "f"))
        write_file(self.path("d", "inside"), b"y")
        run(["mv", self.path("f"), self.path("d"), other])
        self.assertEqual(read_file(os.path.join(other, "f")), b"x")
        self.assertEqual(read_file(os.path.join(other, "d", "inside")), b"y")
        self.assertEqual(os.listdir(self.folder), [])
        run(["rm", "-rf", other])

    def test_everything_is_there_after_a_restart(self):
        write_file(self.path("f"), content(9, 100_000))
        os.chmod(self.path("f"), 0o612)
        os.setxattr(self.path("f"), "user.a", b"kept")
        os.symlink("f", self.path("l"))
        os.link(self.path("f"), self.path("g"))
        os.utime(self.path("f"), ns=(1, 2))
        before = {name: os.lstat(self.path(name)) for name in os.listdir(self.folder)}
        self.remount()
        for name, info in before.items():
            now = os.lstat(self.path(name))
            self.assertEqual((now.st_ino, now.st_mode, now.st_size, now.st_nlink, now.st_mtime_ns, now.st_ctime_ns),
                             (info.st_ino, info.st_mode, info.st_size, info.st_nlink, info.st_mtime_ns, info.st_ctime_ns))
        self.assertEqual(read_file(self.path("g")), content(9, 100_000))
        self.assertEqual(os.getxattr(self.path("g"), "user.a"), b"kept")


class ReadOnly(MountTest):
    def test_ro_refuses_every_change(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), b"x")
        self.at.remount("-o", "ro")
        self.assertEqual(read_file(self.at.path("bucket", "f")), b"x")
        self.assertErrno(errno.EROFS, write_file, self.at.path("bucket", "g"), b"")
        self.assertErrno(errno.EROFS, os.mkdir, self.at.path("other"))
        self.assertErrno(errno.EROFS, os.unlink, self.at.path("bucket", "f"))

    def test_allow_other_lets_others_in_under_their_permissions(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "open"), b"x")
        os.chmod(self.at.path("bucket", "open"), 0o644)
        write_file(self.at.path("bucket", "closed"), b"x")
        os.chmod(self.at.path("bucket", "closed"), 0o600)
        self.at.remount("-o", "allow_other,default_permissions")
        os.chmod(self.at.folder, 0o755)
        read = lambda name: run(["setpriv", "--reuid=1001", "--regid=1001", "--clear-groups", "cat",
                                 self.at.path("bucket", name)], code=None)
        self.assertEqual((read("open").returncode, read("open").stdout), (0, "x"))
        self.assertNotEqual(read("closed").returncode, 0)


if __name__ == "__main__":
    main()
