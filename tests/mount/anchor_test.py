"""The anchor outside the store: a commit counter and digest written down elsewhere show a folder put back to an earlier day."""

import os
import shutil

from mounted import MountTest, coffer, content, main, read_file, write_file


class Anchor(MountTest):
    clean_at_end = False  # a log that was cut belongs to no data file written since

    def commit(self):
        """What is durable now, as a script would write it down."""
        self.at.cli("sync", self.at.dir)
        return self.at.json("status", self.at.dir)["mounts"][0]["commit"]

    def kept(self, name):
        """A copy of the store's folder as it is now."""
        copy = os.path.join(self.at.folder, name)
        shutil.copytree(self.at.store, copy, ignore=shutil.ignore_patterns("*.sock"))
        return copy

    def put_back(self, copy):
        shutil.rmtree(self.at.store)
        shutil.copytree(copy, self.at.store)

    def assertRefused(self, found, demanded):
        done = self.at.mount("--min-commit", str(demanded), code=1)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(f"at commit {found}, before the {demanded} demanded", done.stderr)
        self.assertIn("Put the newest copy of its folder back", done.stderr)
        self.assertIn("without --min-commit", done.stderr)
        self.assertFalse(self.at.mounted)

    def test_a_whole_folder_of_an_earlier_day_is_refused_until_the_newest_is_back(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "file"), content("old", 50_000))
        self.at.unmount()
        old = self.kept("old")
        self.at.mount()
        old_counter = self.commit()["counter"]
        write_file(self.at.path("bucket", "file"), content("new", 50_000))
        noted = self.commit()["counter"]
        self.at.unmount()
        new = self.kept("new")
        self.put_back(old)
        self.assertRefused(self.found_in(old), noted)
        # Nothing in the folder itself tells: that is what the anchor is for.
        self.at.mount()
        self.assertEqual(read_file(self.at.path("bucket", "file")), content("old", 50_000))
        self.assertLess(old_counter, noted)
        self.at.unmount()
        self.put_back(new)
        self.at.mount("--min-commit", str(noted))
        self.assertEqual(read_file(self.at.path("bucket", "file")), content("new", 50_000))
        self.at.unmount()
        self.at.fsck()

    def found_in(self, copy):
        """The counter that a mount of a copy finds: that of a refusal with an absurd demand."""
        done = coffer("mount", copy, self.at.dir, "--min-commit", str(2**62), code=1)
        return int(done.stderr.split("at commit ")[1].split(",")[0])

    def test_what_status_showed_is_there_after_a_kill(self):
        self.at.bucket("bucket")
        for i in range(5):
            write_file(self.at.path("bucket", f"file-{i}"), content(i, 20_000), sync=True)
            noted = self.commit()["counter"]
            write_file(self.at.path("bucket", "not synced"), content(i, 20_000))
            self.at.kill()
            self.at.mount("--min-commit", str(noted))
            self.assertEqual(read_file(self.at.path("bucket", f"file-{i}")), content(i, 20_000))

    def test_a_log_cut_after_a_crash_is_refused(self):
        self.at.bucket("bucket")
        self.at.remount()  # all so far is in the database, and the log begins again
        for i in range(10):
            write_file(self.at.path("bucket", f"file-{i}"), content(i, 3000), sync=True)
        noted = self.commit()["counter"]
        self.at.kill()
        killed = self.kept("killed")
        log = os.path.join(self.at.store, "coffer.db-wal")
        os.truncate(log, 8192)  # its two headers: the crash of a daemon that had just started
        cut = self.kept("cut")
        self.assertRefused(self.found_in(cut), noted)
        self.put_back(killed)
        self.at.mount("--min-commit", str(noted))
        for i in range(10):
            self.assertEqual(read_file(self.at.path("bucket", f"file-{i}")), content(i, 3000))

    def test_the_digest_tells_two_histories_of_one_copy_apart(self):
        self.at.bucket("bucket")
        self.at.unmount()
        start = self.kept("start")
        histories = []
        for history in ("one", "other"):
            self.put_back(start)
            self.at.mount()
            digests = {}
            for i in range(8):
                write_file(self.at.path("bucket", "file"), content(f"{history} {i}", 20_000))
                commit = self.commit()
                digests[commit["counter"]] = commit["digest"]
            histories.append(digests)
            self.at.unmount()
        common = set(histories[0]) & set(histories[1])
        self.assertTrue(common, histories)  # how many commits a mount makes by itself is a matter of time
        for counter in common:
            self.assertNotEqual(histories[0][counter], histories[1][counter])


if __name__ == "__main__":
    main()
