"""Tools of others, unmodified, on a store: the AWS CLI, boto3, AWS's JavaScript clients, s3cmd and rclone."""

import json
import os
import shutil
import socket
import unittest

from mounted import BIN, MountTest, main, run, write_file

CI = os.environ.get("CI") == "true"
SDK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "aws_sdk")


def needed(program):
    """The program of this name, Debian's before any other; without it the test fails where CI runs, and is skipped else."""
    found = next((path for path in (f"/usr/bin/{program}", shutil.which(program)) if path and os.path.exists(path)), None)
    return found or absent(f"{program} is not installed")


def absent(what):
    if CI:
        raise AssertionError(what)
    raise unittest.SkipTest(what)


class ToolTest(MountTest):
    """A store served on loopback; self.url and self.env are what tools need of it."""

    def setUp(self):
        super().setUp()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.at.remount("--listen", f"127.0.0.1:{self.port}")
        self.url = f"http://127.0.0.1:{self.port}"
        self.s3 = self.at.wire()
        self.env = dict(os.environ, AWS_ACCESS_KEY_ID=self.s3.key, AWS_SECRET_ACCESS_KEY=self.s3.secret,
                        AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true", AWS_MAX_ATTEMPTS="1",
                        AWS_CONFIG_FILE="/nowhere", AWS_SHARED_CREDENTIALS_FILE="/nowhere", NO_PROXY="127.0.0.1,localhost")
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "AWS_CA_BUNDLE", "AWS_PROFILE"):
            self.env.pop(name, None)

    def sealed_under(self, bucket):
        write_file(self.at.path(bucket, "file"), b"x")
        found = self.at.inspect(bucket, "file")
        os.unlink(self.at.path(bucket, "file"))
        return found["sse"], found["kms_key_arn"], found["bucket_key"]


class AwsCli(ToolTest):
    def aws(self, *words, code=0):
        return run([self.program, "--endpoint-url", self.url, "--output", "json", *words], code=code, env=self.env)

    def test_the_session_of_the_readme(self):  # SEED-57, SEED-79, AUD-01
        self.program = needed("aws")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.env[name]
        self.env.update(AWS_SHARED_CREDENTIALS_FILE=os.path.join(self.at.store, "credentials"), AWS_PROFILE="coffer")
        answer = lambda *words: json.loads(self.aws(*words).stdout or "null")
        key = answer("kms", "create-key", "--description", "photos")["KeyMetadata"]["Arn"]
        record = [r for r in self.at.json("audit", "export")["Records"] if r["eventName"] == "CreateKey"][-1]
        self.assertEqual(record["sourceIPAddress"], "127.0.0.1")
        self.assertIn("aws-cli", record["userAgent"])
        answer("kms", "create-alias", "--alias-name", "alias/photos", "--target-key-id", key)
        self.aws("s3", "mb", "s3://photos")
        self.assertEqual(answer("s3api", "get-bucket-encryption", "--bucket", "photos")["ServerSideEncryptionConfiguration"],
                         {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/photos"},
                "BucketKeyEnabled": True}
        self.aws("s3api", "put-bucket-encryption", "--bucket", "photos", "--server-side-encryption-configuration",
                 json.dumps({"Rules": [rule]}))
        got = answer("s3api", "get-bucket-encryption", "--bucket", "photos")
        self.assertEqual(got, {"ServerSideEncryptionConfiguration": {"Rules": [rule]}})
        self.assertEqual(self.sealed_under("photos"), ("aws:kms", key, True))
        self.aws("kms", "enable-key-rotation", "--key-id", key)
        self.assertTrue(answer("kms", "get-key-rotation-status", "--key-id", key)["KeyRotationEnabled"])
        self.aws("s3api", "delete-bucket-encryption", "--bucket", "photos")
        self.assertEqual(self.sealed_under("photos")[0], "AES256")
        self.assertIn("photos", self.aws("s3", "ls").stdout)
        self.aws("s3", "rb", "s3://photos")
        self.assertEqual(os.listdir(self.at.dir), [])

    def test_refusals_reach_the_person_in_s3s_words(self):
        self.program = needed("aws")
        done = self.aws("s3api", "get-bucket-encryption", "--bucket", "missing-bucket", code=254)
        self.assertIn("(NoSuchBucket)", done.stderr)
        done = self.aws("kms", "describe-key", "--key-id", "alias/none", code=254)
        self.assertIn("(NotFoundException)", done.stderr)


BOTO = r"""
import base64, http.client, io, json, os, socket, sys
import boto3
from botocore.awsrequest import AWSResponse

class Raw(io.BytesIO):
    def stream(self, *_, **__):
        yield self.read()

class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["COFFER_SOCKET"])

def over_socket(request, **_):
    connection = Unix("localhost")
    connection.request(request.method, request.url.split("localhost", 1)[1] or "/", request.body, dict(request.headers))
    answer = connection.getresponse()
    return AWSResponse(request.url, answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), Raw(answer.read()))

endpoint, transport = sys.argv[1], sys.argv[2]
s3, kms = (boto3.client(name, endpoint_url=endpoint) for name in ("s3", "kms"))
if transport == "socket":
    for client in (s3, kms):
        client.meta.events.register("before-send.*", over_socket)
rule = lambda bucket: s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
out = {}
key = kms.create_key(Description="boto3")["KeyMetadata"]["Arn"]
made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"a": "b"})
out["opened"] = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"] == made["Plaintext"]
try:
    kms.decrypt(CiphertextBlob=made["CiphertextBlob"])
except kms.exceptions.InvalidCiphertextException as error:
    out["wrong_context"] = error.response["Error"]["Code"]
s3.create_bucket(Bucket="boto")
out["fresh"] = rule("boto")
s3.put_bucket_encryption(Bucket="boto", ServerSideEncryptionConfiguration={"Rules": [
    {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}]})
out["put"], out["key"] = rule("boto"), key
try:
    s3.put_bucket_encryption(Bucket="boto", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": key}}]})
except s3.exceptions.ClientError as error:
    out["refused"] = error.response["Error"]["Code"]
s3.delete_bucket_encryption(Bucket="boto")
out["deleted"] = rule("boto")
out["listed"] = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
s3.delete_bucket(Bucket="boto")
print(json.dumps(out))
"""


class Boto3(ToolTest):
    def test_over_loopback_and_over_the_socket(self):  # SEED-57, SEED-79
        if run(["/usr/bin/python3", "-c", "import boto3"], code=None).returncode:
            absent("python3-boto3 is not installed")
        for transport, url in (("loopback", self.url), ("socket", "http://localhost")):
            with self.subTest(transport):
                env = dict(self.env, COFFER_SOCKET=self.at.socket)
                out = json.loads(run(["/usr/bin/python3", "-c", BOTO, url, transport], env=env).stdout)
                plain = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
                self.assertEqual((out["opened"], out["wrong_context"], out["refused"]),
                                 (True, "InvalidCiphertextException", "InvalidArgument"))
                self.assertEqual((out["fresh"], out["deleted"], out["listed"]), (plain, plain, ["boto"]))
                self.assertEqual(out["put"], {"ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": out["key"]}, "BucketKeyEnabled": True})


