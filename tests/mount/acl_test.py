"""POSIX access control lists (acl(5)): what they grant, what is inherited, and how they go with the mode."""

import errno
import os
import signal
import stat

from mounted import SharedMountTest, as_user, fsync, main, read_file, run, wait_for, write_file

USER, OTHER = 1001, 1002


def entries(path, default=False):
    """The list's entries as getfacl prints them, without comments; of the default list without its prefix."""
    words = run(["getfacl", "-cnpE", "-d" if default else "-a", path]).stdout.split()
    return [word.removeprefix("default:") for word in words]


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class Acl(SharedMountTest):
    def setUp(self):
        super().setUp()
        self.umask = os.umask(0o022)
        self.addCleanup(os.umask, self.umask)

    def setfacl(self, *words):
        run(["setfacl", *words])

    def may_read(self, path, uid, groups=()):
        try:
            as_user(uid, lambda: read_file(path).decode(), groups=groups)
        except OSError as error:
            self.assertEqual(error.errno, errno.EACCES)
            return False
        return True

    def file(self, name, bits):
        write_file(self.path(name), b"x")
        os.chmod(self.path(name), bits)
        return self.path(name)

    # --- what a list grants ---
    def test_named_users_and_groups_are_let_in_and_others_are_not(self):
        path = self.file("f", 0o600)
        self.assertFalse(self.may_read(path, USER))
        self.setfacl("-m", f"u:{USER}:r,g:77:r", path)
        self.assertTrue(self.may_read(path, USER))
        self.assertFalse(self.may_read(path, OTHER))
        self.assertTrue(self.may_read(path, OTHER, groups=(77,)))
        self.setfacl("-m", f"u:{USER}:-", path)
        self.assertFalse(self.may_read(path, USER, groups=(77,)), "a user's own entry comes before a group's")

    def test_the_mask_is_the_modes_group_and_limits_named_entries(self):
        path = self.file("f", 0o600)
        self.setfacl("-m", f"u:{USER}:rw", path)
        self.assertEqual(mode(path), 0o660)
        self.setfacl("-m", "m::-", path)
        self.assertEqual(mode(path), 0o600)
        self.assertFalse(self.may_read(path, USER))
        os.chmod(path, 0o640)
        self.assertEqual(entries(path), ["user::rw-", f"user:{USER}:rw-", "group::---", "mask::r--", "other::---"])
        self.assertTrue(self.may_read(path, USER))

    def test_chmod_changes_the_entries_of_owner_mask_and_others_alone(self):
        path = self.file("f", 0o644)
        self.setfacl("-m", f"u:{USER}:rwx,g::r", path)
        os.chmod(path, 0o751)
        self.assertEqual(entries(path), ["user::rwx", f"user:{USER}:rwx", "group::r--", "mask::r-x", "other::--x"])

    def test_a_list_that_says_no_more_than_the_mode_is_not_kept(self):
        path = self.file("f", 0o600)
        self.setfacl("-m", f"u:{USER}:rw", path)
        self.assertIn("system.posix_acl_access", os.listxattr(path))
        self.setfacl("-b", path)
        self.assertNotIn("system.posix_acl_access", os.listxattr(path))
        self.assertEqual(entries(path), ["user::rw-", "group::---", "other::---"])

    # --- inheritance ---
    def test_a_default_list_replaces_the_umask(self):
        os.mkdir(self.path("d"))
        self.setfacl("-d", "-m", "u::rwx,g::rwx,o::-", self.path("d"))
        os.umask(0o077)
        for name, make, expected in (("f", lambda p: os.close(os.open(p, os.O_CREAT | os.O_WRONLY, 0o666)), 0o660),
                                     ("e", lambda p: os.mkdir(p, 0o777), 0o770),
                                     ("p", lambda p: os.mkfifo(p, 0o644), 0o640)):
            make(self.path("d", name))
            self.assertEqual(mode(self.path("d", name)), expected, name)
        os.close(os.open(self.path("outside"), os.O_CREAT | os.O_WRONLY, 0o666))
        self.assertEqual(mode(self.path("outside")), 0o600)

    def test_new_files_inherit_named_entries_masked_by_the_mode_asked_for(self):
        os.mkdir(self.path("d"))
        self.setfacl("-d", "-m", f"u:{USER}:rwx", self.path("d"))
        os.close(os.open(self.path("d", "f"), os.O_CREAT | os.O_WRONLY, 0o640))
        self.assertEqual(mode(self.path("d", "f")), 0o640)
        self.assertEqual(entries(self.path("d", "f")),
                         ["user::rw-", f"user:{USER}:rwx", "group::r-x", "mask::r--", "other::---"])

    def test_directories_hand_their_default_list_down_and_files_and_links_do_not(self):
        os.mkdir(self.path("d"))
        self.setfacl("-d", "-m", f"u:{USER}:rx", self.path("d"))
        handed = entries(self.path("d"), default=True)
        os.makedirs(self.path("d", "e", "f"))
        self.assertEqual(entries(self.path("d", "e", "f"), default=True), handed)
        self.assertIn(f"user:{USER}:r-x", entries(self.path("d", "e", "f")))
        write_file(self.path("d", "e", "file"), b"")
        self.assertNotIn("system.posix_acl_default", os.listxattr(self.path("d", "e", "file")))
        os.symlink("file", self.path("d", "e", "link"))
        self.assertEqual(mode(self.path("d", "e", "link")), 0o777)

    def test_only_directories_have_default_lists(self):
        path = self.file("f", 0o644)
        os.mkdir(self.path("d"))
        self.setfacl("-d", "-m", "u::rwx,g::rx,o::-", self.path("d"))
        value = os.getxattr(self.path("d"), "system.posix_acl_default")
        self.assertErrno(errno.EACCES, os.setxattr, path, "system.posix_acl_default", value)
        self.setfacl("-k", self.path("d"))
        self.assertErrno(errno.ENODATA, os.getxattr, self.path("d"), "system.posix_acl_default")

    # --- whose right it is ---
    def test_only_the_owner_sets_a_list(self):
        path = self.file("f", 0o666)
        self.setfacl("-m", f"u:{USER}:rw", path)
        value = os.getxattr(path, "system.posix_acl_access")
        self.assertErrno(errno.EPERM, as_user, USER, os.setxattr, path, "system.posix_acl_access", value)
        os.chown(path, USER, USER)
        as_user(USER, os.setxattr, path, "system.posix_acl_access", value)

    def test_setting_a_list_takes_set_group_id_away_from_owners_outside_the_group(self):
        path = self.file("f", 0o755)
        self.setfacl("-m", f"u:{OTHER}:r", path)
        value = os.getxattr(path, "system.posix_acl_access")
        for groups, kept in (((), 0), ((4321,), stat.S_ISGID)):
            os.chown(path, USER, 4321)
            os.chmod(path, 0o2755)
            as_user(USER, os.setxattr, path, "system.posix_acl_access", value, groups=groups)
            self.assertEqual(mode(path) & stat.S_ISGID, kept, groups)

    def test_what_is_no_list_is_refused(self):
        path = self.file("f", 0o644)
        for value in (b"\1\0\0\0" + bytes(8), b"\2\0\0\0" + bytes(7), b"\2\0\0\0" + bytes(8)):
            with self.assertRaises(OSError) as caught:
                os.setxattr(path, "system.posix_acl_access", value)
            self.assertIn(caught.exception.errno, (errno.EINVAL, errno.EOPNOTSUPP), value)
        self.assertEqual(mode(path), 0o644)

    # --- together ---
    def test_lists_and_modes_agree_after_a_kill_at_any_moment(self):
        """A list's mask is the mode's group: apart, they would show that one of two writes was lost."""
        os.mkdir(self.path("d"))
        self.setfacl("-d", "-m", f"u:{USER}:rwx", self.path("d"))
        path = self.file("f", 0o600)
        values = []
        for bits in ("rwx", "r"):
            self.setfacl("-m", f"u:{USER}:{bits},m::{bits}", path)
            values.append(os.getxattr(path, "system.posix_acl_access"))
        fsync(path)
        for _ in range(3):
            child = os.fork()
            if not child:
                try:
                    for i in range(10**9):
                        os.setxattr(path, "system.posix_acl_access", values[i % 2])
                        os.mkdir(self.path("d", f"{os.getpid()}-{i}"), 0o700)
                        if i == 100:
                            fsync(self.path("d"))
                finally:
                    os._exit(0)
            try:
                wait_for(lambda: len(os.listdir(self.path("d"))) > 150, "directories to be made")
                self.at.kill()
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            self.at.mount(*self.mount_options)
            mask = next(word for word in entries(path) if word.startswith("mask::"))
            self.assertEqual(mask, {7: "mask::rwx", 4: "mask::r--"}[mode(path) >> 3 & 7])
            kept = os.listdir(self.path("d"))
            self.assertGreater(len(kept), 100)
            for name in kept:
                self.assertEqual(set(os.listxattr(self.path("d", name))),
                                 {"system.posix_acl_access", "system.posix_acl_default"}, name)
            run(["find", self.path("d"), "-mindepth", "1", "-delete"])


if __name__ == "__main__":
    main()
