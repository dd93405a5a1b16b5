"""Users, accounts and policies: who may use which bucket and key, over the wire and through a mount."""

import errno
import json
import os
import subprocess
import sys

from mounted import MountTest, Wire, content, main, read_file, rule_xml, write_file

OWNER = "000000000000"
OTHER = "111122223333"
PUT_ENCRYPTION = "s3:PutEncryptionConfiguration"


def arn(name, account=OWNER):
    return f"arn:aws:iam::{account}:user/{name}"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **rest):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **rest}


def deny(action, resource="*", **rest):
    return {"Effect": "Deny", "Action": action, "Resource": resource, **rest}


def to(*arns):
    return {"AWS": list(arns)}


OWNERS_KEY = allow("kms:*", Principal=to(f"arn:aws:iam::{OWNER}:root"))


class Policies(MountTest):
    def file(self, name, text):
        path = os.path.join(self.at.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def user(self, name, account=OWNER):
        """A user and a client that signs with its key."""
        said = self.at.cli("user", "create", name, "--account", account).stdout
        path = self.file(f"{name}.{account}", said)
        wire = Wire(self.at.socket, path)
        wire.credentials = path
        return wire

    def user_policy(self, name, *statements, account=OWNER):
        self.at.cli("policy", "put", self.file("user-policy", policy(*statements)), "--user", name, "--account", account)

    def bucket_policy(self, bucket, *statements):
        self.at.cli("policy", "put", self.file("bucket-policy", policy(*statements)), "--bucket", bucket)

    def key_policy(self, key, *statements):
        self.at.cli("kms", "put-key-policy", key, self.file("key-policy", policy(*statements)))

    def assertDenied(self, answer, action=None):
        self.assertEqual((answer.status, answer.code), (403, "AccessDenied"), answer.body)
        if action:
            self.assertIn(action, answer.message)

    # --- users ---
    def test_a_user_is_made_listed_and_deleted(self):
        ann = self.user("ann")
        self.assertEqual(self.at.cli("user", "list").stdout, f"ann\t{arn('ann')}\n")
        self.assertEqual(self.at.cli("user", "list-keys", "ann").stdout, f"{ann.key}\tActive\n")
        self.at.cli("user", "create", "ann", code=1)
        self.assertEqual(self.at.cli("user", "list", "--account", OTHER).stdout, "")
        shown = json.loads(self.at.cli("user", "create-key", "ann", "--json").stdout)
        self.assertEqual(shown["AccessKey"]["Status"], "Active")
        self.at.cli("user", "delete-key", "ann", shown["AccessKey"]["AccessKeyId"])
        self.assertDenied(ann.get_encryption(self.make("bucket")))
        self.at.cli("user", "delete", "ann")
        self.assertEqual(self.at.cli("user", "list").stdout, "")
        self.assertEqual(ann.get_encryption("bucket").code, "InvalidAccessKeyId")
        self.at.cli("user", "delete", "ann", code=5)

    def test_a_buckets_policy_outlives_its_rules_and_goes_with_the_bucket(self):
        self.make("bucket")
        text = policy(deny("s3:DeleteBucket", "arn:aws:s3:::bucket", Principal="*"))
        self.at.cli("policy", "put", self.file("p", text), "--bucket", "bucket")
        kept = lambda: self.at.cli("policy", "get", "--bucket", "bucket").stdout.strip()
        self.at.put_rule("bucket", "aws:kms", self.at.create_key(), bucket_key=True)
        self.assertEqual(kept(), text)
        self.at.cli("encryption", "delete", "bucket")
        self.assertEqual(kept(), text)
        self.at.remount()
        self.assertEqual(kept(), text)
        os.rmdir(self.at.path("bucket"))
        self.make("bucket")
        self.at.cli("policy", "get", "--bucket", "bucket", code=5)

    def test_the_program_shows_names_and_deletes_policies(self):
        ann = self.user("ann")
        names = lambda: self.at.cli("policy", "list", "--user", "ann").stdout.split()
        get = lambda *what, **rest: self.at.cli("policy", "get", *what, **rest).stdout.strip()
        delete = lambda *what: self.at.cli("policy", "delete", *what)
        self.assertEqual(names(), [])
        texts = {"default": policy(allow("s3:ListAllMyBuckets")), "more": policy(allow("kms:ListKeys"))}
        self.at.cli("policy", "put", self.file("p", texts["default"]), "--user", "ann")
        self.at.cli("policy", "put", self.file("p", texts["more"]), "--user", "ann", "--name", "more")
        self.assertEqual(names(), ["default", "more"])
        self.assertEqual(self.at.json("policy", "list", "--user", "ann"), {"PolicyNames": ["default", "more"]})
        self.assertEqual((get("--user", "ann"), get("--user", "ann", "--name", "more")), (texts["default"], texts["more"]))
        self.assertEqual((ann.request("GET", "/").status, ann.kms("ListKeys")[0]), (200, 200))
        delete("--user", "ann", "--name", "more")
        self.assertEqual((names(), ann.request("GET", "/").status, ann.kms("ListKeys")[0]), (["default"], 200, 400))
        delete("--user", "ann")
        self.assertEqual((names(), ann.request("GET", "/").status), ([], 403))
        get("--user", "ann", code=5)
        self.make("bucket")
        text = policy(deny("s3:DeleteBucket", "arn:aws:s3:::bucket", Principal="*"))
        self.at.cli("policy", "put", self.file("p", text), "--bucket", "bucket")
        self.assertEqual(get("--bucket", "bucket"), text)
        delete("--bucket", "bucket")
        get("--bucket", "bucket", code=5)
        for words in (("get",), ("get", "--user", "ann", "--bucket", "bucket"), ("list",)):
            self.at.cli("policy", *words, code=2)

    def test_conditions_see_every_kind_of_call(self):
        self.make("bucket")
        ann = self.user("ann")
        body = b"{}"

        def coffer(operation):
            return ann.request("POST", "/", {}, body, service="coffer", headers={"x-amz-target": f"Coffer.{operation}"}).status

        def answers():
            return (coffer("Status"), coffer("ListUsers"), ann.kms("ListKeys")[0], ann.kms("CreateKey")[0],
                    ann.request("GET", "/").status, ann.get_encryption("bucket").status)

        actions = ["coffer:*", "iam:*", "kms:*", "s3:*"]
        here = {"StringEquals": {"aws:RequestedRegion": "us-east-1", "aws:ResourceAccount": OWNER},
                "Bool": {"aws:SecureTransport": "true", "aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false"}}
        self.user_policy("ann", allow(actions, Condition=here))
        self.assertEqual(answers(), 6 * (200,))
        self.user_policy("ann", allow(actions), deny("*", Condition=here))
        self.assertEqual(answers(), (403, 403, 400, 400, 403, 403))

    def test_old_presigned_urls_can_be_denied(self):
        self.make("bucket")
        self.bucket_policy("bucket", deny("s3:*", "arn:aws:s3:::bucket", Principal="*", Condition={
            "NumericGreaterThan": {"s3:signatureAge": "60000"}, "StringEquals": {"s3:authType": "REST-QUERY-STRING"}}))
        get = lambda ago: self.at.wire().presigned("GET", "/bucket", {"encryption": ""}, ago=ago, expires=3600)
        self.assertEqual(get(0).status, 200)
        self.assertDenied(get(120), "explicit deny")

    def make(self, bucket):
        self.at.bucket(bucket)
        return bucket

    def test_users_keys_and_policies_outlive_a_restart(self):
        ann = self.user("ann")
        self.user_policy("ann", allow("s3:GetEncryptionConfiguration"))
        self.make("bucket")
        self.bucket_policy("bucket", deny("s3:DeleteBucket", "arn:aws:s3:::bucket", Principal="*"))
        key = self.at.create_key()
        self.key_policy(key, OWNERS_KEY, deny("kms:Encrypt", Principal=to(arn("ann"))))
        self.at.remount()
        self.assertEqual(ann.get_encryption("bucket").status, 200)
        self.assertDenied(self.at.wire().request("DELETE", "/bucket"), "s3:DeleteBucket")
        self.assertIn("kms:Encrypt", self.at.cli("kms", "get-key-policy", key).stdout)
        self.at.cli("policy", "delete", "--bucket", "bucket")

    def test_no_user_may_make_users_unless_a_policy_says_so(self):
        ann = self.user("ann")
        self.at.cli("user", "create", "bob", "--credentials", ann.credentials, code=4)
        self.user_policy("ann", allow("iam:*", f"arn:aws:iam::{OWNER}:user/*"))
        self.at.cli("user", "create", "bob", "--credentials", ann.credentials)
        self.at.cli("user", "create", "eve", "--account", OTHER, "--credentials", ann.credentials, code=4)

    # --- buckets ---
    def test_the_owner_may_and_a_user_needs_a_policy(self):  # SEED-30, SEED-31
        self.make("bucket")
        body = rule_xml("AES256")
        self.assertEqual(self.at.wire().put_encryption("bucket", body).status, 200)
        ann = self.user("ann")
        self.assertDenied(ann.put_encryption("bucket", body), PUT_ENCRYPTION)
        self.user_policy("ann", allow(PUT_ENCRYPTION, "arn:aws:s3:::bucket"))
        self.assertEqual(ann.put_encryption("bucket", body).status, 200)
        self.assertEqual(ann.request("DELETE", "/bucket", {"encryption": ""}).status, 204)
        self.assertDenied(ann.get_encryption("bucket"), "s3:GetEncryptionConfiguration")
        self.make("second")
        self.assertDenied(ann.put_encryption("second", body), PUT_ENCRYPTION)
        self.bucket_policy("bucket", deny("s3:*", "arn:aws:s3:::bucket", Principal=to(arn("ann"))))
        self.assertDenied(ann.put_encryption("bucket", body), "explicit deny")

    def test_another_account_needs_both(self):  # SEED-32
        self.make("bucket")
        body = rule_xml("AES256")
        eve = self.user("eve", OTHER)
        grant = allow(PUT_ENCRYPTION, "arn:aws:s3:::bucket", Principal=to(arn("eve", OTHER)))
        self.assertDenied(eve.put_encryption("bucket", body))
        self.bucket_policy("bucket", grant)
        self.assertDenied(eve.put_encryption("bucket", body))
        self.user_policy("eve", allow("s3:*"), account=OTHER)
        self.assertEqual(eve.put_encryption("bucket", body).status, 200)
        self.at.cli("policy", "delete", "--bucket", "bucket")
        self.assertDenied(eve.put_encryption("bucket", body))
        root = self.user("root", OTHER)
        self.assertDenied(root.put_encryption("bucket", body))

    def test_a_directory_bucket_heeds_identity_policies_of_its_own_account_alone(self):  # SEED-34..36
        name = "dir--usw2-az1--x-s3"
        self.make(name)
        body = rule_xml("AES256")
        ann = self.user("ann")
        resource = f"arn:aws:s3express:us-east-1:{OWNER}:bucket/{name}"
        action = "s3express:PutEncryptionConfiguration"
        put = lambda wire: wire.put_encryption(name, body, service="s3express")
        self.bucket_policy(name, allow(action, resource, Principal=to(arn("ann"))))
        self.assertDenied(put(ann), action)
        self.user_policy("ann", allow(PUT_ENCRYPTION))
        self.assertDenied(put(ann), action)
        self.user_policy("ann", allow(action, resource))
        self.assertEqual(put(ann).status, 200)
        eve = self.user("eve", OTHER)
        self.user_policy("eve", allow("*"), account=OTHER)
        self.bucket_policy(name, allow("s3express:*", resource, Principal="*"))
        self.assertDenied(put(eve))

    def test_a_bucket_policy_is_read_strictly_and_never_locks_the_owner_out(self):
        self.make("bucket")
        wire = self.at.wire()
        missing = wire.request("GET", "/bucket", {"policy": ""})
        self.assertEqual((missing.status, missing.code), (404, "NoSuchBucketPolicy"))
        for text in ("{", "{}", policy(allow("s3:*", "arn:aws:s3:::second", Principal="*")),
                     policy(allow("s3:*", "arn:aws:s3:::bucket", Principal="*", Condition={"StringIs": {"s3:prefix": "a"}}))):
            refused = wire.request("PUT", "/bucket", {"policy": ""}, text.encode())
            self.assertEqual((refused.status, refused.code), (400, "MalformedPolicy"), text)
        text = policy(deny("s3:*", "arn:aws:s3:::bucket", Principal="*"))
        self.assertEqual(wire.request("PUT", "/bucket", {"policy": ""}, text.encode()).status, 204)
        self.assertEqual(wire.request("GET", "/bucket", {"policy": ""}).body.decode(), text)
        self.assertDenied(wire.get_encryption("bucket"))
        self.assertEqual(wire.request("DELETE", "/bucket", {"policy": ""}).status, 204)
        self.assertEqual(wire.get_encryption("bucket").status, 200)

    def test_a_new_bucket_has_no_policy_of_one_before_it(self):
        self.make("bucket")
        self.bucket_policy("bucket", deny("s3:Get*", "arn:aws:s3:::bucket", Principal="*"))
        os.rmdir(self.at.path("bucket"))
        self.make("bucket")
        self.assertEqual(self.at.wire().get_encryption("bucket").status, 200)

    # --- keys ---
    def test_a_key_has_its_default_policy_and_takes_another_that_keeps_its_maker_in(self):  # KMS-26, KMS-44, KMS-45
        key = self.at.create_key()
        default = json.loads(self.at.cli("kms", "get-key-policy", key).stdout)
        self.assertEqual(default, {
            "Version": "2012-10-17", "Id": "key-default-1", "Statement": [{
                "Sid": "Enable IAM User Permissions", "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"}, "Action": "kms:*", "Resource": "*"}]})
        wire = self.at.wire()
        self.assertEqual(wire.kms("ListKeyPolicies", KeyId=key), (200, {"PolicyNames": ["default"], "Truncated": False}))
        shut = policy(allow("kms:*", Principal=to(arn("ann"))))
        status, error = wire.kms("PutKeyPolicy", KeyId=key, PolicyName="default", Policy=shut)
        self.assertEqual((status, error["__type"]), (400, "MalformedPolicyDocumentException"))
        self.assertEqual(wire.kms("PutKeyPolicy", KeyId=key, PolicyName="other", Policy=shut)[1]["__type"], "NotFoundException")
        self.assertEqual(wire.kms("PutKeyPolicy", KeyId=key, Policy=shut, BypassPolicyLockoutSafetyCheck=True)[0], 200)
        status, error = wire.kms("DescribeKey", KeyId=key)
        self.assertEqual((status, error["__type"]), (400, "AccessDeniedException"))

    def test_grants_add_and_end(self):  # KMS-42
        key = self.at.create_key()
        owner, ann = self.at.wire(), self.user("ann")
        generate = lambda **context: ann.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=context)[0]
        self.assertEqual(generate(a="1"), 400)
        status, grant = owner.kms("CreateGrant", KeyId=key, GranteePrincipal=arn("ann"), Operations=["GenerateDataKey"],
                                  Constraints={"EncryptionContextSubset": {"a": "1"}}, Name="for ann")
        self.assertEqual(status, 200)
        self.assertEqual(generate(a="1", b="2"), 200)
        self.assertEqual(generate(b="2"), 400)
        self.assertEqual(ann.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext={"a": "1"},
                                 GrantTokens=[grant["GrantToken"]])[0], 200)
        again = owner.kms("CreateGrant", KeyId=key, GranteePrincipal=arn("ann"), Operations=["GenerateDataKey"],
                          Constraints={"EncryptionContextSubset": {"a": "1"}}, Name="for ann")[1]
        self.assertEqual(again["GrantId"], grant["GrantId"])
        listed = owner.kms("ListGrants", KeyId=key)[1]["Grants"]
        self.assertEqual([(g["GrantId"], g["Operations"]) for g in listed], [(grant["GrantId"], ["GenerateDataKey"])])
        self.assertEqual(self.at.cli("kms", "list-grants", key).stdout, f"{grant['GrantId']}\t{arn('ann')}\n")
        self.assertEqual([g["Name"] for g in self.at.json("kms", "list-grants", key)["Grants"]], ["for ann"])
        self.assertEqual(owner.kms("RetireGrant")[1]["message"], "Grant token OR (grant ID, key ID) must be specified")
        self.assertEqual(ann.kms("RetireGrant", GrantToken=grant["GrantToken"])[0], 400)
        self.assertEqual(owner.kms("RevokeGrant", KeyId=key, GrantId=grant["GrantId"])[0], 200)
        self.assertEqual(generate(a="1"), 400)

    def test_a_directory_bucket_tries_the_key_as_the_caller(self):  # SEED-38, KMS-34
        name = "dir--usw2-az1--x-s3"
        self.make(name)
        key = self.at.create_key()
        ann = self.user("ann")
        put = lambda: ann.put_encryption(name, rule_xml("aws:kms", key), service="s3express")
        self.user_policy("ann", allow("s3express:*"), allow("kms:GenerateDataKey"))
        self.assertDenied(put(), "kms:Decrypt")
        self.assertEqual(self.at.wire().get_encryption(name, service="s3express").find("SSEAlgorithm"), "AES256")
        refused = [r for r in self.at.json("audit", "export")["Records"] if r["eventName"] == "Decrypt"][-1]
        self.assertEqual((refused["errorCode"], refused["userIdentity"]["arn"]), ("AccessDenied", arn("ann")))
        self.user_policy("ann", allow("s3express:*"), allow("kms:*"))
        self.assertEqual(put().status, 200)

    def test_a_directory_bucket_takes_a_key_that_serves_s3_alone(self):  # SEED-38, AUD-04
        name = "dir--usw2-az1--x-s3"
        self.make(name)
        key = self.at.create_key()
        put = lambda: self.at.wire().put_encryption(name, rule_xml("aws:kms", key), service="s3express")
        through = lambda service: deny(["kms:GenerateDataKey", "kms:Decrypt"], Principal="*", Condition={
            "StringNotEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}})
        self.key_policy(key, OWNERS_KEY, through("sqs"))
        self.assertDenied(put(), "kms:GenerateDataKey")
        refused = [r for r in self.at.json("audit", "export")["Records"] if r["eventName"] == "GenerateDataKey"][-1]
        self.assertEqual((refused["errorCode"], refused["resources"][0]["ARN"]), ("AccessDenied", key))
        self.key_policy(key, OWNERS_KEY, through("s3"))
        self.assertEqual(put().status, 200)
        write_file(self.at.path(name, "f"), b"x")

    # --- the mount ---
    def test_a_denied_principal_reads_nothing_and_everybody_else_does(self):  # KMS-36
        key = self.at.create_key()
        self.user("ann")
        self.user_policy("ann", allow("kms:*"))
        self.at.bucket("bucket", "aws:kms", key)
        self.at.bucket("plain")
        data = content("policy", 100_000)
        write_file(self.at.path("bucket", "f"), data)
        write_file(self.at.path("plain", "f"), data)
        as_ann = ("-o", f"principal={arn('ann')}")
        self.at.remount(*as_ann)
        self.assertEqual(read_file(self.at.path("bucket", "f")), data)
        with open(self.at.path("bucket", "f"), "rb") as held:
            self.assertEqual(held.read(10), data[:10])
            self.key_policy(key, OWNERS_KEY, deny("kms:Decrypt", Principal=to(arn("ann"))))
            self.assertErrno(errno.EACCES, read_file, self.at.path("bucket", "f"))
            held.seek(0)
            self.assertErrno(errno.EACCES, held.read)
        self.assertErrno(errno.EACCES, write_file, self.at.path("bucket", "new"), b"x")
        self.assertEqual(os.stat(self.at.path("bucket", "f")).st_size, len(data))
        self.assertEqual(read_file(self.at.path("plain", "f")), data)
        self.at.remount()
        self.assertEqual(read_file(self.at.path("bucket", "f")), data)
        self.key_policy(key, OWNERS_KEY)
        self.at.remount(*as_ann)
        self.assertEqual(read_file(self.at.path("bucket", "f")), data)
        self.user_policy("ann", deny("kms:*"))
        self.assertErrno(errno.EACCES, read_file, self.at.path("bucket", "f"))
        self.at.remount()

    def test_a_grant_bound_to_an_object_ends_where_bucket_keys_begin(self):  # KMS-43
        key = self.at.create_key()
        self.user("ann")
        self.at.bucket("bucket", "aws:kms", key)
        context = {"EncryptionContextEquals": {"aws:s3:arn": "arn:aws:s3:::bucket/f"}}
        self.at.wire().kms("CreateGrant", KeyId=key, GranteePrincipal=arn("ann"), Constraints=context,
                           Operations=["GenerateDataKey", "Decrypt"])
        self.at.remount("-o", f"principal={arn('ann')}")
        write_file(self.at.path("bucket", "f"), b"mine")
        self.assertErrno(errno.EACCES, write_file, self.at.path("bucket", "g"), b"not mine")
        os.unlink(self.at.path("bucket", "f"))
        self.at.put_rule("bucket", "aws:kms", key, bucket_key=True)
        self.assertErrno(errno.EACCES, write_file, self.at.path("bucket", "f"), b"by the bucket's context")
        self.at.remount()

    def test_making_an_object_needs_decrypt_too(self):  # BK-14
        key = self.at.create_key()
        self.user("ann")
        self.user_policy("ann", allow("kms:GenerateDataKey"))
        self.at.bucket("bucket", "aws:kms", key, bucket_key=True)
        self.at.remount("-o", f"principal={arn('ann')}")
        self.assertErrno(errno.EACCES, write_file, self.at.path("bucket", "f"), b"x")
        self.user_policy("ann", allow(["kms:GenerateDataKey", "kms:Decrypt"]))
        write_file(self.at.path("bucket", "f"), b"x")
        self.at.remount()

    def test_each_user_of_the_machine_has_its_own_keys(self):
        key = self.at.create_key()
        self.user("ann")
        self.user("bob")
        self.user_policy("ann", allow("kms:*"))
        bucket = self.at.bucket("bucket", "aws:kms", key)
        os.chmod(bucket, 0o777)
        data = content("uids", 50_000)
        write_file(self.at.path("bucket", "f"), data)
        os.chmod(self.at.path("bucket", "f"), 0o666)
        os.chmod(self.at.folder, 0o755)
        uids = self.file("uids", f"1001 {arn('ann')}  # reads\n1002 {arn('bob')}\n")
        self.at.remount("-o", f"allow_other,uid-map={uids}")
        self.assertEqual(self.as_uid(1001, "read", "f"), f"{len(data)}")
        self.assertEqual(self.as_uid(1002, "read", "f"), "EACCES")
        self.assertEqual(self.as_uid(1001, "write", "of-ann"), "4")
        self.assertEqual(self.as_uid(1002, "write", "of-bob"), "EACCES")
        self.assertEqual(read_file(self.at.path("bucket", "f")), data)
        self.user_policy("bob", allow("kms:*"))
        self.assertEqual(self.as_uid(1002, "read", "f"), f"{len(data)}")
        self.user_policy("bob", deny("kms:*"))
        self.assertEqual(self.as_uid(1002, "read", "f"), "EACCES")
        self.assertEqual(self.as_uid(1001, "read", "f"), f"{len(data)}")
        self.user_policy("bob", allow("kms:*"))
        self.assertEqual(self.as_uid(1002, "read", "f"), f"{len(data)}")
        self.key_policy(key, OWNERS_KEY, deny("kms:Decrypt", Principal=to(arn("bob"))))
        self.assertEqual(self.as_uid(1002, "read", "f"), "EACCES")
        self.assertEqual(self.as_uid(1001, "read", "f"), f"{len(data)}")
        self.assertEqual(read_file(self.at.path("bucket", "f")), data)

    # --- two accounts in one mount ---
    def account_with_key(self, name="eve", account=OTHER):
        """A user of another account with a key there, which its alias/same names; the store's own account has one too."""
        self.at.wire().kms("CreateAlias", AliasName="alias/same", TargetKeyId=self.at.create_key())
        user = self.user(name, account)
        self.user_policy(name, allow("kms:*"), allow("s3express:*"), account=account)
        user.key_arn = user.kms("CreateKey")[1]["KeyMetadata"]["Arn"]
        self.assertEqual(user.kms("CreateAlias", AliasName="alias/same", TargetKeyId=user.key_arn)[0], 200)
        return user

    def test_one_alias_is_each_accounts_own_key_in_one_bucket(self):  # SEED-26, SEED-27, BK-03, AUD-02
        eve = self.account_with_key()
        ours = self.at.json("kms", "describe-key", "alias/same")["KeyMetadata"]["Arn"]
        bucket = self.at.bucket("bucket", "aws:kms", "alias/same", bucket_key=True)
        write_file(os.path.join(bucket, "ours"), b"ours")
        self.at.remount("-o", f"principal={arn('eve', OTHER)}")
        before = self.at.calls()
        for i in range(100):
            write_file(os.path.join(bucket, f"theirs-{i}"), b"theirs")
        self.assertEqual(self.at.calls()[0] - before[0], 1, "one Bucket Key for all of them")
        self.assertErrno(errno.EACCES, read_file, os.path.join(bucket, "ours"))
        self.assertEqual([self.at.inspect("bucket", name)["kms_key_arn"] for name in ("ours", "theirs-7")],
                         [ours, eve.key_arn])
        self.at.remount("-o", f"principal={arn('eve', OTHER)}")
        self.assertEqual(read_file(os.path.join(bucket, "theirs-7")), b"theirs")
        decrypt = [r for r in self.at.json("audit", "export")["Records"] if r["eventName"] == "Decrypt"][-1]
        self.assertEqual(decrypt["resources"], [{"accountId": OTHER, "type": "AWS::KMS::Key", "ARN": eve.key_arn}])
        self.at.remount()
        self.assertErrno(errno.EACCES, read_file, os.path.join(bucket, "theirs-7"))
        self.assertEqual(read_file(os.path.join(bucket, "ours")), b"ours")

    def test_reseal_ends_in_a_mount_of_another_account(self):
        eve = self.account_with_key()
        for bucket_key in (False, True):
            self.at.bucket(f"bucket-{int(bucket_key)}", "aws:kms", eve.key_arn, bucket_key=bucket_key)
        self.at.remount("-o", f"principal={arn('eve', OTHER)}")
        for bucket_key in (False, True):
            name = f"bucket-{int(bucket_key)}"
            bucket = self.at.path(name)
            for i in range(20):
                write_file(os.path.join(bucket, str(i)), content(i, 5000))
            self.at.put_rule(name, "aws:kms", bucket_key=bucket_key)
            with open(os.path.join(bucket, "0"), "r+b") as file:
                file.write(content("new", 100))
            self.at.cli("reseal", bucket)
            calls = self.at.json("kms", "stats")
            self.assertEqual(self.at.json("reseal", bucket)["added"], 0, "all of it is as the default says")
            self.assertEqual(self.at.json("kms", "stats")["Encrypt"], calls["Encrypt"])
            managed = eve.kms("DescribeKey", KeyId="alias/aws/s3")[1]["KeyMetadata"]["Arn"]
            self.assertEqual(self.at.inspect(name, "7")["kms_key_arn"], managed)
            self.assertEqual(read_file(os.path.join(bucket, "7")), content(7, 5000))
        self.at.remount()

    def test_users_of_another_account_by_the_uid_map_have_one_bucket_key(self):  # SEED-27, BK-03, BK-04
        eve = self.account_with_key()
        bucket = self.at.bucket("bucket", "aws:kms", "alias/same", bucket_key=True)
        os.chmod(bucket, 0o777)
        os.chmod(self.at.folder, 0o755)
        uids = self.file("uids", f"1001 {arn('eve', OTHER)}\n")
        self.at.remount("-o", f"allow_other,uid-map={uids}")
        write_file(os.path.join(bucket, "ours"), b"ours")
        before = self.at.calls()
        for i in range(5):
            self.assertEqual(self.as_uid(1001, "write", f"theirs-{i}"), "4")
        self.assertEqual(self.at.calls()[0] - before[0], 1)
        self.assertEqual(self.at.inspect("bucket", "theirs-3")["kms_key_arn"], eve.key_arn)
        self.assertNotEqual(self.at.inspect("bucket", "ours")["kms_key_arn"], eve.key_arn)

    def test_a_directory_bucket_of_another_account_is_sealed_under_its_own_arn(self):  # DIR-16
        eve = self.account_with_key()
        name = "base--use1-az4--x-s3"
        bucket_arn = f"arn:aws:s3express:us-east-1:{OTHER}:bucket/{name}"
        bound = {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": bucket_arn}}
        text = policy(allow("kms:*", Principal=to(f"arn:aws:iam::{OTHER}:root")),
                      deny(["kms:GenerateDataKey", "kms:Decrypt"], Principal="*",
                           Condition={"StringNotEquals": bound["StringEquals"]}))
        self.assertEqual(eve.kms("PutKeyPolicy", KeyId=eve.key_arn, Policy=text)[0], 200)
        self.at.remount("-o", f"principal={arn('eve', OTHER)}")
        os.mkdir(self.at.path(name))
        put = eve.put_encryption(name, rule_xml("aws:kms", eve.key_arn), service="s3express")
        self.assertEqual(put.status, 200, put.body)
        write_file(self.at.path(name, "f"), b"sealed")
        self.assertEqual(self.at.inspect(name, "f")["context"], {"aws:s3:arn": bucket_arn})
        self.assertEqual(read_file(self.at.path(name, "f")), b"sealed")
        self.at.remount()

    def test_another_account_uses_a_key_and_never_manages_it(self):
        key = self.at.create_key()
        eve = self.user("eve", OTHER)
        self.user_policy("eve", allow("kms:*"), account=OTHER)
        self.key_policy(key, OWNERS_KEY, allow("kms:*", Principal=to(OTHER)))
        self.assertEqual(eve.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256")[0], 200)
        self.assertEqual(eve.kms("DescribeKey", KeyId=key)[0], 200)
        for operation, rest in (("ScheduleKeyDeletion", {}), ("DisableKey", {}), ("EnableKeyRotation", {}),
                                ("PutKeyPolicy", {"Policy": policy(OWNERS_KEY)})):
            status, error = eve.kms(operation, KeyId=key, **rest)
            self.assertEqual((status, error["__type"]), (400, "AccessDeniedException"))
            self.assertIn(f"{arn('eve', OTHER)} is not authorized to perform: kms:{operation} on this resource because",
                          error["message"])
        self.assertEqual(eve.kms("CreateAlias", AliasName="alias/mine", TargetKeyId=key)[1]["__type"],
                         "AccessDeniedException")
        self.assertEqual(eve.kms("ListAliases")[1]["Aliases"], [])
        self.assertTrue(self.at.json("kms", "describe-key", key)["KeyMetadata"]["Enabled"])

    def as_uid(self, uid, verb, name):
        code = ("import errno, sys\n"
                "try:\n"
                "    if sys.argv[1] == 'read':\n"
                "        print(len(open(sys.argv[2], 'rb').read()))\n"
                "    else:\n"
                "        file = open(sys.argv[2], 'wb'); print(file.write(b'data')); file.close()\n"
                "except OSError as error:\n"
                "    print(errno.errorcode[error.errno])\n")
        done = subprocess.run([sys.executable, "-c", code, verb, self.at.path("bucket", name)], user=uid, group=uid,
                              extra_groups=[], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def test_a_wrong_uid_map_is_refused_before_anything_is_mounted(self):
        self.at.unmount()
        for text in ("1001\n", "1001 ann\n", f"-1 {arn('ann')}\n", f"1 {arn('ann')}\n1 {arn('bob')}\n"):
            refused = self.at.mount("-o", f"uid-map={self.file('wrong', text)}", code=2)
            self.assertIn("line", refused.stderr)
        self.at.mount("-o", "uid-map=/nowhere", code=2)
        self.at.mount()


if __name__ == "__main__":
    main()
