"""The daemon's memory while much is copied (--long: 2 GB and 50,000 files; a tenth of it otherwise)."""

import os
import random

from mounted import LONG, MountTest, main, read_file, write_file

BYTES, FILES = (2_000_000_000, 50_000) if LONG else (200_000_000, 5_000)
LIMIT_KB = 150_000


class Memory(MountTest):
    def peak_kb(self):
        with open(f"/proc/{self.at.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def test_the_daemon_stays_under_150_mb_while_copying(self):
        self.at.bucket("bucket", "aws:kms", bucket_key=True)
        block = random.Random(1).randbytes(1 << 20)
        for part in range(4):
            with open(self.at.path("bucket", f"large-{part}"), "wb", buffering=0) as file:
                for _ in range(BYTES // 4 // len(block)):
                    file.write(block)
        for i in range(FILES):
            if i % 500 == 0:
                os.mkdir(self.at.path("bucket", f"d{i // 500}"))
            write_file(self.at.path("bucket", f"d{i // 500}", f"f{i}"), block[:i % 8000])
        writing = self.peak_kb()
        self.at.remount()
        for part in range(4):
            with open(self.at.path("bucket", f"large-{part}"), "rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
        for i in range(FILES):
            self.assertEqual(read_file(self.at.path("bucket", f"d{i // 500}", f"f{i}")), block[:i % 8000])
        reading = self.peak_kb()
        print(f"{BYTES} bytes and {FILES} files: at most {writing // 1000} MB while writing, {reading // 1000} MB while reading",
              flush=True)
        if "libasan" not in open(f"/proc/{self.at.pid}/maps").read():
            self.assertLess(max(writing, reading), LIMIT_KB)


if __name__ == "__main__":
    main()
