"""Real programs at work on the mount: git, SQLite, rsync, tar, cp, and a build of Coffer itself."""

import os
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys

from mounted import LONG, MountTest, content, main, read_file, run, wait_for, write_file

TREE = "/usr/include/linux" if os.path.isdir("/usr/include/linux") else "/usr/share/doc"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOLE = 50_000_000


def insert(path, journal, told):
    """What the child does: numbered rows, one transaction each, told when committed."""
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA journal_mode={journal}")
    # EXTRA: with a rollback journal FULL leaves the unlink that commits unsynced, here as on every file system.
    database.execute("PRAGMA synchronous=EXTRA")
    database.execute("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, body BLOB)")
    out = os.open(told, os.O_WRONLY | os.O_APPEND)
    for n in range(100_000):
        with database:
            database.execute("INSERT INTO t(n, body) VALUES(?, ?)", (n, content(n, 300)))
        os.write(out, b"%d\n" % n)


def described(folder):
    """Every path below a folder with all that rsync -aHAX and tar must carry."""
    found, first_names = {}, {}
    for base, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = os.path.join(base, name)
            here = os.path.relpath(path, folder)
            info = os.lstat(path)
            what = os.readlink(path) if os.path.islink(path) else info.st_size if name in files else None
            time = info.st_mtime_ns if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode) else None  # rsync keeps no others
            links = None if name in folders else (info.st_nlink, first_names.setdefault(info.st_ino, here))
            attributes = {a: os.getxattr(path, a, follow_symlinks=False) for a in os.listxattr(path, follow_symlinks=False)}
            found[here] = (info.st_mode, info.st_uid, info.st_gid, info.st_rdev, what, time, links, attributes)
    return found


def make_tree(folder):
    """A tree with one of everything that a copy can lose."""
    shutil.copytree(TREE, folder, symlinks=True)
    path = lambda name: os.path.join(folder, name)
    write_file(path("first-name"), b"one file, two names")
    os.link(path("first-name"), path("second-name"))
    os.mkfifo(path("fifo"))
    os.chmod(path("fifo"), 0o640)
    os.symlink("nowhere", path("link"))
    os.lchown(path("link"), 1234, 5678)
    os.mknod(path("device"), 0o620 | stat.S_IFCHR, os.makedev(1, 3))
    write_file(path("privileged"), b"x")
    os.chown(path("privileged"), 1234, 5678)
    os.chmod(path("privileged"), 0o6755)
    write_file(path("capable"), b"x")
    os.setxattr(path("capable"), "security.capability", struct.pack("<5I", 0x2000001, 1 << 10, 0, 0, 0))
    os.mkdir(path("inheriting"))
    run(["setfacl", "-m", "u:1234:rwx,g:77:r,m:rx", path("inheriting")])
    run(["setfacl", "-d", "-m", "u:99:rwx", path("inheriting")])
    write_file(path("inheriting/attributes"), b"x")
    for name, value in (("user.text", b"value"), ("user.empty", b""), ("user.bytes", bytes(range(256))), ("trusted.root", b"t")):
        os.setxattr(path("inheriting/attributes"), name, value)
    os.utime(path("inheriting/attributes"), ns=(1, 1_234_567_890_123_456_789))
    # Long ago: rsync leaves a folder's time as it is where the seconds are right already.
    os.utime(path("inheriting"), ns=(1, 1_234_567_890_987_654_321))
    with open(path("sparse"), "wb") as file:
        file.write(b"begin")
        file.seek(HOLE)
        file.write(b"end")


