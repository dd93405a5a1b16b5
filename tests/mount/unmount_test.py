"""Every way a mount ends leaves all that was written in the store."""

import os
import signal

from mounted import MountTest, content, main, read_file, run, running, wait_for, write_file


class Unmount(MountTest):
    def ended_by(self, end):
        self.at.bucket("bucket")
        for i in range(50):
            write_file(self.at.path("bucket", f"f{i}"), content(i, (10, 20_000, 700_000)[i % 3]))
        pid = self.at.pid
        end(pid)
        wait_for(lambda: not running(pid), "the daemon to end")
        self.assertFalse(self.at.mounted)
        self.at.fsck()
        self.at.mount()
        for i in range(50):
            self.assertEqual(read_file(self.at.path("bucket", f"f{i}")), content(i, (10, 20_000, 700_000)[i % 3]))

    def test_coffer_unmount_returns_when_all_is_durable_and_the_daemon_has_ended(self):
        def unmount(pid):
            self.at.unmount()
            self.at.fsck()  # the store is free; the kernel may still be burying the process
        self.ended_by(unmount)

    def test_umount_is_safe(self):
        self.ended_by(lambda pid: run(["umount", self.at.dir]))

    def test_fusermount3_is_safe(self):
        self.ended_by(lambda pid: run(["fusermount3", "-u", self.at.dir]))

    def test_sigterm_is_safe(self):
        self.ended_by(lambda pid: os.kill(pid, signal.SIGTERM))

    def test_sigint_is_safe(self):
        self.ended_by(lambda pid: os.kill(pid, signal.SIGINT))

    def test_sighup_is_safe(self):
        self.ended_by(lambda pid: os.kill(pid, signal.SIGHUP))

    def test_mount_waits_for_a_daemon_that_is_ending(self):
        self.at.bucket("bucket")
        for _ in range(5):
            write_file(self.at.path("bucket", "f"), os.urandom(5_000_000))
            run(["umount", self.at.dir])
            self.at.mount()

    def test_a_copy_without_the_empty_folders_is_a_whole_store(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "old"), content("old", 50_000))
        self.at.unmount()
        objects = os.path.join(self.at.store, "objects")
        for folder in os.listdir(objects):
            if not os.listdir(os.path.join(objects, folder)):
                os.rmdir(os.path.join(objects, folder))
        self.at.fsck()
        self.at.mount()
        for i in range(20):
            write_file(self.at.path("bucket", f"new{i}"), content(i, 50_000), sync=True)
        self.at.cli("scrub", self.at.dir)
        self.at.kill()
        self.at.mount()
        self.assertEqual(read_file(self.at.path("bucket", "old")), content("old", 50_000))
        for i in range(20):
            self.assertEqual(read_file(self.at.path("bucket", f"new{i}")), content(i, 50_000))

    def test_a_busy_mount_is_not_torn_away(self):
        self.at.bucket("bucket")
        with open(self.at.path("bucket", "f"), "wb") as file:
            file.write(b"x")
            file.flush()
            done = run([os.path.join(os.environ.get("COFFER_BIN", "build"), "coffer"), "unmount", self.at.dir], code=None)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            file.write(b"y")
        self.assertEqual(read_file(self.at.path("bucket", "f")), b"xy")


if __name__ == "__main__":
    main()
