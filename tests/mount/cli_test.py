"""The coffer program: exit codes, what it prints, and the shape of every --json."""

import json
import os
import subprocess
import unittest

from mounted import COFFER, COFFERD, MountTest, Scratch, coffer, content, main, read_file, rule_xml, run, wait_for, write_file

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
ARN = rf"arn:aws:kms:us-east-1:000000000000:key/{UUID}"


class Usage(unittest.TestCase):
    def test_version_and_help_are_everywhere(self):
        for program in (COFFER, COFFERD):
            self.assertRegex(run([program, "--version"]).stdout, r"\d+\.\d+")
            self.assertIn("STORE", run([program, "--help"]).stdout.upper())
        for command in ("init", "mount", "unmount", "sync", "bucket", "encryption", "kms", "inspect", "cat", "fsck", "reseal", "scrub",
                        "status", "unlock", "user", "policy", "audit"):
            self.assertTrue(coffer(command, "--help").stdout)

    def test_wrong_usage_is_exit_2_in_one_line(self):
        for words in ([], ["no-such-command"], ["init"], ["mount", "/only-one"], ["init", "/tmp/x", "--no-such-flag"],
                      ["encryption", "put"], ["kms"], ["bucket", "no-such-verb"]):
            done = coffer(*words, code=2)
            self.assertTrue(done.stderr, words)
            self.assertEqual(done.stdout, "", words)


class Init(unittest.TestCase):
    def setUp(self):
        self.at = Scratch()
        self.addCleanup(self.at.close)

    def test_init_makes_a_key_file_and_credentials_and_warns(self):
        done = coffer("init", self.at.store)
        self.assertIn("unlock.key", done.stdout + done.stderr)
        for name in ("unlock.key", "credentials"):
            self.assertEqual(os.stat(os.path.join(self.at.store, name)).st_mode & 0o777, 0o600)
        self.assertEqual(os.path.getsize(os.path.join(self.at.store, "unlock.key")), 32)
        self.assertIn(b"[coffer]", read_file(os.path.join(self.at.store, "credentials")))
        for name in ("coffer.db", "coffer.tags", "keyslots.json"):
            self.assertTrue(os.path.exists(os.path.join(self.at.store, name)), name)

    def test_init_uses_a_key_file_and_makes_a_missing_one(self):
        key = os.path.join(self.at.folder, "key")
        coffer("init", self.at.store, "--key-file", key)
        self.assertEqual((os.path.getsize(key), os.stat(key).st_mode & 0o777), (32, 0o600))
        self.assertFalse(os.path.exists(os.path.join(self.at.store, "unlock.key")))
        kept = read_file(key)
        coffer("init", self.at.store + "2", "--key-file", key)
        self.assertEqual(read_file(key), kept)
        coffer("fsck", self.at.store + "2", "--key-file", key)

    def test_account_and_region_show_in_every_arn(self):
        coffer("init", self.at.store, "--account-id", "123456789012", "--region", "eu-central-1")
        self.at.mount()
        self.assertRegex(self.at.create_key(), rf"^arn:aws:kms:eu-central-1:123456789012:key/{UUID}$")
        for flags in (("--account-id", "123"), ("--region", "Not A Region")):
            coffer("init", self.at.store + "3", *flags, code=2)
            self.assertFalse(os.path.exists(self.at.store + "3"))

    def test_the_key_is_taken_from_the_credentials_directory(self):
        folder = os.path.join(self.at.folder, "given")
        os.mkdir(folder)
        coffer("init", self.at.store, "--key-file", os.path.join(folder, "coffer.key"))
        coffer("fsck", self.at.store, code=4)
        coffer("fsck", self.at.store, env=dict(os.environ, CREDENTIALS_DIRECTORY=folder))


