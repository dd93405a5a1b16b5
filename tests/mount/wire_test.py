"""The admin socket over a real mount: S3's answers to the letter, and what a refused request leaves alone."""

import base64
import datetime
import hashlib
import os
import signal
import socket
import subprocess
import xml.etree.ElementTree as ElementTree

from mounted import NAMESPACE, MountTest, content_md5, daemons, main, rule_xml, write_file

MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"
SIGNATURE = ("The request signature we calculated does not match the signature you provided. "
             "Check your key and signing method.")


class Requests(MountTest):
    def setUp(self):
        super().setUp()
        self.s3 = self.at.wire()
        self.at.bucket("bucket")
        self.key = self.at.create_key()
        self.kept = rule_xml("aws:kms", self.key, True)
        self.assertEqual(self.s3.put_encryption("bucket", self.kept).status, 200)

    def unchanged(self):
        answer = self.s3.get_encryption("bucket")
        self.assertEqual(answer.status, 200)
        self.assertEqual((answer.find("SSEAlgorithm"), answer.find("KMSMasterKeyID"), answer.find("BucketKeyEnabled")),
                         ("aws:kms", self.key, "true"))

    def refused(self, status, code, message, answer, **elements):
        self.assertEqual((answer.status, answer.code, answer.message), (status, code, message), answer.body)
        for name, text in elements.items():
            self.assertEqual(answer.find(name), text, answer.body)
        self.assertTrue(answer.find("RequestId"))
        self.assertEqual(answer.headers["x-amz-request-id"], answer.find("RequestId"))
        self.assertEqual(answer.headers["content-type"], "application/xml")
        self.unchanged()

    def test_a_wrong_content_md5_is_bad_digest(self):  # PBE-20
        body = rule_xml("AES256")
        self.refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.",
                     self.s3.put_encryption("bucket", body, headers={"content-md5": content_md5(b"other")}),
                     CalculatedDigest=content_md5(body))

    def test_an_invalid_content_md5_is_invalid_digest(self):  # PBE-21
        for value in ("__invalid__", "000", "MTIz"):
            self.refused(400, "InvalidDigest", "The Content-MD5 you specified was invalid.",
                         self.s3.put_encryption("bucket", rule_xml("AES256"), headers={"content-md5": value}))

    def test_a_right_content_md5_is_accepted(self):
        body = rule_xml("AES256")
        answer = self.s3.put_encryption("bucket", body, headers={"content-md5": content_md5(body)})
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.s3.get_encryption("bucket").find("SSEAlgorithm"), "AES256")

    def test_malformed_xml_is_refused(self):  # PBE-02..07, 54..56
        two = rule_xml("AES256").replace(b"</Rule>", b"</Rule><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
                                                     b"</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>")
        bodies = {
            "no XML": b"not XML", "not closed": rule_xml("AES256")[:-5], "another root": b"<Other/>",
            "no rule": f'<ServerSideEncryptionConfiguration xmlns="{NAMESPACE}"/>'.encode(), "two rules": two,
            "unknown algorithm": rule_xml("rot13"), "no algorithm": rule_xml("").replace(b"<SSEAlgorithm></SSEAlgorithm>", b""),
            "no default": rule_xml("AES256").split(b"<Apply")[0] + b"</Rule></ServerSideEncryptionConfiguration>",
            "a DOCTYPE": b'<!DOCTYPE x [<!ENTITY e "AES256">]>' + rule_xml("&e;"),
            "an unknown element": rule_xml("AES256").replace(b"<Rule>", b"<Rule><Other/>"),
            "the algorithm twice": rule_xml("AES256</SSEAlgorithm><SSEAlgorithm>AES256"),
            "a wrong namespace": rule_xml("AES256").replace(NAMESPACE.encode(), b"http://example.com/"),
            "a flag that is none": rule_xml("AES256", bucket_key="maybe"),
        }
        for name, body in bodies.items():
            with self.subTest(name):
                self.refused(400, "MalformedXML", MALFORMED, self.s3.put_encryption("bucket", body))

    def test_a_key_under_aes256_is_an_invalid_argument(self):  # PBE-08
        self.refused(400, "InvalidArgument",
                     "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
                     self.s3.put_encryption("bucket", rule_xml("AES256", self.key)),
                     ArgumentName="ApplyServerSideEncryptionByDefault")

    def test_an_unknown_bucket_is_no_such_bucket_whatever_the_body(self):  # PBE-10, 11, GBE-05, DBE-05
        for answer in (self.s3.put_encryption("missing-bucket", rule_xml("AES256")),
                       self.s3.put_encryption("missing-bucket", b"not XML"),
                       self.s3.get_encryption("missing-bucket"),
                       self.s3.request("DELETE", "/missing-bucket", {"encryption": ""})):
            self.refused(404, "NoSuchBucket", "The specified bucket does not exist", answer, BucketName="missing-bucket")

    def test_an_unsigned_request_is_denied(self):  # AUTH-01
        for method in ("PUT", "GET", "DELETE"):
            self.refused(403, "AccessDenied", "Access Denied",
                         self.s3.request(method, "/bucket", {"encryption": ""}, rule_xml("AES256") if method == "PUT" else b"",
                                         sign=False))

    def test_a_wrongly_signed_request_is_refused(self):  # AUTH-02
        answer = self.s3.put_encryption("bucket", rule_xml("AES256"), secret="not the secret")
        self.refused(403, "SignatureDoesNotMatch", SIGNATURE, answer, AWSAccessKeyId=self.s3.key)
        self.assertTrue(answer.find("StringToSign").startswith("AWS4-HMAC-SHA256\n"))
        self.assertTrue(answer.find("CanonicalRequest").startswith("PUT\n/bucket\nencryption=\n"))
        self.assertNotIn(self.s3.secret.encode(), answer.body)

    def test_an_unknown_access_key_is_refused(self):  # AUTH-03
        self.refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.",
                     self.s3.put_encryption("bucket", rule_xml("AES256"), key="AKIAIOSFODNN7EXAMPLE"),
                     AWSAccessKeyId="AKIAIOSFODNN7EXAMPLE")

    def test_an_old_or_early_request_is_refused(self):  # AUTH-04
        now = datetime.datetime.now(datetime.timezone.utc)
        for minutes in (-16, 16):
            self.refused(403, "RequestTimeTooSkewed",
                         "The difference between the request time and the current time is too large.",
                         self.s3.put_encryption("bucket", rule_xml("AES256"), now=now + datetime.timedelta(minutes=minutes)))

    def test_a_changed_body_is_refused(self):  # AUTH-14
        answer = self.s3.put_encryption("bucket", rule_xml("AES256", None, False), tamper=rule_xml("AES256", None, True))
        self.refused(400, "XAmzContentSHA256Mismatch",
                     "The provided 'x-amz-content-sha256' header does not match what was computed.", answer)

    def test_a_missing_payload_hash_is_refused(self):  # AUTH-12
        self.refused(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256",
                     self.s3.put_encryption("bucket", rule_xml("AES256"), payload_hash=""))

    def test_an_unsigned_amz_header_is_refused(self):  # AUTH-15
        self.refused(403, "AccessDenied", "There were headers present in the request which were not signed",
                     self.s3.put_encryption("bucket", rule_xml("AES256"), unsigned={"x-amz-expected-bucket-owner": "1" * 12}),
                     HeadersNotSigned="x-amz-expected-bucket-owner")

    def test_the_expected_owner_is_checked(self):  # PBE-40..42
        owner = lambda value: self.s3.put_encryption("bucket", self.kept, headers={"x-amz-expected-bucket-owner": value})
        self.refused(403, "AccessDenied", "Access Denied", owner("111111111111"))
        answer = owner("0000")
        self.assertEqual((answer.status, answer.code), (400, "InvalidBucketOwnerAWSAccountID"))
        self.assertEqual(owner("000000000000").status, 200)

    def test_a_body_too_large_or_empty_is_refused(self):  # PBE-50, 51
        answer = self.s3.put_encryption("bucket", b" " * (64 * 1024 + 1))
        self.assertEqual((answer.status, answer.code), (400, "MaxMessageLengthExceeded"))
        self.refused(400, "MissingRequestBodyError", "Request Body is empty", self.s3.put_encryption("bucket", b""))

    def test_a_cut_connection_changes_nothing(self):  # PBE-53
        body = rule_xml("AES256")
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.connect(self.at.socket)
        raw.sendall(b"PUT /bucket?encryption= HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body[:-10]))
        raw.close()
        self.unchanged()

    def test_the_key_is_stored_verbatim_and_not_validated(self):  # PBE-12..14, SEED-12, KMS-30
        for key in (self.key, self.key.rsplit("/", 1)[1], "alias/none", "arn:aws:kms:us-east-1:1234/5678example"):
            self.assertEqual(self.s3.put_encryption("bucket", rule_xml("aws:kms:dsse", key)).status, 200)
            self.assertEqual(self.s3.get_encryption("bucket").find("KMSMasterKeyID"), key)
        with self.assertRaises(OSError) as caught:
            write_file(self.at.path("bucket", "f"), b"x")
        self.assertEqual(caught.exception.errno, 126)  # ENOKEY

    def test_delete_resets_and_answers_204_again(self):  # DBE-01..03
        for _ in range(2):
            answer = self.s3.request("DELETE", "/bucket", {"encryption": ""})
            self.assertEqual((answer.status, answer.body), (204, b""))
        got = self.s3.get_encryption("bucket")
        self.assertEqual((got.find("SSEAlgorithm"), got.find("BucketKeyEnabled"), got.find("KMSMasterKeyID")),
                         ("AES256", "false", None))

    def test_objects_keep_their_envelope_when_the_default_changes_or_goes(self):  # DBE-06, OBJ-09
        write_file(self.at.path("bucket", "f"), b"kept")
        envelope = self.at.inspect("bucket", "f")
        self.assertEqual((envelope["sse"], envelope["kms_key_arn"], envelope["bucket_key"]), ("aws:kms", self.key, True))
        for change in (lambda: self.s3.request("DELETE", "/bucket", {"encryption": ""}),
                       lambda: self.s3.put_encryption("bucket", rule_xml("aws:kms:dsse"))):
            self.assertIn(change().status, (200, 204))
            self.at.remount()
            with open(self.at.path("bucket", "f"), "rb") as file:
                self.assertEqual(file.read(), b"kept")
            self.assertEqual(self.at.inspect("bucket", "f"), envelope)

    def test_a_request_signed_in_its_query_is_served_until_it_expires(self):  # AUTH-02, 05, 16
        body = rule_xml("AES256")
        signed = lambda **rest: self.s3.presigned("PUT", "/bucket", {"encryption": ""}, body, **rest)
        self.refused(403, "AccessDenied", "Request has expired", signed(ago=61, expires=60), **{"X-Amz-Expires": "60"})
        self.refused(403, "SignatureDoesNotMatch", SIGNATURE, signed(secret="not the secret"), AWSAccessKeyId=self.s3.key)
        self.assertEqual(signed(drop="X-Amz-Expires").code, "AuthorizationQueryParametersError")
        self.unchanged()
        self.assertEqual((signed().status, signed(ago=50).status), (200, 200))
        self.assertEqual(self.s3.get_encryption("bucket").find("SSEAlgorithm"), "AES256")

    def test_the_default_is_read_and_deleted_by_requests_signed_in_their_query(self):  # SEED-41
        for method, status in (("GET", 200), ("DELETE", 204)):
            signed = lambda **rest: self.s3.presigned(method, "/bucket", {"encryption": ""}, **rest)
            self.refused(403, "AccessDenied", "Request has expired", signed(ago=61), **{"X-Amz-Expires": "60"})
            self.refused(403, "SignatureDoesNotMatch", SIGNATURE, signed(secret="not the secret"), AWSAccessKeyId=self.s3.key)
            answer = signed(ago=50)
            self.assertEqual(answer.status, status)
            if method == "GET":
                self.assertEqual(answer.find("KMSMasterKeyID"), self.key)
        self.assertEqual(self.s3.get_encryption("bucket").find("SSEAlgorithm"), "AES256")

    def test_buckets_of_socket_and_mount_are_the_same(self):
        self.assertEqual(self.s3.request("PUT", "/over-http").status, 200)
        self.assertTrue(os.path.isdir(self.at.path("over-http")))
        self.assertEqual(self.s3.request("HEAD", "/over-http").status, 200)
        listed = self.s3.request("GET", "/")
        names = [e.text for e in ElementTree.fromstring(listed.body).iter() if e.tag.endswith("}Name")]
        self.assertEqual(names, ["bucket", "over-http"])
        write_file(self.at.path("over-http", "f"), b"x")
        self.assertEqual(self.s3.request("DELETE", "/over-http").code, "BucketNotEmpty")
        os.unlink(self.at.path("over-http", "f"))
        self.assertEqual(self.s3.request("DELETE", "/over-http").status, 204)
        self.assertNotIn("over-http", os.listdir(self.at.dir))
        self.assertEqual(self.s3.request("HEAD", "/over-http").status, 404)

    def test_kms_answers_in_its_own_json(self):  # KMS-01..05, 10, 11, 14, 16, 18, 19
        status, made = self.s3.kms("CreateKey", Description="one")
        self.assertEqual((status, made["KeyMetadata"]["KeyState"]), (200, "Enabled"))
        arn = made["KeyMetadata"]["Arn"]
        status, key = self.s3.kms("GenerateDataKey", KeyId=arn, KeySpec="AES_256", EncryptionContext={"a": "b"})
        self.assertEqual((status, key["KeyId"]), (200, arn))
        status, opened = self.s3.kms("Decrypt", CiphertextBlob=key["CiphertextBlob"], EncryptionContext={"a": "b"})
        self.assertEqual((status, opened["Plaintext"], opened["KeyId"]), (200, key["Plaintext"], arn))
        status, error = self.s3.kms("Decrypt", CiphertextBlob=key["CiphertextBlob"], EncryptionContext={"a": "c"})
        self.assertEqual((status, error), (400, {"__type": "InvalidCiphertextException"}))
        other = self.at.create_key()
        status, error = self.s3.kms("Decrypt", CiphertextBlob=key["CiphertextBlob"], EncryptionContext={"a": "b"}, KeyId=other)
        self.assertEqual((status, error["__type"], error["message"]), (400, "IncorrectKeyException",
                         "The key ID in the request does not identify a CMK that can perform this operation."))
        unknown = "11111111-2222-4333-8444-555555555555"
        for name in (unknown, arn[:-36] + unknown):
            status, error = self.s3.kms("DescribeKey", KeyId=name)
            self.assertEqual((status, error["__type"], error["message"]),
                             (400, "NotFoundException", f"Key '{arn[:-36]}{unknown}' does not exist"))
        status, error = self.s3.kms("DescribeKey", KeyId="fake-key-id")
        self.assertEqual((status, error["__type"], error["message"]), (400, "NotFoundException", "Invalid keyId 'fake-key-id'"))
        self.assertEqual(self.s3.kms("DisableKey", KeyId=arn)[0], 200)
        status, error = self.s3.kms("GenerateDataKey", KeyId=arn, KeySpec="AES_256")
        self.assertEqual((status, error["__type"], error["message"]), (400, "DisabledException", f"{arn} is disabled."))
        status, error = self.s3.kms("CancelKeyDeletion", KeyId=arn)
        self.assertEqual((status, error["__type"], error["message"]),
                         (400, "KMSInvalidStateException", f"{arn} is not pending deletion."))

    def test_each_form_of_a_keys_name_is_taken_where_a_key_is_named(self):  # KMS-04..06
        arn = self.at.create_key()
        self.s3.kms("CreateAlias", AliasName="alias/mine", TargetKeyId=arn)
        sealed = self.s3.kms("Encrypt", KeyId=arn, Plaintext="AAAA")[1]["CiphertextBlob"]
        for name in (arn, arn[-36:], "alias/mine", arn[:-40] + "alias/mine"):
            for operation, rest in (("Encrypt", {"Plaintext": "AAAA"}), ("Decrypt", {"CiphertextBlob": sealed}),
                                    ("GenerateDataKey", {"KeySpec": "AES_256"}), ("DescribeKey", {}), ("ListGrants", {}),
                                    ("GenerateDataKeyWithoutPlaintext", {"NumberOfBytes": 7})):
                status, answer = self.s3.kms(operation, KeyId=name, **rest)
                self.assertEqual(status, 200, (operation, name, answer))
                self.assertIn(answer.get("KeyId", arn), (arn,))
            status, moved = self.s3.kms("ReEncrypt", CiphertextBlob=sealed, SourceKeyId=name, DestinationKeyId=name)
            self.assertEqual((status, moved["KeyId"], moved["SourceKeyId"]), (200, arn, arn))

    def test_a_dry_run_is_refused_after_all_checks_and_does_nothing(self):  # KMS-21
        key = self.at.create_key()
        sealed = self.s3.kms("Encrypt", KeyId=key, Plaintext="AAAA")[1]["CiphertextBlob"]
        owner = "arn:aws:iam::000000000000:root"
        grant = self.s3.kms("CreateGrant", KeyId=key, GranteePrincipal=owner, Operations=["Decrypt"])[1]
        for operation, parameters in (
                ("Encrypt", {"KeyId": key, "Plaintext": "AAAA"}), ("Decrypt", {"CiphertextBlob": sealed}),
                ("ReEncrypt", {"CiphertextBlob": sealed, "DestinationKeyId": key}),
                ("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}),
                ("GenerateDataKeyWithoutPlaintext", {"KeyId": key, "KeySpec": "AES_256"}),
                ("CreateGrant", {"KeyId": key, "GranteePrincipal": owner, "Operations": ["Encrypt"]}),
                ("RevokeGrant", {"KeyId": key, "GrantId": grant["GrantId"]}),
                ("RetireGrant", {"GrantToken": grant["GrantToken"]}),
                ("RetireGrant", {"KeyId": key, "GrantId": grant["GrantId"]})):
            status, error = self.s3.kms(operation, DryRun=True, **parameters)
            self.assertEqual((status, error.get("__type"), error.get("message")), (
                400, "DryRunOperationException", "The request would have succeeded, but the DryRun option is set."), operation)
        self.assertEqual([g["GrantId"] for g in self.s3.kms("ListGrants", KeyId=key)[1]["Grants"]], [grant["GrantId"]])
        self.s3.kms("DisableKey", KeyId=key)
        self.assertEqual(self.s3.kms("Encrypt", KeyId=key, Plaintext="AAAA", DryRun=True)[1]["__type"], "DisabledException")

    def test_material_is_imported_over_the_wire_and_no_other_after_it(self):  # KMS-17
        key = self.s3.kms("CreateKey", Origin="EXTERNAL")[1]["KeyMetadata"]["Arn"]

        def import_material(material, token=None):
            offer = self.s3.kms("GetParametersForImport", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256",
                                WrappingKeySpec="RSA_2048")[1]
            with open(os.path.join(self.at.folder, "wrapping"), "wb") as file:
                file.write(base64.b64decode(offer["PublicKey"]))
            wrapped = subprocess.run(
                ["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", file.name, "-pkeyopt",
                 "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"], input=material, capture_output=True, check=True)
            return self.s3.kms("ImportKeyMaterial", KeyId=key, ImportToken=token or offer["ImportToken"],
                               EncryptedKeyMaterial=base64.b64encode(wrapped.stdout).decode(),
                               ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")

        status, error = self.s3.kms("Encrypt", KeyId=key, Plaintext="AAAA")
        self.assertEqual((status, error["__type"], error["message"]),
                         (400, "KMSInvalidStateException", f"{key} is pending import."))
        self.assertEqual(import_material(bytes(32))[0], 200)
        self.assertEqual(self.s3.kms("Encrypt", KeyId=key, Plaintext="AAAA")[0], 200)
        self.assertEqual(self.s3.kms("DeleteImportedKeyMaterial", KeyId=key)[0], 200)
        status, error = import_material(bytes(31) + b"1")
        self.assertEqual((status, error["__type"], error["message"]), (
            400, "IncorrectKeyMaterialException",
            "The key material is not the same as the key material that was previously imported into this key"))
        self.assertEqual(import_material(bytes(32), token="AAAA")[1]["__type"], "InvalidImportTokenException")
        self.assertEqual(import_material(bytes(32))[0], 200)


class Durable(MountTest):
    def test_what_answered_200_is_there_after_kill(self):
        s3 = self.at.wire()
        key = self.at.create_key()
        for round_, change in enumerate((
                lambda: s3.request("PUT", "/bucket"),
                lambda: s3.put_encryption("bucket", rule_xml("aws:kms", key, True)),
                lambda: s3.put_encryption("bucket", rule_xml("aws:kms:dsse")),
                lambda: s3.request("DELETE", "/bucket", {"encryption": ""}))):
            pid = self.at.pid
            answer = change()
            os.kill(pid, signal.SIGKILL)
            self.assertIn(answer.status, (200, 204))
            self.at.bury(pid)
            self.at.mount()
            got = s3.get_encryption("bucket")
            self.assertEqual((got.find("SSEAlgorithm"), got.find("KMSMasterKeyID"), got.find("BucketKeyEnabled")),
                             [("AES256", None, "false"), ("aws:kms", key, "true"), ("aws:kms:dsse", None, "false"),
                              ("AES256", None, "false")][round_])

    def test_keys_made_and_disabled_are_so_after_kill(self):
        s3 = self.at.wire()
        pid = self.at.pid
        status, made = s3.kms("CreateKey")
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(status, 200)
        self.at.bury(pid)
        self.at.mount()
        arn = made["KeyMetadata"]["Arn"]
        self.assertEqual(s3.kms("DescribeKey", KeyId=arn)[1]["KeyMetadata"]["KeyState"], "Enabled")
        pid = self.at.pid
        self.assertEqual(s3.kms("DisableKey", KeyId=arn)[0], 200)
        os.kill(pid, signal.SIGKILL)
        self.at.bury(pid)
        self.at.mount()
        self.assertEqual(s3.kms("DescribeKey", KeyId=arn)[1]["KeyMetadata"]["KeyState"], "Disabled")

    def test_a_bucket_made_or_removed_in_the_mount_is_so_after_kill(self):
        pid = self.at.pid
        os.mkdir(self.at.path("made"))
        os.kill(pid, signal.SIGKILL)
        self.at.bury(pid)
        self.at.mount()
        pid = self.at.pid
        os.rmdir(self.at.path("made"))
        os.kill(pid, signal.SIGKILL)
        self.at.bury(pid)
        self.at.mount()
        self.assertEqual(os.listdir(self.at.dir), [])


class Tools(MountTest):
    def curl(self, *arguments, user=None, body=None, method="PUT", url="http://localhost/bucket?encryption=", to=None):
        s3 = self.at.wire()
        digest = hashlib.sha256(body or b"").hexdigest()
        words = ["curl", "-sS", "-w", "%{http_code}", "-X", method, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
                 user or f"{s3.key}:{s3.secret}", "-H", f"x-amz-content-sha256:{digest}", *arguments]
        words += to or ["--unix-socket", self.at.socket]
        if body is not None:
            words += ["--data-binary", "@-"]
        done = subprocess.run([*words, url], input=body or b"", stdout=subprocess.PIPE, check=True)
        return int(done.stdout[-3:]), done.stdout[:-3].decode()

    def test_curl_sets_gets_and_deletes_the_default(self):  # AUTH-12, 19
        self.at.bucket("bucket")
        self.assertEqual(self.curl(body=rule_xml("aws:kms", None, True)), (200, ""))
        status, xml = self.curl(method="GET")
        self.assertEqual(status, 200)
        self.assertIn("<SSEAlgorithm>aws:kms</SSEAlgorithm>", xml)
        self.assertIn("<BucketKeyEnabled>true</BucketKeyEnabled>", xml)
        self.assertEqual(self.curl(method="DELETE"), (204, ""))

    def test_curl_is_refused_with_s3s_errors(self):
        self.at.bucket("bucket")
        s3 = self.at.wire()
        body = rule_xml("aws:kms")
        cases = [
            ("SignatureDoesNotMatch", 403, dict(user=f"{s3.key}:wrong")),
            ("InvalidAccessKeyId", 403, dict(user=f"NOBODY:{s3.secret}")),
            ("SignatureDoesNotMatch", 403, dict(url="http://localhost/bucket?encryption")),  # curl 7.88 signs it wrongly
            ("NoSuchBucket", 404, dict(url="http://localhost/missing-bucket?encryption=")),
        ]
        for code, status, rest in cases:
            with self.subTest(code=code, **rest):
                got, xml = self.curl(body=body, **rest)
                if "?encryption=" not in rest.get("url", "?encryption=") and got == 200:
                    continue  # a curl that signs `encryption=` is right, and so is the answer
                self.assertEqual(got, status)
                self.assertIn(f"<Code>{code}</Code>", xml)
        self.assertEqual(self.curl("-H", "Content-MD5: " + content_md5(b"other"), body=body)[0], 400)
        self.assertIn("AES256", self.curl(method="GET")[1])

    def listening(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.at.unmount()
        self.at.mount("--listen", f"127.0.0.1:{port}")
        return f"http://127.0.0.1:{port}"

    def test_listen_serves_curl_over_loopback(self):
        self.at.bucket("bucket")
        at = self.listening()
        self.assertEqual(self.curl(body=rule_xml("aws:kms"), url=f"{at}/bucket?encryption=", to=["--noproxy", "*"]),
                         (200, ""))
        self.assertIn("aws:kms", self.curl(method="GET")[1])

    def test_listening_beyond_loopback_is_refused(self):
        self.at.unmount()
        self.at.mount("--listen", "0.0.0.0:0", code=2)
        self.assertFalse(daemons(self.at.store))
        self.at.mount()


if __name__ == "__main__":
    main()
