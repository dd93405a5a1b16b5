"""Directory buckets on a real mount: names, one key for life, Bucket Keys always on, and what the mount makes of it."""

import os
import signal

from mounted import BUCKET_KEY, KMS_KEY_ID, SSE, MountTest, main, rule_xml, write_file

NAME = "base--use1-az4--x-s3"
ARN = f"arn:aws:s3express:us-east-1:000000000000:bucket/{NAME}"
LOCATION = (b"<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type><Name>use1-az4</Name></Location><Bucket>"
            b"<Type>Directory</Type><DataRedundancy>SingleAvailabilityZone</DataRedundancy></Bucket></CreateBucketConfiguration>")


class DirectoryBuckets(MountTest):
    def setUp(self):
        super().setUp()
        self.s3 = self.at.wire()

    def put(self, key, **rest):
        return self.s3.put_encryption(NAME, rule_xml("aws:kms", key), service="s3express", **rest)

    def test_the_mount_seals_under_the_buckets_key_by_its_bucket_key(self):  # DIR-01, SEED-14, SEED-19, SEED-53, BK-13
        self.assertEqual(self.s3.request("PUT", f"/{NAME}", body=LOCATION, service="s3express").status, 200)
        key = self.at.create_key()
        write_file(self.at.path(NAME, "before"), b"x")
        self.assertEqual(self.at.inspect(NAME, "before")["sse"], "AES256")
        self.assertEqual(self.put(key).status, 200)
        before = self.at.calls()
        for i in range(50):
            write_file(self.at.path(NAME, f"f{i}"), b"text")
        made = self.at.calls()
        self.assertLessEqual(made[0] - before[0], 1, "one Bucket Key for all of them")
        found = self.at.inspect(NAME, "f7")
        self.assertEqual((found["sse"], found["kms_key_arn"], found["bucket_key"]), ("aws:kms", key, True))
        self.assertEqual(found["context"], {"aws:s3:arn": ARN})
        path = self.at.path(NAME, "f7")
        self.assertEqual([os.getxattr(path, name) for name in (SSE, KMS_KEY_ID, BUCKET_KEY)],
                         [b"aws:kms", key.encode(), b"true"])
        self.at.remount()
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"text")
        self.at.cli("kms", "disable-key", key)
        self.assertErrno(128, open, path, "rb")  # EKEYREVOKED
        self.assertErrno(128, open, self.at.path(NAME, "new"), "wb")
        self.at.cli("kms", "enable-key", key)

    def test_its_first_key_is_its_key_for_life(self):  # DIR-05, SEED-17
        self.at.cli("bucket", "create", NAME)
        first, second = self.at.create_key(), self.at.create_key()

        def refused():
            answer = self.put(second)
            self.assertEqual((answer.status, answer.code), (400, "InvalidRequest"), answer.body)

        self.assertEqual(self.put(first).status, 200)
        refused()
        pid = self.at.pid
        os.kill(pid, signal.SIGKILL)
        self.at.bury(pid)
        self.at.mount()
        refused()
        self.assertEqual(self.s3.request("DELETE", f"/{NAME}", {"encryption": ""}, service="s3express").status, 204)
        refused()
        self.at.remount()
        refused()
        self.assertEqual(self.put(first.rsplit("/", 1)[1]).status, 200)
        os.rmdir(self.at.path(NAME))
        os.mkdir(self.at.path(NAME))
        self.assertEqual(self.put(second).status, 200, "another bucket of the same name")

    def test_a_key_that_does_not_serve_is_refused_and_changes_nothing(self):  # DIR-10, SEED-24, KMS-30..32
        os.mkdir(self.at.path(NAME))
        key = self.at.create_key()
        self.at.cli("kms", "disable-key", key)
        pending = self.at.create_key()
        self.at.cli("kms", "schedule-key-deletion", pending)
        unknown = "11111111-2222-4333-8444-555555555555"
        for name, code, message in (
                (key, "KMS.DisabledException", f"{key} is disabled."),
                (pending, "KMS.KMSInvalidStateException", f"{pending} is pending deletion."),
                (unknown, "KMS.NotFoundException", f"Key 'arn:aws:kms:us-east-1:000000000000:key/{unknown}' does not exist"),
                (key.replace("us-east-1", "eu-west-1"), "KMS.NotFoundException", "Invalid arn eu-west-1")):
            answer = self.put(name)
            self.assertEqual((answer.status, answer.code, answer.message), (400, code, message))
        got = self.s3.get_encryption(NAME, service="s3express")
        self.assertEqual((got.find("SSEAlgorithm"), got.find("BucketKeyEnabled")), ("AES256", "true"))

    def test_the_coffer_program_makes_lists_and_configures_them(self):
        self.at.cli("bucket", "create", NAME)
        self.at.bucket("plain")
        listed = [bucket["Name"] for bucket in self.at.json("bucket", "list")["Buckets"]]
        self.assertEqual(listed, ["plain", NAME])
        key = self.at.create_key()
        self.at.put_rule(NAME, "aws:kms", key)
        rule = self.at.json("encryption", "get", NAME)["ServerSideEncryptionConfiguration"]["Rules"][0]
        self.assertEqual(rule, {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
                                "BucketKeyEnabled": True})
        self.at.cli("encryption", "delete", NAME)
        self.at.cli("bucket", "delete", NAME)

    def test_new_buckets_block_sse_c_with_the_option(self):  # GBE-02
        os.mkdir(self.at.path("before"))
        self.at.remount("-o", "block-sse-c")
        os.mkdir(self.at.path("made"))
        self.assertEqual(self.s3.request("PUT", "/put").status, 200)
        os.mkdir(self.at.path(NAME))
        blocked = {name: self.s3.get_encryption(name).find("EncryptionType") for name in ("before", "made", "put", NAME)}
        self.assertEqual(blocked, {"before": None, "made": "SSE-C", "put": "SSE-C", NAME: None})


if __name__ == "__main__":
    main()
