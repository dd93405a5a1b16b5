"""Locks: flock(2), fcntl's record locks and open file description locks keep other processes out, wait, and end with their owner."""

import errno
import fcntl
import os
import struct

from mounted import SharedMountTest, main, wait_for, write_file

OFD_SETLK, OFD_SETLKW, OFD_GETLK = 37, 38, 36  # linux/fcntl.h


def record(kind, start=0, length=0):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)


def set_lock(fd, kind, start=0, length=0, command=fcntl.F_SETLK):
    fcntl.fcntl(fd, command, record(kind, start, length))


def lock_of_others(fd, kind, start=0, length=0, command=fcntl.F_GETLK):
    """Kind, start, length and pid of the lock that is in the way."""
    kind, _, start, length, pid = struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, record(kind, start, length)))
    return kind, start, length, pid


def somebody_waits(path):
    """A lock waited for is marked by an arrow in /proc/locks."""
    with open("/proc/locks") as locks:
        return any("->" in line and f":{os.stat(path).st_ino} " in line for line in locks)


class Child:
    """Another process: does one thing with the file, says how it went, and stays until it is told to go."""

    def __init__(self, path, act):
        self.said, says = os.pipe()
        waits_for, self.go = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                for other in set(map(int, os.listdir("/proc/self/fd"))) - {0, 1, 2, says, waits_for}:
                    try:
                        os.close(other)  # the parent's locks are not to live on here
                    except OSError:
                        pass
                fd = os.open(path, os.O_RDWR)
                try:
                    act(fd)
                    os.write(says, b"0 ")
                except OSError as error:
                    os.write(says, b"%d " % error.errno)
                os.read(waits_for, 1)
            finally:
                os._exit(0)
        os.close(says)
        os.close(waits_for)

    def answer(self):
        return int(os.read(self.said, 10))

    def end(self):
        os.close(self.go)
        os.waitpid(self.pid, 0)
        os.close(self.said)


