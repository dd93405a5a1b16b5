"""Large files under each scheme, written and read back, also after a restart."""

import hashlib
import os
import random
import time

from mounted import MountTest, main

BYTES = int(os.environ.get("COFFER_STREAM_BYTES", str(200 << 20)))
BLOCK = 1 << 20


class Streams(MountTest):
    def stream(self, sse, bucket_key=False):
        folder = self.at.bucket("bucket", sse, bucket_key=bucket_key)
        path = os.path.join(folder, "large")
        base = random.Random(1).randbytes(BLOCK)
        written = hashlib.sha256()
        start = time.monotonic()
        with open(path, "wb", buffering=0) as file:
            for i in range(BYTES // BLOCK):
                block = i.to_bytes(8, "big") + base[8:]
                written.update(block)
                file.write(block)
            os.fsync(file.fileno())
        middle = time.monotonic()
        self.at.remount()
        begin = time.monotonic()
        read = hashlib.sha256()
        with open(path, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                read.update(block)
        end = time.monotonic()
        self.assertEqual(read.hexdigest(), written.hexdigest())
        self.assertEqual(os.path.getsize(path), BYTES // BLOCK * BLOCK)
        print(f"{sse or 'AES256'}: {BYTES >> 20} MiB, written and synced {BYTES / 1e6 / (middle - start):.0f} MB/s, "
              f"read {BYTES / 1e6 / (end - begin):.0f} MB/s, the hashing of both included", flush=True)

    def test_a_large_file_under_sse_s3_comes_back_whole(self):
        self.stream(None)

    def test_a_large_file_under_sse_kms_comes_back_whole(self):
        self.stream("aws:kms", bucket_key=True)

    def test_a_large_file_under_dsse_kms_comes_back_whole(self):
        self.stream("aws:kms:dsse")


if __name__ == "__main__":
    main()
