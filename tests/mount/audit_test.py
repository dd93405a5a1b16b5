"""The audit trail over a real mount: which call leaves which record, that none is lost, and that none can be changed unseen."""

import base64
import json
import os
import subprocess

from mounted import COFFER, MountTest, coffer, content, flip, main, read_file, rule_xml, wait_for, write_file

COUNTED = ("GenerateDataKey", "Decrypt", "Encrypt", "ReEncrypt")


class Trail(MountTest):
    def setUp(self):
        super().setUp()
        self.s3 = self.at.wire()

    def records(self, name=None, source=None):
        found = self.at.json("audit", "export")["Records"]
        return [r for r in found if name in (None, r["eventName"]) and source in (None, r["eventSource"])]

    def offline(self, *arguments, code=0):
        return coffer("audit", *arguments, self.at.store, code=code)

    def last(self, name):
        return self.records(name)[-1]

    def trail_files(self):
        folder = os.path.join(self.at.store, "audit")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]

    # --- what is recorded ---

    def test_a_call_of_the_wire_has_cloud_trails_shape(self):  # AUD-01
        key = self.at.create_key()
        context = {"purpose": "a test", "aws:s3:arn": "arn:aws:s3:::b/secret name"}
        status, answer = self.s3.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=context)
        self.assertEqual(status, 200)
        record = self.last("GenerateDataKey")
        self.assertEqual(record["userIdentity"], {
            "type": "Root", "principalId": "000000000000", "arn": "arn:aws:iam::000000000000:root",
            "accountId": "000000000000", "accessKeyId": self.s3.key})
        self.assertEqual(record["eventSource"], "kms.amazonaws.com")
        self.assertEqual(record["requestParameters"], {"keyId": key, "keySpec": "AES_256", "encryptionContext": context})
        self.assertIsNone(record["responseElements"])
        self.assertIs(record["readOnly"], True)
        self.assertEqual(record["resources"], [{"accountId": "000000000000", "type": "AWS::KMS::Key", "ARN": key}])
        self.assertEqual((record["awsRegion"], record["eventType"], record["recipientAccountId"]),
                         ("us-east-1", "AwsApiCall", "000000000000"))
        self.assertEqual(record["additionalEventData"]["peerUid"], os.getuid())
        self.assertRegex(record["eventTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertRegex(record["eventVersion"], r"^1\.\d+$")
        self.assertEqual((record["sourceIPAddress"], record["userAgent"]), ("local", ""))  # over TCP: tools_test
        self.assertNotIn("errorCode", record)
        self.assertNotIn("errorMessage", record)
        self.assertEqual(len({r["eventID"] for r in self.records()}), len(self.records()))

    def test_every_kms_call_of_the_mount_leaves_one_record(self):  # AUD-02, BK-08
        key = self.at.create_key()
        self.at.bucket("each", "aws:kms", key)
        self.at.bucket("once", "aws:kms", key, bucket_key=True)
        before = len([r for r in self.records() if r["eventName"] in COUNTED])
        calls = sum(self.at.calls())
        for i in range(5):
            write_file(self.at.path("each", f"object {i}"), content(i, 5000))
            write_file(self.at.path("once", f"object {i}"), content(i, 5000))
        self.at.remount()
        for bucket in ("each", "once"):
            for i in range(5):
                self.assertEqual(read_file(self.at.path(bucket, f"object {i}")), content(i, 5000))
        found = [r for r in self.records() if r["eventName"] in COUNTED][before:]
        self.assertEqual(len(found), sum(self.at.calls()) - calls)
        for record in found:
            self.assertEqual(record["userIdentity"]["invokedBy"], "AWS Internal")
            self.assertEqual((record["sourceIPAddress"], record["userAgent"]), ("AWS Internal", "AWS Internal"))
            self.assertEqual(record["resources"][0]["ARN"], key)
        arns = [r["requestParameters"]["encryptionContext"]["aws:s3:arn"] for r in found]
        for i in range(5):  # one to make its key, one to open it
            self.assertEqual(arns.count(f"arn:aws:s3:::each/object {i}"), 2)
        self.assertEqual(arns.count("arn:aws:s3:::once"), len(arns) - 10)
        self.assertLess(len(arns) - 10, 10)

    def test_no_plaintext_and_no_ciphertext_is_recorded(self):  # AUD-03
        key = self.at.create_key()
        plain = base64.b64encode(b"a plaintext nobody may read").decode()
        _, sealed = self.s3.kms("Encrypt", KeyId=key, Plaintext=plain, EncryptionContext={"seen": "in clear"})
        blob = sealed["CiphertextBlob"]
        self.s3.kms("Decrypt", CiphertextBlob=blob, EncryptionContext={"seen": "in clear"})
        self.s3.kms("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=key, SourceEncryptionContext={"seen": "in clear"})
        _, made = self.s3.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256")
        _, random = self.s3.kms("GenerateRandom", NumberOfBytes=32)
        text = self.at.cli("audit", "export").stdout + self.at.cli("audit", "show").stdout
        for secret in (plain, blob, made["Plaintext"], made["CiphertextBlob"], random["Plaintext"], self.s3.secret):
            self.assertNotIn(secret, text)
        self.assertEqual(self.last("Decrypt")["requestParameters"]["encryptionContext"], {"seen": "in clear"})
        self.assertEqual(self.last("Encrypt")["resources"][0]["ARN"], key)

    def test_failed_and_denied_calls_are_recorded(self):  # AUD-04
        key = self.at.create_key()
        self.at.bucket("bucket", "aws:kms", key)
        self.at.cli("kms", "disable-key", key)
        answer = self.s3.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256")[1]
        refused = self.last("GenerateDataKey")
        self.assertEqual((refused["errorCode"], refused["errorMessage"]), ("DisabledException", answer["message"]))
        with self.assertRaises(OSError):
            write_file(self.at.path("bucket", "refused"), b"x")
        self.assertEqual(self.last("GenerateDataKey")["requestParameters"]["encryptionContext"],
                         {"aws:s3:arn": "arn:aws:s3:::bucket/refused"})
        self.assertEqual(self.last("GenerateDataKey")["errorCode"], "DisabledException")
        self.s3.get_encryption("nobody")
        missing = self.last("GetBucketEncryption")
        self.assertEqual((missing["errorCode"], missing["requestParameters"]["bucketName"]), ("NoSuchBucket", "nobody"))
        self.s3.get_encryption("bucket", secret="not the secret")
        denied = self.last("GetBucketEncryption")
        self.assertEqual((denied["errorCode"], denied["userIdentity"]), ("SignatureDoesNotMatch", {"type": "Unknown"}))

    def test_configuration_is_a_management_event_with_its_rule(self):  # AUD-05
        key = self.at.create_key()
        self.at.bucket("bucket")
        self.assertEqual(self.s3.put_encryption("bucket", rule_xml("aws:kms", key, True)).status, 200)
        put = self.last("PutBucketEncryption")
        self.assertEqual((put["eventSource"], put["readOnly"], put["managementEvent"]), ("s3.amazonaws.com", False, True))
        parameters = put["requestParameters"]
        self.assertEqual((parameters["bucketName"], parameters["Host"], parameters["encryption"]), ("bucket", "localhost", ""))
        self.assertEqual(parameters["ServerSideEncryptionConfiguration"]["Rule"], {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BucketKeyEnabled": True})
        self.assertEqual(put["resources"][0]["ARN"], "arn:aws:s3:::bucket")
        self.assertEqual(self.s3.request("DELETE", "/bucket", {"encryption": ""}).status, 204)
        self.assertEqual(self.last("DeleteBucketEncryption")["requestParameters"]["bucketName"], "bucket")

    def test_requests_of_nobody_known_cannot_push_the_history_out(self):
        for _ in range(200):
            self.s3.get_encryption("bucket", secret="not the secret")
        self.assertEqual(len([r for r in self.records() if r["userIdentity"]["type"] == "Unknown"]), 60)

    def test_reading_the_trail_does_not_make_it_grow(self):
        count = len(self.records())
        for _ in range(3):
            self.at.cli("audit", "verify")
            self.assertEqual(len(self.records()), count)

    # --- how it is read ---

    def follow(self, verb="export"):
        """A program that follows the trail, and has shown what is in it."""
        count = len(self.records())
        process = subprocess.Popen([COFFER, "audit", verb, "--follow", "--socket", self.at.socket],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        for _ in range(count):
            process.stdout.readline()
        return process

    def test_follow_shows_a_call_as_it_is_made(self):
        process = self.follow()
        key = self.at.create_key()
        record = json.loads(process.stdout.readline())
        self.assertEqual(record["eventName"], "CreateKey")
        self.assertEqual(record["responseElements"]["keyMetadata"]["arn"], key)

    def test_show_follows_too(self):
        process = self.follow("show")
        self.at.create_key()
        self.assertIn("CreateKey", process.stdout.readline())

    def test_follow_goes_on_in_the_next_file(self):
        process = self.follow()
        key = self.at.create_key()
        self.assertEqual(json.loads(process.stdout.readline())["eventName"], "CreateKey")
        # Refused for their number, and recorded whole: some 50 KB each, of files of 16 MiB.
        tags = [{"TagKey": f"{i:04}" + 100 * "k", "TagValue": ""} for i in range(400)]
        made = 0
        while len(self.trail_files()) < 2:
            self.assertEqual(self.s3.kms("TagResource", KeyId=key, Tags=tags)[0], 400)
            made += 1
        last = self.at.create_key()
        seen = [json.loads(process.stdout.readline()) for _ in range(made + 1)]
        self.assertEqual([r["eventName"] for r in seen], made * ["TagResource"] + ["CreateKey"])
        self.assertEqual(seen[-1]["responseElements"]["keyMetadata"]["arn"], last)
        self.assertGreater(made, 100)
        self.at.cli("audit", "verify")

    def test_show_has_a_line_for_each_record(self):
        self.at.create_key()
        lines = self.at.cli("audit", "show").stdout.splitlines()
        self.assertEqual(len(lines), len(self.records()))
        self.assertRegex(lines[-1], r" kms.amazonaws.com CreateKey arn:aws:iam::000000000000:root")
        self.assertEqual(self.at.cli("audit", "show", "--last", "1").stdout.splitlines(), lines[-1:])

    def test_an_unmounted_store_shows_the_same(self):
        self.at.create_key()
        mounted = self.at.cli("audit", "export").stdout.splitlines()
        coffer("audit", "show", self.at.store, code=1)  # in use
        self.at.unmount()
        offline = self.offline("export").stdout.splitlines()
        self.assertEqual(offline[:len(mounted)], mounted)
        names = [json.loads(line)["eventName"] for line in offline]
        self.assertEqual((names[0], names[-1]), ("Mount", "Unmount"))
        verdict = json.loads(self.offline("verify", "--json").stdout)
        self.assertEqual((verdict["records"], verdict["first_record"], verdict["damage"]), (len(offline), 1, []))

    # --- what it survives ---

    def test_a_kill_takes_no_answered_call_back(self):
        for i in range(20):
            self.s3.kms("CreateKey", Description=f"key {i}")
        self.at.kill()
        self.offline("verify")
        self.at.mount()
        told = [r["requestParameters"]["description"] for r in self.records("CreateKey")]
        self.assertEqual(told, [f"key {i}" for i in range(20)])
        self.at.cli("audit", "verify")

    def test_damage_is_found_and_the_trail_goes_on(self):
        self.at.create_key()
        self.at.unmount()
        flip(self.trail_files()[0], 5000)
        self.assertIn("damaged places", self.offline("verify", code=3).stderr)
        self.at.mount()
        self.at.create_key()
        self.at.cli("audit", "verify", code=3)
        shown = self.at.cli("audit", "export", code=3).stdout.splitlines()
        self.assertEqual(json.loads(shown[-1])["eventName"], "CreateKey")
        self.at.remount()
        self.assertEqual(len(self.trail_files()), 2)

    def test_a_trail_cut_short_or_taken_away_is_found(self):
        self.at.create_key()
        self.at.unmount()
        (file,) = self.trail_files()
        whole = read_file(file)
        for size in (0, 4096, len(whole) - 256, len(whole) - 1):
            write_file(file, whole[:size])
            self.offline("verify", code=3)
        os.unlink(file)
        self.offline("verify", code=3)
        write_file(file, whole)
        self.offline("verify")

    def test_another_root_key_keeps_the_trail(self):
        self.at.create_key()
        self.at.unmount()
        before = self.offline("export").stdout
        new = os.path.join(self.at.folder, "new.key")
        coffer("unlock", "rekey", self.at.store, "--new-key-file", new)
        self.assertEqual(coffer("audit", "export", self.at.store, "--key-file", new).stdout, before)
        self.at.unlock = ("--key-file", new)
        self.at.mount()
        self.at.create_key()
        self.assertTrue(self.at.cli("audit", "export").stdout.startswith(before))
        self.assertEqual(len(self.trail_files()), 2)
        self.at.cli("audit", "verify")


if __name__ == "__main__":
    main()
