"""Names and paths at their limits, and inode numbers that are the same on every mount."""

import errno
import os

from mounted import SharedMountTest, main, read_file, write_file

NAME_MAX, PATH_MAX = 255, 4096


class Names(SharedMountTest):
    def test_every_byte_but_slash_and_nul_makes_a_name_at_every_length(self):
        folder = os.fsencode(self.folder)
        names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
        names += [bytes([255]) * n for n in (2, 127, 128, 254, NAME_MAX)] + ["ä".encode() * 127, bytes(range(1, 47)) * 5]
        for name in names:
            write_file(os.path.join(folder, name), name)
        self.remount()
        self.assertEqual(sorted(os.listdir(folder)), sorted(names))
        for name in names:
            self.assertEqual(read_file(os.path.join(folder, name)), name)

    def test_no_call_takes_a_name_of_256_bytes(self):
        long, there = self.path("n" * (NAME_MAX + 1)), self.touch("f")
        for call in (lambda: os.open(long, os.O_CREAT | os.O_WRONLY), lambda: os.mkdir(long), lambda: os.symlink("x", long),
                     lambda: os.mkfifo(long), lambda: os.link(there, long), lambda: os.rename(there, long), lambda: os.stat(long),
                     lambda: os.unlink(long), lambda: os.rmdir(long)):
            self.assertErrno(errno.ENAMETOOLONG, call)
        self.assertEqual(os.listdir(self.folder), ["f"])

    def test_a_path_of_4095_bytes_is_good_for_every_call_and_one_of_4096_is_none(self):
        folder = self.folder
        while PATH_MAX - 1 - len(folder) > 2 * (NAME_MAX + 1):
            folder = os.path.join(folder, "d" * NAME_MAX)
            os.mkdir(folder)
        left = PATH_MAX - 1 - len(folder) - 2  # for two names more
        folder = os.path.join(folder, "m" * (left // 2))
        os.mkdir(folder)
        left -= left // 2
        path = os.path.join(folder, "f" * left)
        self.assertEqual(len(path), PATH_MAX - 1)
        write_file(path, b"deep")
        self.remount()
        self.assertEqual(read_file(path), b"deep")
        self.assertEqual(self.at.inspect(path)["key"].split("/")[-1], "f" * left)
        os.rename(path, path[:-1] + "g")
        os.link(path[:-1] + "g", path)
        os.unlink(path[:-1] + "g")
        os.setxattr(path, "user.a", b"b")
        os.truncate(path, 2)
        self.assertEqual(read_file(path), b"de")
        self.assertErrno(errno.ENAMETOOLONG, os.stat, path + "f")
        self.assertErrno(errno.ENAMETOOLONG, write_file, path + "f", b"")

    def test_a_tree_deeper_than_any_path_holds_files_until_their_key_fits_no_encryption_context(self):
        """KMS takes 8 KiB of context, and the ARN with the whole key is in it. Directories need none."""
        depth = {}
        folder = os.open(self.folder, os.O_RDONLY)
        for level in range(1, 61):
            os.mkdir("s" * 200, dir_fd=folder)
            below = os.open("s" * 200, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder = below
            try:
                fd = os.open("f", os.O_CREAT | os.O_RDWR, dir_fd=folder)
                os.write(fd, b"deep")
                self.assertEqual(os.pread(fd, 10, 0), b"deep")
                os.close(fd)
                depth[level] = 0
            except OSError as error:
                depth[level] = error.errno
        os.close(folder)
        self.assertEqual(depth, {level: 0 if level <= 40 else errno.ENAMETOOLONG for level in range(1, 61)})

    def test_inode_numbers_are_the_same_on_every_mount_and_never_used_again(self):
        os.makedirs(self.path("d", "e"))
        for name in ("f", "d/g", "d/e/h"):
            write_file(self.path(name), b"x")
        os.symlink("f", self.path("l"))
        os.mkfifo(self.path("p"))
        os.link(self.path("f"), self.path("d", "f2"))
        everything = lambda: {path: os.lstat(path).st_ino for base, folders, files in os.walk(self.at.dir)
                              for path in [base] + [os.path.join(base, name) for name in folders + files]}
        before = everything()
        gone = {os.stat(self.touch(f"gone-{i}")).st_ino for i in range(20)}
        for i in range(20):
            os.unlink(self.path(f"gone-{i}"))
        for _ in range(2):
            self.remount()
            self.assertEqual(everything(), before)
            with os.scandir(self.folder) as entries:
                self.assertEqual({entry.path: entry.inode() for entry in entries},
                                 {path: number for path, number in before.items() if os.path.dirname(path) == self.folder})
        fresh = {os.stat(self.touch(f"fresh-{i}")).st_ino for i in range(50)}
        self.assertEqual(fresh & (gone | set(before.values())), set())


if __name__ == "__main__":
    main()
