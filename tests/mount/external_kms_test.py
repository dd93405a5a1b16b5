"""Keys in a KMS elsewhere: another Coffer's, over loopback TCP, which checks every signature. It is killed, stopped so that it
takes calls and answers none, brought back; its keys are disabled and rotated there."""

import datetime
import errno
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mounted import COFFERD, EKEYREVOKED, ENOKEY, KMS_KEY_ID, MountTest, Scratch, coffer, content, drop_file, main, read_file, rule_xml, \
    wait_for, write_file

PROMPT_SECONDS = 15.0  # the longest call is 6 seconds; the rest is for a machine that is busy


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Authority:
    """A certificate authority of the test's own: its certificate as a file, and servers' certificates."""

    def __init__(self, folder, name):
        self.folder, self.name, self.key = folder, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), self.new_key()
        self.file = self.write(f"{name}.pem", self.certificate(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None)))

    @staticmethod
    def new_key():
        return ec.generate_private_key(ec.SECP256R1())

    def certificate(self, subject, key, *extensions):
        now = datetime.datetime.utcnow()
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number(),
                                          now - datetime.timedelta(days=1), now + datetime.timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def write(self, name, pem):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(pem)
        return path

    def server(self, name):
        """A TLS server's context, with a certificate for this name or address."""
        key = self.new_key()
        alternative = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kms")])
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.write(f"{name}.server.pem",
                                           pem + self.certificate(subject, key, x509.SubjectAlternativeName([alternative]))))
        return context


