"""Real programs at work on the mount: git, SQLite, rsync, tar, cp."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys

from mounted import MountTest, content, main, run, wait_for, write_file

TREE = "/usr/include/linux" if os.path.isdir("/usr/include/linux") else "/usr/share/doc"


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
    """Every path below a folder with what rsync -a and tar must carry."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            info = os.lstat(path)
            what = os.readlink(path) if os.path.islink(path) else info.st_size if name in files else None
            time = None if os.path.islink(path) else info.st_mtime_ns
            found[os.path.relpath(path, folder)] = (info.st_mode, info.st_uid, info.st_gid, what, time)
    return found


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

    def test_rsync_carries_a_tree_in_and_out_unchanged(self):
        self.needs("rsync")
        self.at.bucket("bucket")
        back = os.path.join(self.at.folder, "back")
        run(["rsync", "-a", TREE + "/", self.at.path("bucket", "tree")])
        self.assertEqual(described(self.at.path("bucket", "tree")), described(TREE))
        self.at.remount()
        self.assertEqual(run(["rsync", "-ain", TREE + "/", self.at.path("bucket", "tree")]).stdout, "")
        run(["rsync", "-aX", self.at.path("bucket", "tree") + "/", back])
        self.assertEqual(described(back), described(TREE))
        run(["diff", "-r", "--no-dereference", TREE, back])

    def test_tar_carries_a_tree_in_and_out_unchanged(self):
        self.at.bucket("bucket", "aws:kms:dsse")
        source = os.path.join(self.at.folder, "source")
        shutil.copytree(TREE, source, symlinks=True)
        write_file(os.path.join(source, "first-name"), b"one file, two names")
        os.link(os.path.join(source, "first-name"), os.path.join(source, "second-name"))
        os.mkfifo(os.path.join(source, "fifo"))
        os.chmod(os.path.join(source, "fifo"), 0o640)
        tree, back = self.at.path("bucket", "tree"), os.path.join(self.at.folder, "back")
        os.mkdir(tree)
        os.mkdir(back)
        run(["sh", "-c", 'tar -C "$1" --format=posix -c . | tar -C "$2" -xp', "sh", source, tree])
        self.assertEqual(described(tree), described(source))
        self.at.remount()
        run(["sh", "-c", 'tar -C "$1" --xattrs --format=posix -c . | tar -C "$2" --xattrs -xp', "sh", tree, back])
        self.assertEqual(described(back), described(source))
        run(["diff", "-r", "--no-dereference", "--exclude=fifo", source, back])

    def test_cp_keeps_holes_and_data(self):
        self.at.bucket("bucket")
        path = self.at.path("bucket", "sparse")
        with open(path, "wb") as file:
            file.seek(50_000_000)
            file.write(b"end")
        run(["cp", "--sparse=always", path, self.at.path("bucket", "copy")])
        run(["cmp", path, self.at.path("bucket", "copy")])
        self.assertLess(self.at.data_bytes(), 10_000_000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["insert"]:
        insert(*sys.argv[2:])
    else:
        main()
