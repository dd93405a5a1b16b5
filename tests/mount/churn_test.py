"""The daemon's memory while files come and go, on the mount and through the admin socket, for an hour (--long; some seconds otherwise)."""

import os
import random
import shutil
import time

from mounted import LONG, MountTest, content, main, rule_xml

SECONDS = float(os.environ.get("COFFER_CHURN_SECONDS", 3600 if LONG else 12))
SAMPLES = 60
FILES = 400  # of at most 40 KB: what the caches may hold is held after the first rounds
GROWTH_MAX_KB = 4_000 if SECONDS >= 600 else 16_000  # the caches are not full in less


class Churn(MountTest):
    def resident_kb(self):
        with open(f"/proc/{self.at.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def file(self, path, data):
        with open(path, "wb") as file:
            file.write(data)
        os.setxattr(path, "user.note", data[:50] or b"empty")
        with open(path, "r+b") as file:
            file.seek(len(data) // 2)
            file.write(data[:3000])
        if self.chance.random() < 0.5:
            os.truncate(path, len(data) // 3)
        os.rename(path, path + "-moved")
        os.link(path + "-moved", path)
        if self.chance.random() < 0.02:
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        with open(path, "rb") as file:
            file.read()

    def one_round(self, number):
        base = self.at.path("churn", f"round-{number}")  # no name and no inode twice
        os.mkdir(base)
        for i in range(FILES // 4):
            self.file(os.path.join(base, str(i)), self.data[:self.chance.choice((0, 100, 3000, 9000, 40_000))])
        self.assertEqual(len(os.listdir(base)), 2 * (FILES // 4))
        self.kept.append(base)
        if len(self.kept) > 4:
            shutil.rmtree(self.kept.pop(0))
        wire = self.at.wire()
        sse = ("AES256", "aws:kms", "aws:kms:dsse")[number % 3]
        self.assertEqual(wire.put_encryption("churn", rule_xml(sse)).status, 200)
        os.mkdir(self.at.path(f"bucket-{number}"))
        os.rmdir(self.at.path(f"bucket-{number}"))
        self.assertEqual(wire.kms("ListKeys")[0], 200)

    def test_the_daemon_does_not_grow_while_files_come_and_go(self):
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**6)))
        self.chance, self.data, self.kept = random.Random(seed), content(seed, 40_000), []
        self.at.bucket("churn")
        began, number, samples = time.monotonic(), 0, []
        while time.monotonic() < began + SECONDS:
            self.one_round(number)
            number += 1
            if time.monotonic() >= began + len(samples) * SECONDS / SAMPLES:
                samples.append(self.resident_kb())
        warm, end = max(samples[len(samples) // 4:len(samples) // 2]), max(samples[-len(samples) // 4:])
        print(f"COFFER_SEED={seed}: {number * FILES // 4} files came and {SECONDS:.0f} s went by: at most {warm // 1000} MB in the second "
              f"quarter, at most {end // 1000} MB in the last", flush=True)
        print("resident, in KB:", *samples, flush=True)
        with open(f"/proc/{self.at.pid}/maps") as maps:
            sanitized = "libasan" in maps.read()
        if not sanitized:
            self.assertLess(end, warm + GROWTH_MAX_KB)


if __name__ == "__main__":
    main()