class TlsFront:
    """Speaks TLS before a server on loopback; keeps what it was told."""

    def __init__(self, context, behind):
        self.context, self.behind, self.heard, self.connections = context, behind, bytearray(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                secured = self.context.wrap_socket(client, server_side=True)
            except OSError:  # the client does not believe it
                return
            with secured, socket.create_connection(("127.0.0.1", self.behind)) as server:
                back = threading.Thread(target=self.carry, args=(server, secured))
                back.start()
                self.carry(secured, server, self.heard)
                back.join()

    @staticmethod
    def carry(source, target, heard=None):
        try:
            while data := source.recv(65536):
                if heard is not None:
                    heard += data
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()


class ExternalKms(MountTest):
    def setUp(self):
        self.port = free_port()
        self.there = Scratch()
        self.addCleanup(self.there.close)
        self.there.init("--account-id", "123456789012", "--region", "eu-north-1")
        self.there.mount("--listen", f"127.0.0.1:{self.port}")
        self.key = self.there.create_key()
        self.at = Scratch()
        self.addCleanup(self.at.close)
        self.flags = ("--kms-endpoint", f"http://127.0.0.1:{self.port}", "--kms-credentials-file",
                      os.path.join(self.there.store, "credentials"))
        self.at.init().mount(*self.flags)

    def come_back(self):
        self.there.mount("--listen", f"127.0.0.1:{self.port}")

    def state(self):
        return self.at.json("status", self.at.dir)["mounts"][0]["external_kms"]

    def answers_within(self, call, *arguments, number=errno.ETIMEDOUT):
        begin = time.monotonic()
        self.assertErrno(number, call, *arguments)
        self.assertLess(time.monotonic() - begin, PROMPT_SECONDS)

    def buckets(self):
        self.at.bucket("object-keys", "aws:kms", self.key)
        self.at.bucket("bucket-key", "aws:kms", self.key, bucket_key=True)
        self.at.bucket("double", "aws:kms:dsse", self.key)
        self.at.bucket("local", "aws:kms", self.at.create_key())
        self.at.bucket("plain")
        return ("object-keys", "bucket-key", "double", "local", "plain")

    def test_objects_under_keys_elsewhere_are_written_read_and_mounted_again(self):
        buckets = self.buckets()
        for bucket in buckets:
            for size in (0, 100, 70_000):
                write_file(self.at.path(bucket, str(size)), content(bucket, size), sync=True)
        generated, _ = self.there.calls()
        self.assertEqual(generated, 3 + 1 + 3, "one call for an object, one for a bucket with a Bucket Key")
        for bucket in buckets[:3]:
            self.assertEqual(os.getxattr(self.at.path(bucket, "100"), KMS_KEY_ID).decode(), self.key)
            self.assertEqual(self.at.inspect(bucket, "100")["kms_key_arn"], self.key)
        self.at.remount(*self.flags)
        for bucket in buckets:
            for size in (0, 100, 70_000):
                self.assertEqual(read_file(self.at.path(bucket, str(size))), content(bucket, size))
        self.assertEqual(self.state()["state"], "answers")
        self.at.remount()  # without it
        self.assertErrno(ENOKEY, read_file, self.at.path("object-keys", "100"))
        self.assertEqual(read_file(self.at.path("local", "100")), content("local", 100))

    def test_the_audit_trail_names_the_key_that_opened_an_object(self):  # AUD-02
        self.at.bucket("object-keys", "aws:kms", self.key)
        write_file(self.at.path("object-keys", "file"), b"there")
        self.at.remount(*self.flags)
        self.assertEqual(read_file(self.at.path("object-keys", "file")), b"there")
        records = [r for r in self.at.json("audit", "export")["Records"] if r["eventName"] in ("GenerateDataKey", "Decrypt")]
        self.assertEqual([(r["eventName"], r["resources"][0]["ARN"], r["resources"][0]["accountId"]) for r in records],
                         [(name, self.key, "123456789012") for name in ("GenerateDataKey", "Decrypt")])

    def test_a_directory_bucket_has_a_key_there_for_life(self):
        name = "base--use1-az4--x-s3"
        self.at.cli("bucket", "create", name)

        def put(key):
            answer = self.at.wire().put_encryption(name, rule_xml("aws:kms", key), service="s3express")
            return answer.status, answer.status != 200 and answer.code

        self.assertEqual(put(self.key[:-12] + "000000000000"), (400, "KMS.NotFoundException"))
        self.there.cli("kms", "disable-key", self.key)
        self.assertEqual(put(self.key), (400, "KMS.DisabledException"))
        self.there.cli("kms", "enable-key", self.key)
        self.assertEqual(put(self.key), (200, False))
        write_file(self.at.path(name, "file"), content("there", 70_000), sync=True)
        found = self.at.inspect(name, "file")
        self.assertEqual((found["kms_key_arn"], found["bucket_key"]), (self.key, True))
        self.at.remount(*self.flags)
        self.assertEqual(read_file(self.at.path(name, "file")), content("there", 70_000))
        self.assertEqual(put(self.there.create_key()), (400, "InvalidRequest"))

    def test_while_it_is_gone_cached_keys_go_on_the_rest_fails_at_once_and_a_mount_starts(self):  # KMS-36
        buckets = self.buckets()
        for bucket in buckets:
            write_file(self.at.path(bucket, "cached"), content(bucket, 70_000), sync=True)
            write_file(self.at.path(bucket, "cold"), content(bucket, 100), sync=True)
        self.at.remount(*self.flags)
        for bucket in buckets:
            self.assertEqual(read_file(self.at.path(bucket, "cached")), content(bucket, 70_000))
        write_file(self.at.path("bucket-key", "before"), b"a Bucket Key is in memory now")
        self.there.kill()
        for bucket in buckets:
            path = self.at.path(bucket, "cached")
            drop_file(path)
            self.assertEqual(read_file(path), content(bucket, 70_000), "its key is in memory")
            with open(path, "r+b") as file:
                file.write(b"changed")
                file.flush()
                os.fsync(file.fileno())
        write_file(self.at.path("bucket-key", "new"), b"under a Bucket Key in memory")
        for bucket in ("object-keys", "double"):
            self.answers_within(read_file, self.at.path(bucket, "cold"))
            self.answers_within(write_file, self.at.path(bucket, "new"), b"x")
        begin = time.monotonic()
        for i in range(50):
            self.assertErrno(errno.ETIMEDOUT, write_file, self.at.path("object-keys", f"new{i}"), b"x")
        self.assertLess(time.monotonic() - begin, 2 * PROMPT_SECONDS, "it is not asked each time")
        self.assertEqual(read_file(self.at.path("local", "cold")), content("local", 100))
        state = self.state()
        self.assertEqual(state["state"], "away")
        self.assertGreater(state["failures"], 0)
        self.assertIn("does not answer", state["last_failure"])

        self.at.remount(*self.flags)
        self.assertEqual(read_file(self.at.path("plain", "cold")), content("plain", 100))
        self.answers_within(read_file, self.at.path("object-keys", "cold"))
        self.come_back()

        def readable():
            try:
                return read_file(self.at.path("object-keys", "cold")) == content("object-keys", 100)
            except TimeoutError:
                return False
        wait_for(readable, "the KMS to be asked again", seconds=40)
        for bucket in buckets:
            self.assertEqual(read_file(self.at.path(bucket, "cached")), b"changed" + content(bucket, 70_000)[7:])
        self.assertEqual(self.state()["state"], "answers")

    def test_a_kms_that_takes_calls_and_answers_none_holds_up_nobody_else(self):
        """More readers wait for it than the mount has threads, and everybody else goes on."""
        buckets = self.buckets()
        for i in range(20):
            write_file(self.at.path("object-keys", f"cold{i}"), content(i, 100), sync=True)
        for bucket in buckets:
            write_file(self.at.path(bucket, "cached"), content(bucket, 70_000), sync=True)
        self.at.remount(*self.flags)
        for bucket in buckets:
            read_file(self.at.path(bucket, "cached"))
        pid = self.there.pid
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: os.path.exists(f"/proc/{pid}") and os.kill(pid, signal.SIGCONT))
        outcomes = []

        def wait(path):
            begin = time.monotonic()
            try:
                read_file(path)
                outcomes.append(("read", time.monotonic() - begin))
            except OSError as error:
                outcomes.append((error.errno, time.monotonic() - begin))
        readers = [threading.Thread(target=wait, args=(self.at.path("object-keys", f"cold{i % 20}"),)) for i in range(25)]
        for reader in readers:
            reader.start()
        wait_for(lambda: self.state()["under_way"] > 8, "many calls to be under way")
        rounds = 0
        while self.state()["under_way"] > 8:
            for bucket in buckets:
                path = self.at.path(bucket, "cached")
                drop_file(path)
                self.assertEqual(read_file(path), content(bucket, 70_000))
            write_file(self.at.path("plain", "new"), b"x", sync=True)
            os.listdir(self.at.path("object-keys"))
            rounds += 1
        self.assertGreater(rounds, 0, "somebody else was served while they waited")
        for reader in readers:
            reader.join(timeout=60)
            self.assertFalse(reader.is_alive(), "nothing hangs")
        self.assertEqual({outcome for outcome, _ in outcomes}, {errno.ETIMEDOUT})
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: self.try_read(self.at.path("object-keys", "cold0")) == content(0, 100), "it to be asked again", seconds=40)

    def try_read(self, path):
        try:
            return read_file(path)
        except OSError:
            return None

    def test_a_key_disabled_there_takes_what_is_in_memory_here_along(self):
        buckets = self.buckets()
        for bucket in buckets:
            write_file(self.at.path(bucket, "f"), content(bucket, 70_000), sync=True)
            write_file(self.at.path(bucket, "cold"), content(bucket, 100), sync=True)
        self.at.remount(*self.flags)
        opened = {bucket: os.open(self.at.path(bucket, "f"), os.O_RDONLY) for bucket in buckets}
        for fd in opened.values():
            os.pread(fd, 100, 0)
        self.there.cli("kms", "disable-key", self.key)
        self.assertErrno(EKEYREVOKED, read_file, self.at.path("object-keys", "cold"))  # now it is known here

        def refused(bucket):
            try:
                os.pread(opened[bucket], 100, 0)
                return False
            except OSError as error:
                self.assertEqual(error.errno, EKEYREVOKED)
                return True
        for bucket in buckets[:3]:
            wait_for(lambda: refused(bucket), "the kernel's pages to go")
            self.assertErrno(EKEYREVOKED, read_file, self.at.path(bucket, "f"))
            self.assertErrno(EKEYREVOKED, write_file, self.at.path(bucket, "new"), b"x")
            self.assertEqual(os.stat(self.at.path(bucket, "f")).st_size, 70_000)
        for bucket in buckets[3:]:
            self.assertEqual(os.pread(opened[bucket], 70_000, 0), content(bucket, 70_000))
        self.there.cli("kms", "enable-key", self.key)
        for bucket in buckets:
            self.assertEqual(read_file(self.at.path(bucket, "f")), content(bucket, 70_000))
            os.close(opened[bucket])

    def test_rotation_there_and_moving_between_the_two(self):
        self.at.bucket("bucket", "aws:kms", self.key)
        write_file(self.at.path("bucket", "f"), content(1, 70_000), sync=True)
        self.there.cli("kms", "rotate-key", self.key)
        write_file(self.at.path("bucket", "after"), content(2, 100), sync=True)
        self.at.remount(*self.flags)
        self.assertEqual(read_file(self.at.path("bucket", "f")), content(1, 70_000))
        self.assertEqual(read_file(self.at.path("bucket", "after")), content(2, 100))
        here = self.at.create_key()
        for key in (here, self.key):
            self.at.put_rule("bucket", "aws:kms", key)
            coffer("reseal", self.at.path("bucket"))
            self.assertEqual(self.at.inspect("bucket", "f")["kms_key_arn"], key)
            self.at.remount(*self.flags)
            self.assertEqual(read_file(self.at.path("bucket", "f")), content(1, 70_000))

    def test_what_it_does_not_know_or_allow_is_told_as_here(self):
        unknown = self.key[:-36] + "11111111-2222-3333-4444-555555555555"
        self.at.bucket("bucket", "aws:kms", unknown)
        self.assertErrno(ENOKEY, write_file, self.at.path("bucket", "f"), b"x")
        credentials = os.path.join(self.at.folder, "wrong")
        with open(os.path.join(self.there.store, "credentials")) as file:
            text = file.read()
        secret = text.split("aws_secret_access_key = ")[1].split("\n")[0]
        with open(credentials, "w") as file:
            file.write(text.replace(secret, secret[::-1]))
        os.chmod(credentials, 0o600)
        self.at.remount(self.flags[0], self.flags[1], "--kms-credentials-file", credentials)
        self.at.put_rule("bucket", "aws:kms", self.key)
        self.assertErrno(errno.EACCES, write_file, self.at.path("bucket", "f"), b"x")

    # --- TLS ---
    def over_tls(self, name, *ca):
        """A mount whose KMS shows a certificate for this name, of the test's authority; ca: what the mount is told to believe."""
        front = TlsFront(self.authority.server(name), self.port)
        self.addCleanup(front.close)
        self.at.remount("--kms-endpoint", front.url, *self.flags[2:], *ca)
        return front

    def test_a_kms_whose_certificate_is_vouched_for_is_asked(self):
        self.authority = Authority(self.at.folder, "ours")
        self.at.bucket("bucket", "aws:kms", self.key)
        front = self.over_tls("127.0.0.1", "--kms-ca-file", self.authority.file)
        write_file(self.at.path("bucket", "file"), b"sealed there")
        self.at.remount("--kms-endpoint", front.url, *self.flags[2:], "--kms-ca-file", self.authority.file)
        self.assertEqual(read_file(self.at.path("bucket", "file")), b"sealed there")
        self.assertIn(b"TrentService.GenerateDataKey", front.heard)
        self.assertIn(b"TrentService.Decrypt", front.heard)

    def test_any_other_certificate_is_refused_before_a_word_is_said(self):
        self.authority = Authority(self.at.folder, "ours")
        other = Authority(self.at.folder, "others")
        self.at.bucket("bucket", "aws:kms", self.key)
        for name, *ca in (("127.0.0.1",), ("127.0.0.1", "--kms-ca-file", other.file),
                          ("kms.example", "--kms-ca-file", self.authority.file), ("127.0.0.2", "--kms-ca-file", self.authority.file)):
            with self.subTest(name=name, ca=ca):
                front = self.over_tls(name, *ca)
                self.answers_within(write_file, self.at.path("bucket", "file"), b"never sealed")
                self.assertGreater(front.connections, 0)
                self.assertEqual(front.heard, b"")
                self.assertEqual(self.state()["state"], "away")
                self.assertIn("certificate", self.state()["last_failure"])

    def test_a_start_that_cannot_work_says_what_to_give(self):
        self.at.unmount()
        for flags, word in ((("--kms-endpoint", "http://kms.example", *self.flags[2:]), "http://"),
                            (("--kms-endpoint", self.flags[1], "--kms-credentials-file", "/nowhere"), "--kms-credentials-file"),
                            (("--kms-endpoint", self.flags[1]), "AWS_ACCESS_KEY_ID")):
            done = coffer("mount", self.at.store, self.at.dir, *flags, code=None,
                          env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")})
            self.assertIn(done.returncode, (2, 4))
            self.assertIn(word, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)

    def test_no_secret_is_logged_and_none_is_on_a_command_line(self):
        self.at.unmount()
        with open(os.path.join(self.there.store, "credentials")) as file:
            text = file.read()
        secret = text.split("aws_secret_access_key = ")[1].split("\n")[0]
        log = os.path.join(self.at.folder, "log")
        with open(log, "wb") as sink:
            daemon = subprocess.Popen([COFFERD, self.at.store, self.at.dir, "-f", *self.flags], stderr=sink)
        wait_for(lambda: self.at.mounted and os.path.exists(self.at.socket), "the mount")
        self.at.bucket("bucket", "aws:kms", self.key)
        write_file(self.at.path("bucket", "secret-name"), content(1, 100), sync=True)
        self.there.kill()
        self.answers_within(write_file, self.at.path("bucket", "other-name"), b"x")
        with open(f"/proc/{daemon.pid}/cmdline", "rb") as file:
            self.assertNotIn(secret.encode(), file.read())
        self.at.unmount()
        daemon.wait(timeout=60)
        logged = read_file(log).decode()
        self.assertIn("does not answer", logged)
        for word in (secret, "secret-name", "other-name", self.key, "Plaintext"):
            self.assertNotIn(word, logged)
        self.come_back()
        self.at.mount(*self.flags)
        self.assertEqual(read_file(self.at.path("bucket", "secret-name")), content(1, 100))


if __name__ == "__main__":
    main()
