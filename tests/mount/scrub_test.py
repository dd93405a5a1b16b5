"""coffer scrub on real mounts."""

import json
import os
import subprocess
import threading

from mounted import COFFER, MountTest, coffer, content, main, wait_for, write_file


class Scrub(MountTest):
    clean_at_end = False

    def scrub(self, *flags, code=0):
        return json.loads(self.at.cli("scrub", self.at.dir, "--json", *flags, code=code).stdout)

    def test_a_sound_store_is_clean_while_it_is_written_to(self):
        path = self.at.bucket("bucket")
        end = threading.Event()

        def write():
            number = 0
            while not end.is_set():
                name = os.path.join(path, f"f{number % 7}")
                write_file(name, content(number, 1000 + number % 5 * 300_000), sync=number % 3 == 0)
                if number % 4 == 0:
                    os.unlink(name)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                report = self.scrub("--rate", "1000000")
                self.assertEqual((report["damage"], report["second_copies"]), ([], []))
        finally:
            end.set()
            writer.join()
        self.at.unmount()
        self.at.fsck()

    def test_damage_is_named_with_exit_code_3_and_the_mount_goes_on(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "whole"), content("whole", 400_000))
        before = set(self.at.data_files())
        write_file(self.at.path("bucket", "broken"), content("broken", 400_000), sync=True)
        broken, = set(self.at.data_files()) - before
        with open(broken, "r+b") as file:
            file.seek(200_000)
            file.write(bytes(64))
        report = self.scrub(code=3)
        self.assertEqual({one["object"] for one in report["damage"]}, {"bucket/broken"})
        done = self.at.cli("scrub", self.at.dir, code=3)
        self.assertIn("damage: bucket/broken: chunk ", done.stdout)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn("--repair", done.stderr)
        write_file(self.at.path("bucket", "later"), content("later", 400_000), sync=True)
        self.at.unmount()
        coffer("fsck", self.at.store, *self.at.unlock, "--repair")
        self.at.mount()
        report = self.scrub()
        self.assertEqual((report["damage"], len(report["quarantined"])), ([], 1))

    def test_it_goes_on_after_a_kill_and_shows_in_the_status(self):
        path = self.at.bucket("bucket")
        for number in range(12):
            write_file(os.path.join(path, f"f{number}"), content(number, 2 << 20), sync=True)
        jobs = lambda: self.at.json("status")["mounts"][0]["jobs"]
        waiting = subprocess.Popen([COFFER, "scrub", self.at.dir, "--rate", "4"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        far = lambda: any(job["kind"] == "scrub" and job["done"] > 12 << 20 for job in jobs())
        wait_for(far, "the scrub to come half-way", 60)
        coffer("sync", self.at.dir)
        self.at.kill()
        self.assertEqual(waiting.wait(timeout=60), 1)
        self.at.mount()
        self.assertEqual(jobs(), [])
        report = self.scrub("--rate", "1000000")
        self.assertEqual((report["objects"], report["damage"]), (12, []))


if __name__ == "__main__":
    main()