class Commands(MountTest):
    def test_buckets_are_created_listed_and_deleted(self):
        self.at.cli("bucket", "create", "one")
        self.at.cli("bucket", "create", "two")
        self.assertEqual([b["Name"] for b in self.at.json("bucket", "list")["Buckets"]], ["one", "two"])
        self.assertEqual(self.at.cli("bucket", "list").stdout.split("\n")[0].split()[-1][-3:], "one")
        self.at.cli("bucket", "delete", "one")
        self.assertEqual(os.listdir(self.at.dir), ["two"])
        self.at.cli("bucket", "delete", "one", code=5)
        self.assertIn(self.at.cli("bucket", "create", "Bad_Name", code=None).returncode, (1, 2))
        write_file(self.at.path("two", "f"), b"")
        self.at.cli("bucket", "delete", "two", code=1)

    def test_encryption_is_put_got_and_deleted(self):
        self.at.bucket("bucket")
        key = self.at.create_key()
        self.at.put_rule("bucket", "aws:kms", key, True)
        self.assertEqual(self.at.json("encryption", "get", "bucket"), {"ServerSideEncryptionConfiguration": {"Rules": [{
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BucketKeyEnabled": True}]}})
        xml = self.at.cli("encryption", "get", "bucket").stdout
        self.assertIn(f"<KMSMasterKeyID>{key}</KMSMasterKeyID>", xml)
        file = os.path.join(self.at.folder, "rule.xml")
        write_file(file, rule_xml("aws:kms:dsse"))
        self.at.cli("encryption", "put", "bucket", file)
        self.assertIn("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>", self.at.cli("encryption", "get", "bucket").stdout)
        write_file(file, b"not XML")
        self.assertIn("MalformedXML", self.at.cli("encryption", "put", "bucket", file, code=1).stderr)
        self.at.cli("encryption", "delete", "bucket")
        self.assertIn("AES256", self.at.cli("encryption", "get", "bucket").stdout)
        for words in (("put", "missing-bucket", "--sse", "AES256"), ("get", "missing-bucket"), ("delete", "missing-bucket")):
            done = self.at.cli("encryption", *words, code=5)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(self.at.cli("encryption", "put", "bucket", "--sse", "rot13", code=None).returncode, (1, 2))

    def test_keys_live_their_life(self):
        arn = self.at.cli("kms", "create-key", "--description", "of a test").stdout
        self.assertRegex(arn, rf"^{ARN}\n$")
        arn = arn.strip()
        made = self.at.json("kms", "create-key")["KeyMetadata"]
        for field, value in (("KeyState", "Enabled"), ("Enabled", True), ("KeyManager", "CUSTOMER"), ("Origin", "AWS_KMS"),
                             ("KeyUsage", "ENCRYPT_DECRYPT"), ("KeySpec", "SYMMETRIC_DEFAULT"), ("MultiRegion", False),
                             ("AWSAccountId", "000000000000")):
            self.assertEqual(made[field], value)
        self.assertRegex(made["Arn"], f"^{ARN}$")
        key_id = arn.rsplit("/", 1)[1]
        self.at.cli("kms", "create-alias", "alias/test", arn)
        alias_arn = "arn:aws:kms:us-east-1:000000000000:alias/test"
        for name in (arn, key_id, "alias/test", alias_arn):
            described = self.at.json("kms", "describe-key", name)["KeyMetadata"]
            self.assertEqual((described["KeyId"], described["Description"]), (key_id, "of a test"))
        keys = self.at.json("kms", "list-keys")["Keys"]
        self.assertIn({"KeyId": key_id, "KeyArn": arn}, keys)
        aliases = self.at.json("kms", "list-aliases")["Aliases"]
        self.assertIn(("alias/test", alias_arn, key_id),
                      [(a["AliasName"], a["AliasArn"], a.get("TargetKeyId")) for a in aliases])
        state = lambda: self.at.json("kms", "describe-key", arn)["KeyMetadata"]["KeyState"]
        self.at.cli("kms", "disable-key", "alias/test")
        self.assertEqual(state(), "Disabled")
        self.at.cli("kms", "enable-key", alias_arn)
        self.assertEqual(state(), "Enabled")
        self.at.cli("kms", "rotate-key", key_id)
        self.at.cli("kms", "enable-key-rotation", key_id, "--period", "90")
        self.assertEqual(self.at.json("kms", "get-key-rotation-status", key_id)["RotationPeriodInDays"], 90)
        rotations = self.at.json("kms", "list-key-rotations", key_id)["Rotations"]
        self.assertEqual([r.get("RotationType") for r in rotations], [None, "ON_DEMAND"])
        self.at.cli("kms", "disable-key-rotation", key_id)
        self.assertFalse(self.at.json("kms", "get-key-rotation-status", key_id)["KeyRotationEnabled"])
        self.at.cli("kms", "tag-resource", key_id, "team=storage", "use=tests")
        self.at.cli("kms", "untag-resource", key_id, "use")
        self.assertEqual(self.at.json("kms", "list-resource-tags", key_id)["Tags"], [{"TagKey": "team", "TagValue": "storage"}])
        self.at.cli("kms", "update-key-description", key_id, "of another test")
        self.assertEqual(self.at.json("kms", "describe-key", key_id)["KeyMetadata"]["Description"], "of another test")
        other = self.at.create_key()
        self.at.cli("kms", "update-alias", "alias/test", other)
        self.assertEqual(self.at.json("kms", "describe-key", "alias/test")["KeyMetadata"]["Arn"], other)
        self.at.cli("kms", "delete-alias", "alias/test")
        self.at.cli("kms", "describe-key", "alias/test", code=5)
        self.at.cli("kms", "schedule-key-deletion", key_id, "--days", "7")
        self.assertEqual(state(), "PendingDeletion")
        self.at.cli("kms", "cancel-key-deletion", key_id)
        self.assertEqual(state(), "Disabled")

    def test_refused_key_operations_have_their_exit_codes(self):
        arn = self.at.create_key()
        unknown = "11111111-2222-3333-4444-555555555555"
        self.at.cli("kms", "describe-key", unknown, code=5)
        self.at.cli("kms", "describe-key", "alias/none", code=5)
        self.at.cli("kms", "enable-key", unknown, code=5)
        self.assertIn(self.at.cli("kms", "schedule-key-deletion", arn, "--days", "31", code=None).returncode, (1, 2))
        self.at.cli("kms", "cancel-key-deletion", arn, code=1)
        self.at.cli("kms", "create-alias", "not-an-alias", arn, code=1)
        self.at.cli("kms", "create-alias", "alias/aws/mine", arn, code=1)

    def test_stats_count_calls_since_the_store_was_made(self):
        self.at.bucket("bucket", "aws:kms", self.at.create_key())
        write_file(self.at.path("bucket", "f"), b"x")
        self.assertEqual(self.at.json("kms", "stats")["GenerateDataKey"], 1)
        self.assertIn("GenerateDataKey", self.at.cli("kms", "stats").stdout)

    def test_inspect_and_cat_find_objects_mounted_and_offline(self):
        self.at.bucket("bucket")
        os.mkdir(self.at.path("bucket", "folder"))
        write_file(self.at.path("bucket", "folder", "f"), content(1, 50_000))
        write_file(self.at.path("bucket", "empty"), b"")
        online = self.at.inspect("bucket", "folder", "f")
        for field in ("bucket", "key", "sse", "kms_key_arn", "bucket_key", "chunk_size", "size", "layers", "context"):
            self.assertIn(field, online)
        self.assertEqual(online["key"], "folder/f")
        self.assertIn("AES256", self.at.cli("inspect", self.at.path("bucket", "folder", "f")).stdout)
        self.at.cli("inspect", self.at.path("bucket", "missing"), code=5)
        self.at.unmount()
        self.assertEqual(self.at.inspect_offline("bucket/folder/f"), online)
        done = subprocess.run([COFFER, "cat", self.at.store, "bucket/folder/f"], stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout, content(1, 50_000))
        self.assertEqual(coffer("cat", self.at.store, "bucket/empty").stdout, "")
        for words in (("cat", self.at.store, "bucket/missing"), ("cat", self.at.store, "missing-bucket/f"),
                      ("inspect", self.at.store, "bucket/missing"), ("cat", self.at.folder + "/nothing", "bucket/f"),
                      ("fsck", self.at.folder + "/nothing")):
            done = coffer(*words, code=5)
            self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), words)

    def test_status_shows_the_mount_its_jobs_and_the_commit(self):
        mount = next(m for m in self.at.json("status", self.at.dir)["mounts"] if m["dir"] == self.at.dir)
        self.assertEqual((mount["store"], mount["socket"], mount["pid"], mount["poisoned"]),
                         (self.at.store, self.at.socket, self.at.pid, False))
        self.assertIsInstance(mount["jobs"], list)
        for job in mount["jobs"]:
            self.assertEqual(set(job), {"kind", "done", "total"})
        before = mount["commit"]
        self.assertRegex(before["digest"], "^[0-9a-f]{16,}$")
        self.at.bucket("bucket")
        self.at.cli("sync", self.at.dir)
        after = self.at.json("status", self.at.dir)["mounts"][0]["commit"]
        self.assertGreater(after["counter"], before["counter"])
        self.assertNotEqual(after["digest"], before["digest"])
        self.assertTrue(any(m["dir"] == self.at.dir for m in self.at.json("status")["mounts"]))
        self.assertIn(self.at.dir, self.at.cli("status").stdout)

    def test_fsck_reports_in_json_too(self):
        self.at.bucket("bucket")
        write_file(self.at.path("bucket", "f"), content(1, 100_000))
        self.at.unmount()
        self.assertIsInstance(json.loads(coffer("fsck", self.at.store, "--json").stdout), dict)

    def test_unlock_slots_are_listed(self):
        self.at.unmount()
        self.assertTrue(coffer("unlock", "list", self.at.store).stdout)
        json.loads(coffer("unlock", "list", self.at.store, "--json").stdout)

    def test_the_socket_is_found_or_named(self):
        bare = {k: v for k, v in os.environ.items() if k != "COFFER_SOCKET"}
        self.assertIn("Buckets", coffer("bucket", "list", "--json", "--socket", self.at.socket, env=bare).stdout)
        other = Scratch()
        self.addCleanup(other.close)
        other.init().mount()
        self.assertIn(self.at.dir, coffer("bucket", "list", env=bare, code=2).stderr)
        elsewhere = os.path.join(self.at.folder, "elsewhere.sock")
        self.at.remount("--admin-socket", elsewhere)
        self.assertTrue(os.path.islink(self.at.socket))
        self.at.cli("bucket", "list")
        coffer("bucket", "list", "--socket", elsewhere, "--credentials", os.path.join(self.at.store, "credentials"), env=bare)
        self.assertEqual(os.stat(elsewhere).st_mode & 0o777, 0o600)

    def test_a_store_whose_socket_path_is_too_long_names_the_remedy(self):
        deep = os.path.join(self.at.folder, "d" * 60, "e" * 60)
        os.makedirs(os.path.dirname(deep))
        coffer("init", deep)
        other = os.path.join(self.at.folder, "other")
        os.mkdir(other)
        self.assertIn("--admin-socket", coffer("mount", deep, other, code=2).stderr)
        coffer("mount", deep, other, "--admin-socket", os.path.join(self.at.folder, "a.sock"))
        coffer("unmount", other)

    def test_the_foreground_daemon_ends_with_the_mount(self):
        self.at.unmount()
        daemon = subprocess.Popen([COFFERD, self.at.store, self.at.dir], stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: self.at.mounted or daemon.poll() is not None, "the mount")
            os.mkdir(self.at.path("a-name-in-no-log"))
            coffer("unmount", self.at.dir)
            self.assertEqual(daemon.wait(timeout=20), 0)
            said = daemon.stderr.read()
            self.assertNotIn("a-name-in-no-log", said)
        finally:
            daemon.kill()
            daemon.wait()
            daemon.stderr.close()


if __name__ == "__main__":
    main()
