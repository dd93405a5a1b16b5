"""Power cuts of the file system below the store: ext4 and xfs on loop devices, shut down without their log (XFS_IOC_GOINGDOWN).

After every other cut the machine's boot is another one; after the others, as if the disk alone had been away, it is the same. xfs begins with those.
"""

import contextlib
import fcntl
import itertools
import mmap
import os
import random
import shutil
import stat
import struct
import tempfile
import threading
import time
import unittest.mock
import uuid

from mounted import COFFER, LONG, MountTest, Scratch, content, fsync, main, read_file, run, wait_for, write_file

GOINGDOWN = 0x8004587D  # _IOR('X', 125, __u32), of both file systems
NO_LOG_FLUSH = struct.pack("I", 2)
ROUNDS = int(os.environ.get("COFFER_CUT_ROUNDS", "1000" if LONG else "20"))
ACCESS, COLOR = "system.posix_acl_access", "user.color"


class Tree:
    """Files with links, folders and symbolic links, as they are to be: by name an inode's number, by number what it has."""

    def __init__(self, names=None, inodes=None):
        self.names = names or {}    # "d0/f1" -> number
        self.inodes = inodes or {}  # number -> (kind, bytes, mode, color)

    def with_(self, name, number, inode):
        return Tree({**self.names, name: number}, {**self.inodes, number: inode})

    def without(self, name):
        return Tree({other: number for other, number in self.names.items() if other != name}, self.inodes)

    def shown(self):
        links = list(self.names.values())
        return {name: (*self.inodes[number], links.count(number)) for name, number in self.names.items()}


