"""What a Bucket Key saves, counted by the KMS itself."""

import os

from mounted import MountTest, main, read_file, write_file

OBJECTS = 1000


class BucketKeys(MountTest):
    def counts(self, bucket_key):
        """(GenerateDataKey, Decrypt) calls of writing the objects, and of reading them after a restart."""
        key = self.at.create_key()
        folder = self.at.bucket("counted", "aws:kms", key, bucket_key=bucket_key)
        before = self.at.calls()
        for i in range(OBJECTS):
            write_file(os.path.join(folder, f"object-{i}"), b"%d" % i * (1 if i % 10 else 5000))
        written = self.at.calls()
        self.at.remount()
        start = self.at.calls()
        for i in range(OBJECTS):
            self.assertEqual(read_file(os.path.join(folder, f"object-{i}")), b"%d" % i * (1 if i % 10 else 5000))
        read = self.at.calls()
        self.assertEqual(start[0], written[0], "counts survive a restart")
        return sum(written) - sum(before), sum(read) - sum(start)

    def test_with_a_bucket_key_a_thousand_objects_cost_at_most_ten_calls_each_way(self):  # BK-03
        writing, reading = self.counts(bucket_key=True)
        self.assertTrue(1 <= writing <= 10, writing)
        self.assertTrue(1 <= reading <= 10, reading)

    def test_without_a_bucket_key_every_object_costs_a_call_each_way(self):
        writing, reading = self.counts(bucket_key=False)
        self.assertGreaterEqual(writing, OBJECTS)
        self.assertGreaterEqual(reading, OBJECTS)

    def test_call_counts_survive_kill_after_sync(self):
        self.at.bucket("counted", "aws:kms", self.at.create_key())
        for i in range(20):
            write_file(self.at.path("counted", str(i)), b"x")
        before = self.at.calls()
        self.at.cli("sync", self.at.dir)
        self.at.kill()
        self.at.mount()
        self.assertGreaterEqual(self.at.calls()[0], before[0])


if __name__ == "__main__":
    main()
