"""Random operations on two files of a mount, compared byte for byte with a model (random_file.cc; of the kind of xfstests' fsx)."""

import os
import random
import subprocess

from mounted import BIN, LONG, MountTest, Scratch, main

PROGRAM = os.path.join(BIN, "tests", "mount", "random_file")
OPERATIONS = int(os.environ.get("COFFER_RANDOM_OPERATIONS", 10_000_000 if LONG else 100_000))


class RandomFile(MountTest):
    def setUp(self):  # in memory, where a sync waits for nothing: what it keeps is for other tests
        self.at = Scratch(parent="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(self.at.close)
        self.at.init().mount()

    def drive(self, bucket, sse, part, remounts=0, bucket_key=False):
        seed = int(os.environ.get("COFFER_SEED", random.randrange(10**9)))
        operations = OPERATIONS * part // 10
        self.at.bucket(bucket, sse, bucket_key=bucket_key)
        arguments = [PROGRAM, self.at.path(bucket), operations, seed, remounts]
        found = []
        with subprocess.Popen([str(a) for a in arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
            for line in program.stdout:
                if line == "remount\n":
                    self.at.remount()
                    program.stdin.write("\n")
                    program.stdin.flush()
                else:
                    found.append(line)
        said = "".join(found)
        print(f"{bucket}: COFFER_SEED={seed}, {operations} operations, {remounts} remounts: {said}", end="", flush=True)
        self.assertEqual(program.returncode, 0, f"COFFER_SEED={seed}\n{said}")

    def test_files_under_aes256_are_as_the_model_says(self):
        self.drive("plain", None, part=4)

    def test_files_under_dsse_are_as_the_model_says_over_remounts(self):
        self.drive("dsse", "aws:kms:dsse", part=3, remounts=8)

    def test_files_under_a_bucket_key_are_as_the_model_says_over_remounts(self):
        self.drive("kms", "aws:kms", part=3, remounts=8, bucket_key=True)


if __name__ == "__main__":
    main()