def shown(top):
    """The same of a directory."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            mode, links = stat.S_IMODE(status.st_mode), status.st_nlink
            if stat.S_ISLNK(status.st_mode):
                inode = ("link", os.readlink(path).encode(), 0, None, links)
            elif stat.S_ISDIR(status.st_mode):
                inode = ("folder", b"", mode, None, 1)
            else:
                color = os.getxattr(path, COLOR) if COLOR in os.listxattr(path) else None
                inode = ("file", read_file(path), mode, color, links)
            found[os.path.relpath(path, top)] = inode
    return found


def random_change(chance, top, tree):
    """(what the tree is afterwards, the call that makes it so, its arguments): each one request, or a sync."""
    path = lambda name: os.path.join(top, name)
    name = chance.choice(("", "d0/", "d1/")) + f"f{chance.randrange(4)}"
    folder, number = os.path.dirname(name), tree.names.get(name)
    inode = tree.inodes.get(number)
    choice = chance.randrange(12)
    if folder and folder not in tree.names:
        return tree.with_(folder, chance.randrange(10**9), ("folder", b"", 0o751, None)), os.mkdir, (path(folder), 0o751)
    if inode is None:
        made = chance.randrange(10**9)
        others = [other for other, of in tree.names.items() if tree.inodes[of][0] == "file"]
        if choice == 0 and others:
            other = chance.choice(others)
            return tree.with_(name, tree.names[other], tree.inodes[tree.names[other]]), os.link, (path(other), path(name))
        if choice == 1:
            return tree.with_(name, made, ("link", b"target", 0, None)), os.symlink, ("target", path(name))
        return tree.with_(name, made, ("file", b"", 0o640, None)), make_file, (path(name), 0o640)
    kind, data, mode, color = inode
    if choice == 0:
        return tree, fsync, (path(folder) if kind != "file" or chance.randrange(2) else path(name),)
    if choice == 1 or kind == "link":
        return tree.without(name), os.unlink, (path(name),)
    if choice == 2:
        other = chance.choice([n for n in ("f0", "f1", "f2", "f3") if n != name])
        if tree.names.get(other) == number:  # two names of one file: rename(2) does nothing
            return tree, fsync, (path(folder),)
        return tree.without(name).with_(other, number, inode), os.rename, (path(name), path(other))
    if choice == 3:
        mode = chance.choice((0o600, 0o644, 0o751))
        return tree.with_(name, number, (kind, data, mode, color)), os.chmod, (path(name), mode)
    if choice == 4:
        color = chance.randbytes(chance.choice((1, 100, 6000)))
        return tree.with_(name, number, (kind, data, mode, color)), os.setxattr, (path(name), COLOR, color)
    if choice == 5:
        size = chance.randrange(len(data) + 20_000)
        return (tree.with_(name, number, (kind, data[:size].ljust(size, b"\0"), mode, color)), os.truncate, (path(name), size))
    at = len(data) if choice == 6 else chance.randrange(len(data) + 1)
    more = content(chance.randrange(10**9), chance.choice((1, 300, 5000, 9000, 40_000)))
    changed = data[:at] + more + data[at + len(more):]
    return tree.with_(name, number, (kind, changed, mode, color)), write_at, (path(name), at, more)


def make_file(path, mode):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def write_at(path, at, data):
    fd = os.open(path, os.O_WRONLY)
    try:
        assert os.pwrite(fd, data, at) == len(data)
    finally:
        os.close(fd)


class PowerCut:
    """Of each file system; the store is the only thing on it."""

    mkfs = ()
    clean_at_end = True
    next_is_another_boot = True

    def setUp(self):
        if not shutil.which(self.mkfs[0]):
            self.skipTest(f"no {self.mkfs[0]}: install xfsprogs and e2fsprogs")
        self.folder = tempfile.mkdtemp(prefix="coffer-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.image, self.below = os.path.join(self.folder, "image"), os.path.join(self.folder, "below")
        with open(self.image, "wb") as file:
            file.truncate(400 << 20)
        run([*self.mkfs, self.image])
        os.mkdir(self.below)
        mounted = run(["mount", "-o", "loop", self.image, self.below], code=None)
        if mounted.returncode != 0:
            if os.environ.get("CI") == "true" and os.path.exists("/dev/loop-control"):
                self.fail(f"loop devices are there, and the mount fails: {mounted.stderr}")
            self.skipTest(f"no loop mount: {mounted.stderr.strip()}")
        self.addCleanup(self.unmount_below)
        self.boot_id = os.path.join(self.folder, "boot_id")
        self.boot()
        library = os.path.join(os.path.dirname(COFFER), "tests", "mount", "libanother_boot.so")
        given = unittest.mock.patch.dict(os.environ, LD_PRELOAD=os.path.abspath(library), BOOT_ID_FILE=self.boot_id)
        given.start()
        self.addCleanup(given.stop)
        self.at = Scratch(parent=self.below)
        self.addCleanup(self.at.close)
        outside = os.path.join(self.folder, "mnt")  # a mount point on the file system that is cut would hold it
        os.mkdir(outside)
        self.at.dir = outside
        self.at.init().mount()
        self.open_files = []

    def unmount_below(self):
        wait_for(lambda: run(["umount", self.below], code=None).returncode == 0, "the disk below to unmount")

    def boot(self):
        with open(self.boot_id, "w") as file:
            file.write(f"{uuid.uuid4()}\n")

    def cut(self):
        """The power goes, and comes back."""
        self.power_off()
        self.power_on()

    def power_off(self):
        fd = os.open(self.below, os.O_RDONLY)
        fcntl.ioctl(fd, GOINGDOWN, NO_LOG_FLUSH)
        os.close(fd)

    def power_on(self):
        self.at.kill()
        while self.open_files:
            try:
                os.close(self.open_files.pop())
            except OSError:
                pass  # of a mount that is no more
        self.unmount_below()
        run(["mount", "-o", "loop", self.image, self.below])
        if self.next_is_another_boot:
            self.boot()
        self.next_is_another_boot = not self.next_is_another_boot
        self.at.mount()

    @contextlib.contextmanager
    def power_going_off(self, seconds):
        """The power goes so long after the block began, whose calls fail from then on, and comes back at its end. As: whether it is on."""
        off = threading.Timer(seconds, self.power_off)
        off.start()
        try:
            yield off.is_alive
        except OSError:
            pass  # of a disk that is off
        finally:
            off.join()
        self.power_on()

    def test_the_cut_takes_what_was_not_synced(self):
        write_file(f"{self.below}/plain", content(1, 50_000))
        self.cut()
        self.assertFalse(os.path.exists(f"{self.below}/plain") and read_file(f"{self.below}/plain"),
                         "nothing is lost: what the other tests show says nothing")

    def test_an_fsynced_mkdir_is_kept(self):
        bucket = self.at.bucket("bucket")
        os.mkdir(f"{bucket}/sub")
        fsync(bucket)
        self.cut()
        self.assertEqual(os.listdir(bucket), ["sub"])
        write_file(f"{bucket}/new", b"the parent takes new files")

    def test_a_file_fsynced_with_its_directory_is_kept(self):
        bucket = self.at.bucket("bucket")
        write_file(f"{bucket}/f", content(1, 50_000), sync=True)
        fsync(bucket)
        self.cut()
        self.assertEqual(read_file(f"{bucket}/f"), content(1, 50_000))

    def test_a_rename_over_a_file_is_kept_after_fsync_of_the_directory(self):
        bucket = self.at.bucket("bucket")
        write_file(f"{bucket}/g", content(1, 50_000), sync=True)
        write_file(f"{bucket}/tmp", content(2, 50_000), sync=True)
        os.rename(f"{bucket}/tmp", f"{bucket}/g")
        fsync(bucket)
        self.cut()
        self.assertEqual(os.listdir(bucket), ["g"])
        self.assertEqual(read_file(f"{bucket}/g"), content(2, 50_000))

    def test_a_file_in_a_new_directory_is_kept(self):
        bucket = self.at.bucket("bucket")
        os.mkdir(f"{bucket}/s")
        write_file(f"{bucket}/s/f", content(1, 50_000), sync=True)
        fsync(f"{bucket}/s")
        fsync(bucket)
        self.cut()
        self.assertEqual(read_file(f"{bucket}/s/f"), content(1, 50_000))

    def test_every_way_to_sync_is_one(self):
        bucket = self.at.bucket("bucket")
        first, then = content(1, 50_000), content(2, 50_000)
        ways = {"O_SYNC": os.O_SYNC, "O_DSYNC": os.O_DSYNC, "fdatasync": 0, "msync": 0}
        for way in ways:
            write_file(f"{bucket}/{way}", first, sync=True)
        fsync(bucket)
        for way, flag in ways.items():
            fd = os.open(f"{bucket}/{way}", os.O_RDWR | flag)
            self.open_files.append(fd)  # a close before the cut would write more
            if way == "msync":
                with mmap.mmap(fd, len(then)) as mapped:
                    mapped[:] = then
                    mapped.flush()
            else:
                self.assertEqual(os.write(fd, then), len(then))
            if way == "fdatasync":
                os.fdatasync(fd)
        self.cut()
        for way in ways:
            self.assertEqual(read_file(f"{bucket}/{way}"), then, way)

    def test_coffer_sync_keeps_everything(self):
        bucket = self.at.bucket("bucket")
        os.makedirs(f"{bucket}/a/b")
        for i in range(20):
            write_file(f"{bucket}/a/b/f{i}", content(i, 20_000))
        self.at.cli("sync", self.at.dir)
        self.cut()
        for i in range(20):
            self.assertEqual(read_file(f"{bucket}/a/b/f{i}"), content(i, 20_000))

    def test_what_is_six_seconds_old_is_kept_without_a_sync(self):
        bucket = self.at.bucket("bucket")
        write_file(f"{bucket}/old", content(1, 50_000))
        time.sleep(6)  # five seconds are promised
        self.cut()
        self.assertEqual(read_file(f"{bucket}/old"), content(1, 50_000))

    def test_what_was_answered_on_the_admin_socket_is_kept(self):
        at = self.at

        def kept(change, look):
            change()
            before = look()
            self.cut()
            self.assertEqual(look(), before)

        key = at.create_key()
        kept(lambda: None, lambda: at.json("kms", "describe-key", key))
        kept(lambda: at.cli("kms", "create-alias", "alias/a", key), lambda: at.json("kms", "describe-key", "alias/a"))
        kept(lambda: os.mkdir(at.path("made")), lambda: os.listdir(at.dir))
        kept(lambda: at.cli("bucket", "create", "created"), lambda: sorted(os.listdir(at.dir)))
        kept(lambda: at.put_rule("made", "aws:kms", key, bucket_key=True), lambda: at.json("encryption", "get", "made"))
        kept(lambda: at.cli("kms", "rotate-key", key), lambda: at.json("kms", "list-key-rotations", key))
        kept(lambda: at.cli("kms", "disable-key", key), lambda: at.json("kms", "describe-key", key))
        kept(lambda: at.cli("user", "create", "ann"), lambda: at.json("user", "list"))
        kept(lambda: os.rmdir(at.path("created")), lambda: os.listdir(at.dir))

    def test_a_mode_and_its_access_control_list_agree(self):
        path = os.path.join(self.at.bucket("bucket"), "f")
        write_file(path, b"x")
        values = []
        for bits in ("rwx", "r"):  # the mask is the mode's group
            run(["setfacl", "-m", f"u:1001:{bits},m::{bits}", path])
            values.append((os.getxattr(path, ACCESS), stat.S_IMODE(os.stat(path).st_mode)))
        self.assertNotEqual(*values)
        fsync(path)
        for _ in range(5):
            with self.power_going_off(random.random() * 0.3) as is_on:
                for i in itertools.count():
                    os.setxattr(path, ACCESS, values[i % 2][0])
                    if i % 7 == 0:
                        fsync(path)
                    if not is_on():
                        break
            self.assertIn((os.getxattr(path, ACCESS), stat.S_IMODE(os.stat(path).st_mode)), values)

    def test_random_workloads_keep_what_was_fsynced(self):
        # The expected state is kept here, outside the store: name -> seed and size, after each operation since the last fsync.
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        print(f"{self.id()}: seed {seed}, {ROUNDS} power cuts", flush=True)
        chance = random.Random(seed)
        bucket = self.at.bucket("bucket")
        states = [{}]  # from the last fsync on
        for round_ in range(ROUNDS):
            for _ in range(chance.randrange(1, 25)):
                now = dict(states[-1])
                name = f"f{chance.randrange(8)}"
                path, choice = f"{bucket}/{name}", chance.randrange(8)
                if choice < 4:
                    # Under another name first: a file is never seen half written.
                    made = (chance.randrange(10**9), chance.choice((0, 100, 8000, 9000, 40_000, 300_000)))
                    write_file(f"{bucket}/.new", content(*made))
                    states.append({**now, ".new": made})
                    os.rename(f"{bucket}/.new", path)
                    now[name] = made
                elif choice == 4 and name in now:
                    os.unlink(path)
                    del now[name]
                elif choice == 5 and name in now:
                    other = f"f{chance.randrange(8)}"
                    os.rename(path, f"{bucket}/{other}")
                    now[other] = now.pop(name)
                elif choice == 6:
                    fsync(bucket if chance.randrange(2) or name not in now else path)
                    states = [now]
                    continue
                states.append(now)
            self.cut()
            found = {name: read_file(f"{bucket}/{name}") for name in os.listdir(bucket)}
            # .new may be there with any beginning of its bytes: its creation and its writing are requests of their own.
            half = found.pop(".new", None)
            wanted = [{name: made for name, made in state.items() if name != ".new"} for state in states]
            fitting = [state for state in wanted if state.keys() == found.keys() and
                       all(content(*made) == found[name] for name, made in state.items())]
            self.assertTrue(fitting, f"round {round_}: no state since the last fsync fits {sorted(found)}; "
                                     f"newest {sorted(wanted[-1])}")
            if half is not None:
                os.unlink(f"{bucket}/.new")
            states = [fitting[-1]]
            fsync(bucket)

    def test_random_changes_cut_off_at_any_moment_keep_what_was_fsynced(self):
        # In place and of every kind, with the cut by another thread; the oracle as above.
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        print(f"{self.id()}: seed {seed}, {ROUNDS // 2} power cuts", flush=True)
        chance = random.Random(seed)
        self.addCleanup(os.umask, os.umask(0))
        bucket = self.at.bucket("bucket")
        states = [Tree()]  # from the last fsync on; the last may not have come to be
        for round_ in range(ROUNDS // 2):
            changes = 0
            with self.power_going_off(chance.choice((0.01, 0.1, 0.4)) * chance.random()) as is_on:
                while is_on():
                    after, call, arguments = random_change(chance, bucket, states[-1])
                    states.append(after)
                    call(*arguments)
                    changes += 1
                    if call is fsync:
                        states = [after]
            found = shown(bucket)
            fitting = [state for state in states if state.shown() == found]
            self.assertTrue(fitting, f"round {round_}, {changes} changes, {len(states)} states since the last fsync: none fits "
                                     f"{ {name: (*inode[:1], len(inode[1]), *inode[2:]) for name, inode in found.items()} }")
            states = [fitting[-1]]
            fsync(bucket)


class Ext4(PowerCut, MountTest):
    mkfs = ("mkfs.ext4", "-q", "-m", "0")


class Xfs(PowerCut, MountTest):
    mkfs = ("mkfs.xfs", "-q")
    next_is_another_boot = False


if __name__ == "__main__":
    main()
