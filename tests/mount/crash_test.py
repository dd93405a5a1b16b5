"""kill -9 of the daemon: the durability table's first row, on a real mount."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time

from mounted import MountTest, content, main, read_file, run, wait_for, write_file

ROUNDS = int(os.environ.get("COFFER_KILL_ROUNDS", "3"))
FILES = 5000
SYNC_EVERY = 97
WRITERS = 4
WRITER_ROUNDS = int(os.environ.get("COFFER_KILL_ROUNDS", "10"))


def name_of(i):
    return f"d{i % 20}/file-{i}"


def size_of(i):
    return (0, 100, 4096, 9000, 40_000)[i % 5] + i % 7


def body_of(i):
    return content(i, size_of(i))


def copy(folder, journal, files):
    """What the child does: files one after the other, each told to the journal when it is closed ('c') or synced ('s')."""
    told = os.open(journal, os.O_WRONLY | os.O_APPEND)
    for i in range(files):
        fd = os.open(os.path.join(folder, name_of(i)), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(fd, body_of(i))
        if i % SYNC_EVERY == 0:
            os.fsync(fd)
            os.write(told, b"s%d\n" % i)
        os.close(fd)
        os.write(told, b"c%d\n" % i)


def churn(folder, journal, seed):
    """What a writer does until the mount is gone: it makes, replaces, renames, removes and fsyncs files of its folder. The
    journal has a line before each operation, with the folder as it leaves it, and one when it was answered."""
    chance = random.Random(seed)
    told = os.open(journal, os.O_WRONLY | os.O_APPEND)
    now = {}
    path = lambda name: os.path.join(folder, name)

    def fsync(name):
        fd = os.open(path(name), os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)

    for step in range(10**9):
        after, name, other = dict(now), f"f{chance.randrange(6)}", f"f{chance.randrange(6)}"
        choice = chance.randrange(10)
        kind = "change"
        if choice < 5 or name not in now:
            made = [chance.randrange(10**9), chance.choice((0, 100, 8000, 9000, 40_000, 300_000))]
            write_file(path("new"), content(*made), sync=choice == 0)
            after[name] = made
            call, arguments = os.rename, (path("new"), path(name))
        elif choice == 5:
            del after[name]
            call, arguments = os.unlink, (path(name),)
        elif choice == 6:
            after[other] = after.pop(name)
            call, arguments = os.rename, (path(name), path(other))
        else:
            kind, call, arguments = "sync", fsync, (name if choice == 7 else ".",)
        os.write(told, json.dumps([step, "begun", kind, after]).encode() + b"\n")
        call(*arguments)
        os.write(told, json.dumps([step, "answered", kind, after]).encode() + b"\n")
        now = after


class Kill(MountTest):
    def killed_copy(self, sse, kill_after):
        """Kills the daemon when about that many files are closed. Answers (closed, synced) as the copier saw them."""
        bucket = f"bucket-{random.randrange(10**9)}"
        self.at.bucket(bucket, sse)
        for d in range(20):
            os.mkdir(self.at.path(bucket, f"d{d}"))
        self.at.cli("sync", self.at.dir)
        journal = os.path.join(self.at.folder, bucket)
        write_file(journal, b"")
        child = subprocess.Popen([sys.executable, __file__, "copy", self.at.path(bucket), journal, str(FILES)],
                                 stderr=subprocess.DEVNULL)
        wait_for(lambda: read_file(journal).count(b"\n") > kill_after or child.poll() is not None, "the copy to get on", 60)
        pid = self.at.pid
        os.kill(pid, signal.SIGKILL)
        self.at.bury(pid)
        child.wait(timeout=60)
        told = read_file(journal).decode().split()
        return bucket, [int(t[1:]) for t in told if t[0] == "c"], [int(t[1:]) for t in told if t[0] == "s"]

    def test_what_was_closed_a_second_before_the_kill_is_there(self):  # 50 ms are promised
        bucket = self.at.bucket("bucket")
        for i in range(20):
            write_file(f"{bucket}/f{i}", content(i, 20_000))
        time.sleep(1)
        self.at.kill()
        self.at.mount()
        for i in range(20):
            self.assertEqual(read_file(f"{bucket}/f{i}"), content(i, 20_000))

    def test_after_kill_in_a_copy_the_survivors_are_a_prefix_and_whole(self):
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        print(f"{self.id()}: seed {seed}, {ROUNDS} kills", flush=True)
        chance = random.Random(seed)
        for round_ in range(ROUNDS):
            sse = ("AES256", "aws:kms", "aws:kms:dsse")[round_ % 3]
            with self.subTest(round=round_, sse=sse):
                bucket, closed, synced = self.killed_copy(sse, chance.randrange(200, 3000))
                self.at.fsck()
                self.at.mount()
                self.assertGreater(len(closed), 100)
                there = [i for i in range(FILES) if os.path.exists(self.at.path(bucket, name_of(i)))]
                self.assertEqual(there, list(range(len(there))), "the survivors are a prefix of the order of closing")
                for i in synced:
                    self.assertEqual(read_file(self.at.path(bucket, name_of(i))), body_of(i), f"synced file {i}")
                # The prefix is one of requests: it may end between the creation and the writing of the last file.
                for i in there[:-1]:
                    self.assertEqual(read_file(self.at.path(bucket, name_of(i))), body_of(i), f"closed file {i}")
                if there:
                    last = read_file(self.at.path(bucket, name_of(there[-1])))
                    self.assertEqual(last, body_of(there[-1])[:len(last)])
                run(["rm", "-rf", self.at.path(bucket)])
                self.at.unmount()
                self.at.fsck()
                self.at.mount()

    def test_after_kill_under_several_writers_each_finds_a_state_since_its_last_fsync(self):
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        print(f"{self.id()}: seed {seed}, {WRITER_ROUNDS} kills, {WRITERS} writers", flush=True)
        chance = random.Random(seed)
        for round_ in range(WRITER_ROUNDS):
            bucket = f"writers-{round_}"
            self.at.bucket(bucket, ("AES256", "aws:kms", "aws:kms:dsse")[round_ % 3])
            folders = [self.at.path(bucket, f"w{i}") for i in range(WRITERS)]
            journals = [os.path.join(self.at.folder, f"journal-{round_}-{i}") for i in range(WRITERS)]
            for folder, journal in zip(folders, journals):
                os.mkdir(folder)
                write_file(journal, b"")
            self.at.cli("sync", self.at.dir)
            writers = [subprocess.Popen([sys.executable, __file__, "churn", folder, journal, f"{seed}-{round_}-{i}"],
                                        stderr=subprocess.DEVNULL)
                       for i, (folder, journal) in enumerate(zip(folders, journals))]
            try:
                wanted = chance.randrange(60, 600)
                wait_for(lambda: all(read_file(j).count(b"answered") > wanted // WRITERS for j in journals),
                         "the writers to get on", 60)
                pid = self.at.pid
                os.kill(pid, signal.SIGKILL)
                self.at.bury(pid)
            finally:
                for writer in writers:
                    writer.kill()
                    writer.wait()
            self.at.fsck()
            self.at.mount()
            for folder, journal in zip(folders, journals):
                self.check_writer(folder, journal, round_)
            run(["rm", "-rf", self.at.path(bucket)])

    def check_writer(self, folder, journal, round_):
        states = [{}]  # since the last fsync that was answered; the operation that was on its way may have happened
        for line in read_file(journal).decode().splitlines():
            _, when, kind, state = json.loads(line)
            if when == "answered" and kind == "sync":
                states = [state]
            elif states[-1] != state:
                states.append(state)
        # "new" is a file on its way: its creation and its writing are requests of their own.
        found = {name: read_file(os.path.join(folder, name)) for name in os.listdir(folder) if name != "new"}
        fits = any(state.keys() == found.keys() and all(content(*made) == found[name] for name, made in state.items())
                   for state in states)
        self.assertTrue(fits, f"round {round_}, {folder}: no state of {len(states)} since the last fsync fits {sorted(found)}")

    def test_after_sync_and_kill_all_is_there(self):
        self.at.bucket("bucket")
        for i in range(300):
            write_file(self.at.path("bucket", f"f{i}"), body_of(i))
        self.at.cli("sync", self.at.dir)
        self.at.kill()
        self.at.mount()
        for i in range(300):
            self.assertEqual(read_file(self.at.path("bucket", f"f{i}")), body_of(i))

    def test_fsync_of_the_root_covers_the_whole_store(self):
        self.at.bucket("bucket")
        for i in range(50):
            write_file(self.at.path("bucket", f"f{i}"), body_of(i))
        fd = os.open(self.at.dir, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        self.at.kill()
        self.at.mount()
        for i in range(50):
            self.assertEqual(read_file(self.at.path("bucket", f"f{i}")), body_of(i))

    def test_fsynced_bytes_and_their_names_survive_kill(self):
        self.at.bucket("bucket")
        os.makedirs(self.at.path("bucket", "a", "b"))
        for size in (10, 8192, 8193, 16 * 1024, 3_000_000):
            write_file(self.at.path("bucket", "a", "b", str(size)), content(size, size), sync=True)
            pid = self.at.pid
            os.kill(pid, signal.SIGKILL)
            self.at.bury(pid)
            self.at.mount()
            self.assertEqual(read_file(self.at.path("bucket", "a", "b", str(size))), content(size, size))

    def test_a_synced_overwrite_survives_kill_and_an_unsynced_one_never_tears_a_chunk(self):
        self.at.bucket("bucket")
        path, size = self.at.path("bucket", "f"), 4 * 1024 * 1024
        write_file(path, b"a" * size, sync=True)
        fd = os.open(path, os.O_RDWR)
        os.pwrite(fd, b"b" * 100_000, 50_000)
        os.fsync(fd)
        os.pwrite(fd, b"c" * (size // 2), size // 4)
        os.close(fd)
        self.at.kill()
        self.at.mount()
        data = read_file(path)
        self.assertEqual(len(data), size)
        self.assertEqual(data[:50_000] + data[50_000:150_000], b"a" * 50_000 + b"b" * 100_000)
        self.assertLessEqual(set(data), set(b"abc"))

    def test_rename_over_a_synced_file_is_old_or_new_after_kill(self):
        self.at.bucket("bucket")
        target = self.at.path("bucket", "target")
        write_file(target, b"old" * 5000, sync=True)
        write_file(self.at.path("bucket", "new"), b"new" * 5000, sync=True)
        os.rename(self.at.path("bucket", "new"), target)
        self.at.kill()
        self.at.mount()
        self.assertIn(read_file(target), (b"old" * 5000, b"new" * 5000))

    def test_unlinked_open_files_are_swept_after_kill(self):
        self.at.bucket("bucket")
        path = self.at.path("bucket", "gone")
        write_file(path, content(1, 2_000_000), sync=True)
        held = os.open(path, os.O_RDONLY)
        os.unlink(path)
        self.at.cli("sync", self.at.dir)
        self.at.kill()
        os.close(held)
        self.at.mount()
        self.assertEqual(os.listdir(self.at.path("bucket")), [])
        wait_for(lambda: not self.at.data_files(), "the orphan's data file to be removed")

    def test_the_dead_mount_says_so_and_can_be_unmounted(self):
        self.at.bucket("bucket")
        pid = self.at.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.alive(), "the mount to die")
        self.assertErrno(errno.ENOTCONN, os.stat, self.at.path("bucket"))
        run(["fusermount3", "-u", self.at.dir])
        self.at.mount()
        self.assertEqual(os.listdir(self.at.dir), ["bucket"])

    def alive(self):
        try:
            os.statvfs(self.at.dir)
            return True
        except OSError:
            return False


if __name__ == "__main__":
    if sys.argv[1:2] == ["copy"]:
        copy(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1:2] == ["churn"]:
        churn(sys.argv[2], sys.argv[3], sys.argv[4])
    else:
        main()
