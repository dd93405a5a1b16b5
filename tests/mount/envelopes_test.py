"""Which default an object is sealed under, and how that shows."""

import errno
import os
import subprocess

from mounted import (BUCKET_KEY, COFFER, KMS_KEY_ID, SSE, MountTest, content, main, read_file, run, wait_for, write_file)

HERE = os.path.dirname(os.path.abspath(__file__))
READER = os.path.join(HERE, os.pardir, "format_reader", "coffer_reader.py")


def xattrs(path):
    found = {}
    for name in (SSE, KMS_KEY_ID, BUCKET_KEY):
        try:
            found[name] = os.getxattr(path, name).decode()
        except OSError as error:
            assert error.errno == errno.ENODATA, error
    return found


def layers(envelope):
    return [(layer["cipher"], layer["key_source"]) for layer in envelope["layers"]]


AES = "AES-256-GCM"


class Defaults(MountTest):
    def schemes(self):
        key = self.at.create_key()
        self.at.bucket("fresh")
        self.at.bucket("kms-bucket", "aws:kms", key, bucket_key=True)
        self.at.bucket("kms-plain", "aws:kms", key)
        self.at.bucket("dsse-bucket", "aws:kms:dsse", key)
        for bucket in ("fresh", "kms-bucket", "kms-plain", "dsse-bucket"):
            write_file(self.at.path(bucket, "small"), content(bucket, 1000))
            write_file(self.at.path(bucket, "large"), content(bucket, 100_000))
        return key

    def test_three_defaults_give_three_envelopes(self):  # SEED-08, 09, BK-07, 09, DSSE-01, 05, OBJ-20
        key = self.schemes()
        for name, size in (("small", 1000), ("large", 100_000)):
            with self.subTest(name):
                plain = self.at.inspect("fresh", name)
                self.assertEqual((plain["sse"], layers(plain)), ("AES256", [(AES, "sse-s3")]))
                self.assertFalse(plain.get("kms_key_arn"))
                self.assertFalse(plain["bucket_key"])
                self.assertEqual((plain["bucket"], plain["key"], plain["size"]), ("fresh", name, size))
                self.assertGreater(plain["chunk_size"], 0)

                shared = self.at.inspect("kms-bucket", name)
                self.assertEqual((shared["sse"], layers(shared)), ("aws:kms", [(AES, "bucket-key")]))
                self.assertEqual((shared["kms_key_arn"], shared["bucket_key"]), (key, True))
                self.assertEqual(shared["context"], {"aws:s3:arn": "arn:aws:s3:::kms-bucket"})

                alone = self.at.inspect("kms-plain", name)
                self.assertEqual((alone["sse"], layers(alone)), ("aws:kms", [(AES, "kms")]))
                self.assertEqual((alone["kms_key_arn"], alone["bucket_key"]), (key, False))
                self.assertEqual(alone["context"], {"aws:s3:arn": f"arn:aws:s3:::kms-plain/{name}"})

                double = self.at.inspect("dsse-bucket", name)
                self.assertEqual((double["sse"], layers(double)), ("aws:kms:dsse", [(AES, "kms"), (AES, "sse-s3")]))
                self.assertEqual((double["kms_key_arn"], double["bucket_key"]), (key, False))

    def test_xattrs_name_the_scheme_and_the_full_key_arn(self):  # OBJ-01..03, DSSE-07
        key = self.schemes()
        for name in ("small", "large"):
            self.assertEqual(xattrs(self.at.path("fresh", name)), {SSE: "AES256"})
            self.assertEqual(xattrs(self.at.path("kms-bucket", name)), {SSE: "aws:kms", KMS_KEY_ID: key, BUCKET_KEY: "true"})
            self.assertEqual(xattrs(self.at.path("kms-plain", name)), {SSE: "aws:kms", KMS_KEY_ID: key})
            self.assertEqual(xattrs(self.at.path("dsse-bucket", name)), {SSE: "aws:kms:dsse", KMS_KEY_ID: key})

    def test_a_key_named_by_id_or_alias_shows_as_its_arn(self):  # OBJ-02
        key = self.at.create_key()
        self.at.cli("kms", "create-alias", "alias/mine", key)
        for bucket, name in (("by-id", key.rsplit("/", 1)[1]), ("by-alias", "alias/mine")):
            self.at.bucket(bucket, "aws:kms", name)
            write_file(self.at.path(bucket, "f"), b"x")
            self.assertEqual(os.getxattr(self.at.path(bucket, "f"), KMS_KEY_ID).decode(), key)

    def test_a_kms_rule_without_a_key_uses_the_aws_managed_key(self):  # OBJ-04
        self.at.bucket("managed", "aws:kms")
        write_file(self.at.path("managed", "f"), b"x")
        arn = os.getxattr(self.at.path("managed", "f"), KMS_KEY_ID).decode()
        described = self.at.json("kms", "describe-key", "alias/aws/s3")["KeyMetadata"]
        self.assertEqual((described["Arn"], described["KeyManager"]), (arn, "AWS"))

    def test_a_fresh_bucket_is_under_aes256(self):  # SEED-07, GBE-01
        for make in (lambda: os.mkdir(self.at.path("by-mkdir")), lambda: self.at.cli("bucket", "create", "by-cli")):
            make()
        for bucket in ("by-mkdir", "by-cli"):
            rules = self.at.json("encryption", "get", bucket)["ServerSideEncryptionConfiguration"]["Rules"]
            self.assertEqual(rules, [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                                      "BucketKeyEnabled": False}])

    def test_xattrs_are_not_listed_and_cannot_be_set_or_removed(self):
        self.schemes()
        path = self.at.path("kms-bucket", "small")
        os.setxattr(path, "user.mine", b"1")
        self.assertEqual(os.listxattr(path), ["user.mine"])
        for name in (SSE, KMS_KEY_ID, BUCKET_KEY, "user.s3.anything"):
            self.assertErrno(errno.EPERM, os.setxattr, path, name, b"AES256")
            self.assertErrno(errno.EPERM, os.removexattr, path, name)
        self.assertEqual(xattrs(path)[SSE], "aws:kms")

    def test_directories_have_no_sealing(self):
        self.schemes()
        os.mkdir(self.at.path("kms-bucket", "folder"))
        for path in (self.at.dir, self.at.path("kms-bucket"), self.at.path("kms-bucket", "folder")):
            self.assertErrno(errno.ENODATA, os.getxattr, path, SSE)

    def test_an_object_of_each_scheme_is_read_offline(self):
        self.schemes()
        online = {b: self.at.inspect(b, "large") for b in ("fresh", "kms-bucket", "kms-plain", "dsse-bucket")}
        self.at.unmount()
        for bucket in online:
            for name, size in (("small", 1000), ("large", 100_000)):
                done = subprocess.run([COFFER, "cat", self.at.store, f"{bucket}/{name}"], stdout=subprocess.PIPE,
                                      stdin=subprocess.DEVNULL, check=True)
                self.assertEqual(done.stdout, content(bucket, size))
            self.assertEqual(self.at.inspect_offline(f"{bucket}/large"), online[bucket])

    def test_an_independent_reader_decrypts_an_object_of_each_scheme(self):
        self.schemes()
        self.at.unmount()
        key = os.path.join(self.at.store, "unlock.key")
        for bucket in ("fresh", "kms-bucket", "kms-plain", "dsse-bucket"):
            for name, size in (("small", 1000), ("large", 100_000)):
                with self.subTest(bucket=bucket, name=name):
                    done = subprocess.run(["/usr/bin/python3", READER, self.at.store, key, f"{bucket}/{name}"],
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
                    self.assertEqual(done.returncode, 0, done.stderr.decode())
                    self.assertEqual(done.stdout, content(bucket, size))


class Changes(MountTest):
    def test_a_changed_default_binds_what_is_written_next_and_leaves_the_rest(self):  # SEED-15, DBE-06, OBJ-09, BK-10
        self.at.bucket("bucket")
        for name in ("old", "truncated", "moved"):
            write_file(self.at.path("bucket", name), content(name, 50_000))
        key = self.at.create_key()
        self.at.put_rule("bucket", "aws:kms", key)
        write_file(self.at.path("bucket", "new"), content("new", 50_000))
        write_file(self.at.path("bucket", "truncated"), b"begun anew")
        os.rename(self.at.path("bucket", "moved"), self.at.path("bucket", "renamed"))
        for name, sse in (("old", "AES256"), ("new", "aws:kms"), ("truncated", "aws:kms"), ("renamed", "AES256")):
            self.assertEqual(self.at.inspect("bucket", name)["sse"], sse, name)
        self.at.cli("encryption", "delete", "bucket")
        write_file(self.at.path("bucket", "last"), b"x")
        self.assertEqual(self.at.inspect("bucket", "last")["sse"], "AES256")
        self.assertEqual(self.at.inspect("bucket", "new")["sse"], "aws:kms")
        self.at.put_rule("bucket", "aws:kms", key, bucket_key=True)
        write_file(self.at.path("bucket", "by-bucket-key"), b"x")
        self.assertEqual([self.at.inspect("bucket", name)["bucket_key"] for name in ("new", "by-bucket-key")], [False, True])
        self.assertEqual(read_file(self.at.path("bucket", "renamed")), content("moved", 50_000))

    def test_replacing_by_rename_carries_the_new_files_sealing(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "new"), b"sealed under AES256")
        self.at.put_rule("bucket", "aws:kms")
        write_file(self.at.path("bucket", "target"), b"sealed under a KMS key")
        os.rename(self.at.path("bucket", "new"), self.at.path("bucket", "target"))
        self.assertEqual(self.at.inspect("bucket", "target")["sse"], "AES256")

    def test_a_rename_keeps_the_context_and_asks_no_key(self):  # OBJ-23
        key = self.at.create_key()
        self.at.bucket("bucket", "aws:kms", key)
        write_file(self.at.path("bucket", "before"), b"sealed under its first name")
        envelope = self.at.inspect("bucket", "before")
        self.assertEqual(envelope["context"], {"aws:s3:arn": "arn:aws:s3:::bucket/before"})
        self.at.remount()
        calls = self.at.calls()
        os.rename(self.at.path("bucket", "before"), self.at.path("bucket", "after"))
        self.assertEqual(self.at.calls(), calls)
        self.assertEqual(self.at.inspect("bucket", "after"), {**envelope, "key": "after"})
        self.at.remount()
        self.assertEqual(read_file(self.at.path("bucket", "after")), b"sealed under its first name")

    def test_mv_into_another_bucket_seals_under_its_default(self):
        self.at.bucket("plain")
        self.at.bucket("kms", "aws:kms")
        write_file(self.at.path("plain", "f"), content(1, 70_000))
        os.setxattr(self.at.path("plain", "f"), "user.mine", b"kept")
        run(["mv", self.at.path("plain", "f"), self.at.path("kms", "f")])
        self.assertEqual(self.at.inspect("kms", "f")["sse"], "aws:kms")
        self.assertEqual(os.getxattr(self.at.path("kms", "f"), "user.mine"), b"kept")
        self.assertEqual(read_file(self.at.path("kms", "f")), content(1, 70_000))
        self.assertFalse(os.path.exists(self.at.path("plain", "f")))

    def modify_all(self, names, size):
        for name in names:
            fd = os.open(self.at.path("bucket", name), os.O_RDWR)
            os.pwrite(fd, b"modified", size // 2)
            os.fsync(fd)
            os.close(fd)

    def expected(self, name, size):
        data = bytearray(content(name, size))
        data[size // 2:size // 2 + 8] = b"modified"
        return bytes(data)

    def test_an_object_modified_in_place_comes_under_the_new_default(self):
        self.at.bucket("bucket")
        sizes = {"small": 3000, "large": 300_000}
        for name, size in sizes.items():
            write_file(self.at.path("bucket", name), content(name, size))
        write_file(self.at.path("bucket", "untouched"), b"x")
        self.at.put_rule("bucket", "aws:kms:dsse")
        for name, size in sizes.items():
            self.modify_all([name], size)
            wait_for(lambda: self.at.inspect("bucket", name)["sse"] == "aws:kms:dsse", f"{name} to be resealed")
            self.assertEqual(read_file(self.at.path("bucket", name)), self.expected(name, size))
        self.assertEqual(self.at.inspect("bucket", "untouched")["sse"], "AES256")

    def test_the_reseal_queue_goes_on_after_kill(self):
        self.at.bucket("bucket")
        names, size = [f"f{i}" for i in range(24)], 1_500_000
        for name in names:
            write_file(self.at.path("bucket", name), content(name, size))
        write_file(self.at.path("bucket", "untouched"), content("untouched", size))
        self.at.put_rule("bucket", "aws:kms")
        self.modify_all(names, size)
        self.at.kill()
        self.at.mount()
        wait_for(lambda: all(self.at.inspect("bucket", n)["sse"] == "aws:kms" for n in names), "all to be resealed", 60)
        for name in names:
            self.assertEqual(read_file(self.at.path("bucket", name)), self.expected(name, size))
        self.assertEqual(self.at.inspect("bucket", "untouched")["sse"], "AES256")
        self.at.remount()
        for name in names:
            self.assertEqual(read_file(self.at.path("bucket", name)), self.expected(name, size))

    def test_reseal_brings_untouched_objects_along_and_waits(self):
        self.at.bucket("bucket")
        os.mkdir(self.at.path("bucket", "in"))
        for name in ("in/a", "in/b", "out"):
            write_file(self.at.path("bucket", name), content(name, 40_000))
        self.at.put_rule("bucket", "aws:kms")
        self.at.cli("reseal", self.at.path("bucket", "in"))
        self.assertEqual([self.at.inspect("bucket", n)["sse"] for n in ("in/a", "in/b", "out")],
                         ["aws:kms", "aws:kms", "AES256"])
        self.at.cli("reseal", self.at.path("bucket"))
        self.assertEqual(self.at.inspect("bucket", "out")["sse"], "aws:kms")
        for name in ("in/a", "in/b", "out"):
            self.assertEqual(read_file(self.at.path("bucket", name)), content(name, 40_000))

    def test_a_failing_key_of_the_new_default_loses_no_write(self):
        key = self.at.create_key()
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), content("f", 60_000))
        self.at.put_rule("bucket", "aws:kms", key)
        self.at.cli("kms", "disable-key", key)
        self.modify_all(["f"], 60_000)
        self.at.remount()
        self.assertEqual(self.at.inspect("bucket", "f")["sse"], "AES256")
        self.assertEqual(read_file(self.at.path("bucket", "f")), self.expected("f", 60_000))
        self.at.cli("kms", "enable-key", key)
        self.at.cli("reseal", self.at.path("bucket"))
        self.assertEqual(self.at.inspect("bucket", "f")["sse"], "aws:kms")
        self.assertEqual(read_file(self.at.path("bucket", "f")), self.expected("f", 60_000))


if __name__ == "__main__":
    main()