class JavaScript(ToolTest):
    def sdk(self):
        """The folder with AWS's clients, installed once per build from the lock file."""
        npm = needed("npm")
        folder = os.path.join(BIN, "aws_sdk")
        if not os.path.exists(os.path.join(folder, "installed")):
            os.makedirs(folder, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(SDK, name), folder)
            done = run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder], code=None, timeout=300)
            if done.returncode:
                absent("npm cannot install AWS's clients: " + (done.stderr.strip().splitlines() or ["?"])[0])
            write_file(os.path.join(folder, "installed"), b"")
        return folder

    def test_general_purpose_and_directory_buckets_and_the_kms(self):  # SEED-69, SEED-79, DIR-19
        node = needed("node")
        env = dict(self.env, COFFER_AWS_SDK=self.sdk())
        done = run([node, os.path.join(SDK, "calls.mjs"), self.url, "general"], env=env)
        out = json.loads(done.stdout.splitlines()[-1])
        by = lambda sse, **key: {"SSEAlgorithm": sse, **key}
        key = out["key"]
        rule = lambda by_default, bucket_key: {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": bucket_key}
        self.assertEqual((out["opened"], out["wrongContext"]), (True, "400 InvalidCiphertextException"))
        self.assertEqual((out["fresh"], out["reset"]), (rule(by("AES256"), False), rule(by("AES256"), False)))
        self.assertEqual(out["general"], rule(by("aws:kms", KMSMasterKeyID=key), True))
        self.assertEqual((out["badKey"], out["missing"]), ("400 InvalidArgument", "404 NoSuchBucket"))
        directory = "sdk--use1-az4--x-s3"
        self.assertEqual(out["session"], "AES256")
        self.assertEqual(out["directory"], rule(by("aws:kms", KMSMasterKeyID=key), True))
        self.assertEqual(out["pinned"], "400 InvalidRequest")
        self.assertEqual((out["listed"], out["directories"]), (["general"], [directory]))
        self.assertEqual(self.sealed_under(directory), ("aws:kms", key, True))


class Others(ToolTest):
    def test_s3cmd_makes_lists_and_removes_buckets(self):  # SEED-79
        program = needed("s3cmd")
        config = os.path.join(self.at.folder, "s3cfg")
        write_file(config, (f"[default]\naccess_key = {self.s3.key}\nsecret_key = {self.s3.secret}\nhost_base = 127.0.0.1:{self.port}\n"
                            f"host_bucket = 127.0.0.1:{self.port}\nuse_https = False\nbucket_location = us-east-1\n").encode())
        s3cmd = lambda *words: run([program, "-c", config, *words], env=self.env).stdout
        s3cmd("mb", "s3://by-s3cmd")
        self.assertEqual(os.listdir(self.at.dir), ["by-s3cmd"])
        self.assertIn("s3://by-s3cmd", s3cmd("ls"))
        s3cmd("rb", "s3://by-s3cmd")
        self.assertEqual(os.listdir(self.at.dir), [])

    def test_rclone_makes_lists_and_removes_buckets(self):  # SEED-79
        program = needed("rclone")
        env = dict(self.env, RCLONE_CONFIG_STORE_TYPE="s3", RCLONE_CONFIG_STORE_PROVIDER="Other", RCLONE_CONFIG="/nowhere",
                   RCLONE_CONFIG_STORE_ENDPOINT=self.url, RCLONE_CONFIG_STORE_REGION="us-east-1",
                   RCLONE_CONFIG_STORE_ACCESS_KEY_ID=self.s3.key, RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY=self.s3.secret)
        rclone = lambda *words: run([program, "--retries", "1", "--low-level-retries", "1", *words], env=env).stdout
        rclone("mkdir", "store:by-rclone")
        self.assertEqual(os.listdir(self.at.dir), ["by-rclone"])
        self.assertIn("by-rclone", rclone("lsd", "store:"))
        rclone("rmdir", "store:by-rclone")
        self.assertEqual(os.listdir(self.at.dir), [])


if __name__ == "__main__":
    main()