class Programs(MountTest):
    def needs(self, program):
        if not shutil.which(program):
            self.skipTest(f"{program} is not installed")

    def test_git_clones_commits_collects_and_checks(self):
        self.needs("git")
        self.at.bucket("bucket", "aws:kms", bucket_key=True)
        env = dict(os.environ, HOME=self.at.folder, GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="a", GIT_AUTHOR_EMAIL="a@b",
                   GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@b")
        git = lambda folder, *words: run(["git", "-C", folder, *words], env=env).stdout
        plain = os.path.join(self.at.folder, "plain")
        os.mkdir(plain)
        git(plain, "init", "-q")
        for commit in range(4):
            for i in range(60):
                write_file(os.path.join(plain, f"f{i}"), b"%d\n" % (commit * i) * 200)
            git(plain, "add", "-A")
            git(plain, "commit", "-qm", f"commit {commit}")
        clone = self.at.path("bucket", "clone")
        run(["git", "clone", "-q", "--no-local", plain, clone], env=env)
        for i in range(30):
            write_file(os.path.join(clone, f"new{i}"), content(i, 5000))
        git(clone, "add", "-A")
        git(clone, "commit", "-qm", "in the mount")
        git(clone, "gc", "-q", "--aggressive", "--prune=now")
        git(clone, "fsck", "--full", "--strict")
        head = git(clone, "rev-parse", "HEAD")
        self.at.remount()
        git(clone, "fsck", "--full", "--strict")
        self.assertEqual(git(clone, "status", "--porcelain"), "")
        self.assertEqual(git(clone, "rev-parse", "HEAD"), head)
        git(clone, "checkout", "-q", "HEAD~2")
        run(["diff", "-r", "--exclude=.git", clone, plain], code=1)

    def sqlite_killed(self, journal):
        self.at.bucket("bucket")
        path, told = self.at.path("bucket", "data.db"), os.path.join(self.at.folder, "told")
        for _ in range(2):
            for name in ("data.db", "data.db-wal", "data.db-shm", "data.db-journal"):
                if os.path.exists(self.at.path("bucket", name)):
                    os.unlink(self.at.path("bucket", name))
            write_file(told, b"")
            child = subprocess.Popen([sys.executable, __file__, "insert", path, journal, told], stderr=subprocess.DEVNULL)
            wait_for(lambda: os.path.getsize(told) > 600 or child.poll() is not None, "transactions", 60)
            pid = self.at.pid
            os.kill(pid, signal.SIGKILL)
            self.at.bury(pid)
            child.kill()
            child.wait()
            with open(told) as file:
                committed = [int(line) for line in file.read().split()]
            self.assertGreater(len(committed), 50)
            self.at.mount()
            database = sqlite3.connect(path)
            self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            rows = database.execute("SELECT n, body FROM t ORDER BY n").fetchall()
            database.close()
            self.assertGreaterEqual(len(rows), len(committed), "every committed transaction is there")
            self.assertEqual(rows, [(n, content(n, 300)) for n in range(len(rows))])

    def test_sqlite_with_a_log_keeps_every_committed_transaction_over_kill(self):
        self.sqlite_killed("WAL")

    def test_sqlite_with_a_rollback_journal_keeps_every_committed_transaction_over_kill(self):
        self.sqlite_killed("DELETE")

    def assertSameTree(self, one, two):
        one, two = described(one), described(two)
        self.assertEqual({name: (one.get(name), two.get(name)) for name in {*one, *two} if one.get(name) != two.get(name)}, {})

    def carried(self, sse, there, back):
        """A tree copied into the mount and, after a restart, out of it: each shell line says how, from $1 into $2."""
        self.at.bucket("bucket", sse)
        source, tree, out = os.path.join(self.at.folder, "source"), self.at.path("bucket", "tree"), os.path.join(self.at.folder, "out")
        make_tree(source)
        os.mkdir(tree)
        os.mkdir(out)
        run(["sh", "-ec", there, "sh", source, tree])
        self.assertSameTree(tree, source)
        self.at.remount()
        run(["sh", "-ec", back, "sh", tree, out])
        self.assertSameTree(out, source)
        run(["diff", "-r", "--no-dereference", "--exclude=fifo", "--exclude=device", source, out])
        self.assertLess(self.at.data_bytes(), HOLE // 2)
        self.assertLess(os.stat(os.path.join(out, "sparse")).st_blocks * 512, HOLE // 2)
        return source, tree

    def test_rsync_carries_a_tree_in_and_out_unchanged(self):
        self.needs("rsync")
        source, tree = self.carried(None, 'rsync -aHAXS "$1/" "$2"', 'rsync -aHAXS "$1/" "$2"')
        self.assertEqual(run(["rsync", "-aHAXinc", source + "/", tree]).stdout, "")

    def test_tar_carries_a_tree_in_and_out_unchanged(self):
        tar = "tar --xattrs --xattrs-include='*' --acls"
        copy = f'{tar} -C "$1" -S --format=posix -c . | {tar} -C "$2" -xp'
        self.carried("aws:kms:dsse", copy, copy)

    def test_cp_carries_a_tree_in_and_out_unchanged(self):
        copy = 'cp -a --sparse=always "$1/." "$2"'
        self.carried("aws:kms", copy, copy)

    def test_cp_makes_holes_of_zeros(self):
        self.at.bucket("bucket")
        dense, copy = os.path.join(self.at.folder, "dense"), self.at.path("bucket", "copy")
        write_file(dense, content(1, 100_000) + bytes(20_000_000) + content(2, 100_000))
        run(["cp", "-a", "--sparse=always", dense, copy])
        run(["cmp", dense, copy])
        self.at.remount()
        run(["cmp", dense, copy])
        self.assertLess(os.stat(copy).st_blocks * 512, 1_000_000)
        self.assertLess(self.at.data_bytes(), 1_000_000)

    def test_meson_builds_coffer_and_nothing_again_after_a_restart(self):
        """The base room and a program of it; the whole of Coffer where there is time for it."""
        self.at.bucket("bucket")
        source, build = self.at.path("bucket", "coffer"), self.at.path("bucket", "build")
        env = dict(os.environ, CCACHE_DISABLE="1")
        if LONG:
            shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns("build*", ".git"))
        else:
            shutil.copytree(os.path.join(ROOT, "base"), os.path.join(source, "base"))
            write_file(os.path.join(source, "meson.build"), b"""project('coffer', 'cpp', default_options: ['cpp_std=c++20'])
root_inc = include_directories('.')
subdir('base')
executable('coffer', 'main.cc', dependencies: base_dep)
""")
            write_file(os.path.join(source, "main.cc"), b"""#include <cstdio>

#include "base/names.h"

int main() { std::puts(coffer::BucketName::parse("bucket").ok() ? "coffer builds" : "no"); }
""")
        run(["meson", "setup", "-Ddebug=false", "-Doptimization=0", build, source], env=env, timeout=600)
        run(["ninja", "-C", build, *(["coffer", "cofferd"] if LONG else [])], env=env, timeout=3600)
        says = run([os.path.join(build, "coffer"), *(["--version"] if LONG else [])]).stdout
        self.assertRegex(says, r"^coffer (builds|\d+\.)")
        program = read_file(os.path.join(build, "coffer"))
        self.at.remount()
        self.assertIn("no work to do", run(["ninja", "-C", build, "coffer"], env=env, timeout=600).stdout)
        self.assertEqual(read_file(os.path.join(build, "coffer")), program)
        self.assertEqual(run([os.path.join(build, "coffer"), *(["--version"] if LONG else [])]).stdout, says)


if __name__ == "__main__":
    if sys.argv[1:2] == ["insert"]:
        insert(*sys.argv[2:])
    else:
        main()
