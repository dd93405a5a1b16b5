"""renameat2(2) with and without flags, from every kind of thing onto every other."""

import errno
import os

from mounted import SharedMountTest, checked, libc, main, write_file

NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
KINDS = ("file", "directory", "full", "symlink", "fifo", "nothing")
DIRECTORIES = ("directory", "full")


def rename(old, new, flags=0):
    checked(libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags))


class Renames(SharedMountTest):
    def make(self, kind, path):
        """Something of the kind there; the number by which to know it again."""
        if kind == "nothing":
            return None
        if kind == "file":
            write_file(path, b"x")
        elif kind in DIRECTORIES:
            os.mkdir(path)
            if kind == "full":
                write_file(os.path.join(path, "inside"), b"x")
        elif kind == "symlink":
            os.symlink("nowhere", path)
        else:
            os.mkfifo(path)
        return os.lstat(path).st_ino

    def number(self, path):
        return os.lstat(path).st_ino if os.path.lexists(path) else None

    def expected(self, old, new, flags):
        """The errno as rename(2) has it, 0 where it is done."""
        if old == "nothing":
            return errno.ENOENT
        if flags == EXCHANGE:
            return errno.ENOENT if new == "nothing" else 0
        if new == "nothing":
            return 0
        if flags == NOREPLACE:
            return errno.EEXIST
        if old in DIRECTORIES and new not in DIRECTORIES:
            return errno.ENOTDIR
        if old not in DIRECTORIES and new in DIRECTORIES:
            return errno.EISDIR
        return errno.ENOTEMPTY if new == "full" else 0

    def test_every_kind_onto_every_other_with_every_flag(self):
        os.mkdir(self.path("a"))
        os.mkdir(self.path("b"))
        for flags in (0, NOREPLACE, EXCHANGE):
            for where in ("a", "b"):
                for old in KINDS:
                    for new in KINDS:
                        case = f"{old}-onto-{new}-{flags}-{where}"
                        one, two = self.path("a", case + "-1"), self.path(where, case + "-2")
                        numbers = self.make(old, one), self.make(new, two)
                        wanted = self.expected(old, new, flags)
                        with self.subTest(case):
                            if wanted:
                                self.assertErrno(wanted, rename, one, two, flags)
                                after = numbers
                            else:
                                rename(one, two, flags)
                                after = (numbers[1] if flags == EXCHANGE else None, numbers[0])
                            self.assertEqual((self.number(one), self.number(two)), after)
        for folder in ("a", "b"):
            inside = [entry for entry in os.scandir(self.path(folder)) if entry.is_dir(follow_symlinks=False)]
            self.assertEqual(os.stat(self.path(folder)).st_nlink, 2 + len(inside))

    def test_exchange_keeps_what_is_inside_and_where_up_leads(self):
        for name in ("a", "b"):
            os.makedirs(self.path(name, "d"))
            write_file(self.path(name, "d", "of-" + name), b"x")
        rename(self.path("a", "d"), self.path("b", "d"), EXCHANGE)
        self.assertEqual((os.listdir(self.path("a", "d")), os.listdir(self.path("b", "d"))), (["of-b"], ["of-a"]))
        for name in ("a", "b"):
            self.assertEqual(os.stat(self.path(name, "d", "..")).st_ino, os.stat(self.path(name)).st_ino)
        self.remount()
        self.assertEqual((os.listdir(self.path("a", "d")), os.listdir(self.path("b", "d"))), (["of-b"], ["of-a"]))

    def test_a_directory_goes_neither_into_itself_nor_onto_what_holds_it(self):
        os.makedirs(self.path("a", "b", "c"))
        for flags in (0, NOREPLACE):
            self.assertErrno(errno.EINVAL, rename, self.path("a"), self.path("a", "b", "x"), flags)
        self.assertErrno(errno.EINVAL, rename, self.path("a"), self.path("a", "b"), EXCHANGE)
        self.assertErrno(errno.EINVAL, rename, self.path("a", "b"), self.path("a"), EXCHANGE)
        self.assertErrno(errno.ENOTEMPTY, rename, self.path("a", "b"), self.path("a"))
        self.assertEqual(os.listdir(self.path("a", "b")), ["c"])

    def test_unknown_and_contradicting_flags_are_refused(self):
        self.touch("f")
        for flags in (NOREPLACE | EXCHANGE, EXCHANGE | WHITEOUT, WHITEOUT, 8):
            self.assertErrno(errno.EINVAL, rename, self.path("f"), self.path("g"), flags)
        self.assertEqual(os.listdir(self.folder), ["f"])


if __name__ == "__main__":
    main()