class Locks(SharedMountTest):
    def setUp(self):
        super().setUp()
        write_file(self.path("f"), b"x" * 100)
        self.fd = os.open(self.path("f"), os.O_RDWR)
        self.addCleanup(lambda: os.close(self.fd))

    def child(self, act):
        child = Child(self.path("f"), act)
        self.addCleanup(child.end)
        return child

    def refused(self, act):
        child = Child(self.path("f"), act)
        number = child.answer()
        child.end()
        return number

    def test_flock_shares_with_readers_and_excludes_writers(self):
        take = lambda flags: self.refused(lambda fd: fcntl.flock(fd, flags | fcntl.LOCK_NB))
        fcntl.flock(self.fd, fcntl.LOCK_SH)
        self.assertEqual((take(fcntl.LOCK_SH), take(fcntl.LOCK_EX)), (0, errno.EWOULDBLOCK))
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        self.assertEqual((take(fcntl.LOCK_SH), take(fcntl.LOCK_EX)), (errno.EWOULDBLOCK, errno.EWOULDBLOCK))
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        self.assertEqual(take(fcntl.LOCK_EX), 0)

    def test_record_locks_keep_others_out_of_their_range_alone(self):
        for command, get in ((fcntl.F_SETLK, fcntl.F_GETLK), (OFD_SETLK, OFD_GETLK)):
            set_lock(self.fd, fcntl.F_WRLCK, 10, 20, command)
            take = lambda kind, start, length: self.refused(lambda fd: set_lock(fd, kind, start, length, command))
            self.assertEqual(take(fcntl.F_WRLCK, 0, 10), 0)
            self.assertEqual(take(fcntl.F_WRLCK, 30, 0), 0)
            for start, length in ((0, 11), (10, 1), (29, 1), (0, 0)):
                self.assertEqual(take(fcntl.F_RDLCK, start, length), errno.EAGAIN, (start, length))

            def look(fd):
                assert lock_of_others(fd, fcntl.F_WRLCK, 0, 0, get)[:3] == (fcntl.F_WRLCK, 10, 20)
            self.assertEqual(self.refused(look), 0)
            set_lock(self.fd, fcntl.F_UNLCK, 15, 5, command)
            self.assertEqual(take(fcntl.F_WRLCK, 15, 5), 0)
            self.assertEqual(take(fcntl.F_WRLCK, 14, 1), errno.EAGAIN)
            set_lock(self.fd, fcntl.F_UNLCK, 0, 0, command)
            self.assertEqual(take(fcntl.F_WRLCK, 0, 0), 0)

    def test_getlk_names_the_process_that_holds_it(self):
        child = self.child(lambda fd: set_lock(fd, fcntl.F_WRLCK, 5, 5))
        self.assertEqual(child.answer(), 0)
        self.assertEqual(lock_of_others(self.fd, fcntl.F_RDLCK), (fcntl.F_WRLCK, 5, 5, child.pid))

    def test_one_who_waits_is_woken_by_unlock_and_close(self):
        ways = {
            "flock": (lambda fd: fcntl.flock(fd, fcntl.LOCK_EX), lambda fd: fcntl.flock(fd, fcntl.LOCK_UN)),
            "record": (lambda fd: set_lock(fd, fcntl.F_WRLCK, command=fcntl.F_SETLKW), lambda fd: set_lock(fd, fcntl.F_UNLCK)),
            "description": (lambda fd: set_lock(fd, fcntl.F_WRLCK, command=OFD_SETLKW),
                            lambda fd: set_lock(fd, fcntl.F_UNLCK, command=OFD_SETLK)),
        }
        for name, (lock, unlock) in ways.items():
            for let_go in (unlock, os.close):
                with self.subTest(name=name, by=let_go.__name__):
                    fd = os.open(self.path("f"), os.O_RDWR)
                    lock(fd)
                    child = Child(self.path("f"), lock)
                    wait_for(lambda: somebody_waits(self.path("f")), "the other process to wait for the lock")
                    let_go(fd)
                    self.assertEqual(child.answer(), 0)
                    child.end()
                    if let_go is unlock:
                        os.close(fd)

    def test_a_process_that_ends_lets_go_of_all_its_locks(self):
        for lock, take in ((lambda fd: fcntl.flock(fd, fcntl.LOCK_EX), lambda: fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)),
                           (lambda fd: set_lock(fd, fcntl.F_WRLCK), lambda: set_lock(self.fd, fcntl.F_WRLCK)),
                           (lambda fd: set_lock(fd, fcntl.F_WRLCK, command=OFD_SETLK),
                            lambda: set_lock(self.fd, fcntl.F_WRLCK, command=OFD_SETLK))):
            child = Child(self.path("f"), lock)
            self.assertEqual(child.answer(), 0)
            self.assertErrno(errno.EAGAIN, take)
            child.end()
            take()
            fcntl.flock(self.fd, fcntl.LOCK_UN)
            set_lock(self.fd, fcntl.F_UNLCK)
            set_lock(self.fd, fcntl.F_UNLCK, command=OFD_SETLK)

    def test_closing_any_descriptor_ends_record_locks_and_leaves_description_locks(self):
        set_lock(self.fd, fcntl.F_WRLCK)
        os.close(os.open(self.path("f"), os.O_RDONLY))
        self.assertEqual(self.refused(lambda fd: set_lock(fd, fcntl.F_WRLCK)), 0)
        set_lock(self.fd, fcntl.F_WRLCK, command=OFD_SETLK)
        os.close(os.open(self.path("f"), os.O_RDONLY))
        self.assertEqual(self.refused(lambda fd: set_lock(fd, fcntl.F_WRLCK)), errno.EAGAIN)

    def test_two_descriptions_of_one_process_exclude_each_other(self):
        with open(self.path("f"), "r+b") as other:
            set_lock(self.fd, fcntl.F_WRLCK, command=OFD_SETLK)
            self.assertErrno(errno.EAGAIN, set_lock, other, fcntl.F_WRLCK, 0, 0, OFD_SETLK)
            set_lock(self.fd, fcntl.F_UNLCK, command=OFD_SETLK)
            fcntl.flock(self.fd, fcntl.LOCK_EX)
            self.assertErrno(errno.EWOULDBLOCK, fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_two_that_wait_for_each_other_are_told_of_the_deadlock(self):
        set_lock(self.fd, fcntl.F_WRLCK, 0, 1)

        def cross(fd):
            set_lock(fd, fcntl.F_WRLCK, 1, 1)
            set_lock(fd, fcntl.F_WRLCK, 0, 1, fcntl.F_SETLKW)
        child = Child(self.path("f"), cross)
        wait_for(lambda: somebody_waits(self.path("f")), "the other process to wait for the lock")
        self.assertErrno(errno.EDEADLK, set_lock, self.fd, fcntl.F_WRLCK, 1, 1, fcntl.F_SETLKW)
        set_lock(self.fd, fcntl.F_UNLCK)
        self.assertEqual(child.answer(), 0)
        child.end()


if __name__ == "__main__":
    main()
