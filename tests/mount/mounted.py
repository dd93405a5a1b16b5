"""A scratch store on a real mount: what every test of this folder stands on.

Waits by polling, never by sleeping blindly, and leaves no mount, daemon or folder behind, also where a test fails. The S3 and KMS
client here is written from the SigV4 documents alone and shares nothing with the product.
"""

import atexit
import base64
import configparser
import ctypes
import datetime
import hashlib
import hmac
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import xml.etree.ElementTree as ElementTree

BIN = os.path.abspath(os.environ.get("COFFER_BIN", "build"))
COFFER = os.path.join(BIN, "coffer")
COFFERD = os.path.join(BIN, "cofferd")
LONG = os.environ.get("COFFER_LONG") == "1"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
SSE = "user.s3.server-side-encryption"
KMS_KEY_ID = "user.s3.server-side-encryption-aws-kms-key-id"
BUCKET_KEY = "user.s3.server-side-encryption-bucket-key-enabled"
EKEYREVOKED, ENOKEY = 128, 126

libc = ctypes.CDLL("libc.so.6", use_errno=True)


def checked(result):
    """The result of a libc call, or its errno as an OSError."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def wait_for(true, what, seconds=20.0):
    """Polls until true() answers something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.005)


def run(arguments, code=0, timeout=1800 if LONG else 180, env=None, **rest):
    """Runs a program to its end and demands its exit code; None takes any. Text in, text out."""
    rest.setdefault("stdin", subprocess.DEVNULL if "input" not in rest else None)
    if rest["stdin"] is None:
        del rest["stdin"]
    done = subprocess.run([str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, env=env, **rest)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(str(a) for a in arguments)}: exit {done.returncode}, not {code}\n"
                             f"{done.stdout}{done.stderr}")
    return done


def coffer(*arguments, **rest):
    return run([COFFER, *arguments], **rest)


def content(seed, size):
    return random.Random(seed).randbytes(size)


def write_file(path, data, sync=False):
    with open(path, "wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def fsync(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def flip(path, at):
    """Changes one bit of a file."""
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 0x10]))


def running(pid):
    """Whether a thread of the process runs: the first one may be dead while others still hold the process's files and locks."""
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] not in "ZX":
                    return True
        return False
    except (FileNotFoundError, ProcessLookupError):
        return os.path.exists(f"/proc/{pid}") and running(pid)


def daemons(store):
    """The cofferd processes of a store, found in /proc and not by asking the product."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == b"cofferd" and store.encode() in words and running(entry):
            found.append(int(entry))
    return found


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def find(self, name):
        """The text of the first element of this local name, None where there is none."""
        for element in ElementTree.fromstring(self.body).iter():
            if element.tag.rsplit("}", 1)[-1] == name:
                return element.text
        return None

    @property
    def code(self):
        return self.find("Code")

    @property
    def message(self):
        return self.find("Message")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)  # and a connect(2) does not wait for a place in the queue of a Unix socket
        wait_for(self.connected, "a place in the admin socket's queue", self.timeout)

    def connected(self):
        try:
            self.sock.connect(self.path)
            return True
        except BlockingIOError:
            return False


class Wire:
    """A client of the admin socket: S3's REST API and KMS's JSON API, signed here (SigV4, API reference)."""

    def __init__(self, socket_path, credentials, region="us-east-1"):
        profile = configparser.ConfigParser()
        profile.read(credentials)
        self.socket_path = socket_path
        self.key = profile["coffer"]["aws_access_key_id"]
        self.secret = profile["coffer"]["aws_secret_access_key"]
        self.region = region

    def signature(self, method, path, query, headers, date, scope, secret, payload_hash):
        signed = sorted(headers)
        escape = lambda text: urllib.parse.quote(text, safe="-_.~")
        canonical = "\n".join([
            method, urllib.parse.quote(path, safe="/-_.~"),
            "&".join(f"{escape(k)}={escape(v)}" for k, v in sorted(query.items())),
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed), "", ";".join(signed), payload_hash])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + secret).encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), ";".join(signed)

    def request(self, method, path, query=None, body=b"", headers=None, *, sign=True, key=None, secret=None, region=None,
                service="s3", now=None, payload_hash=None, unsigned=None, tamper=None):
        """One request. unsigned: headers added behind the signature's back; tamper: what is sent in place of the body;
        payload_hash: '' leaves the header out."""
        query = query or {}
        moment = now or datetime.datetime.now(datetime.timezone.utc)
        date = moment.strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest() if payload_hash is None else payload_hash
        sent = {"host": "localhost", **{k.lower(): v for k, v in (headers or {}).items()}}
        if sign:
            sent["x-amz-date"] = date
            if digest:
                sent["x-amz-content-sha256"] = digest
            scope = f"{date[:8]}/{region or self.region}/{service}/aws4_request"
            signature, names = self.signature(method, path, query, sent, date, scope, secret or self.secret, digest)
            sent["authorization"] = (f"AWS4-HMAC-SHA256 Credential={key or self.key}/{scope}, SignedHeaders={names}, "
                                     f"Signature={signature}")
        sent.update(unsigned or {})
        target = urllib.parse.quote(path, safe="/-_.~")
        if query:
            target += "?" + "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}"
                                     for k, v in query.items())
        connection = UnixConnection(self.socket_path)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            payload = body if tamper is None else tamper
            for name, value in sent.items():
                connection.putheader(name, value)
            if method in ("PUT", "POST") or payload:
                connection.putheader("content-length", str(len(payload)))
            connection.endheaders(payload)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def presigned(self, method, path, query, body=b"", *, secret=None, ago=0, expires=60, drop=None):
        """One request signed in its query, `ago` seconds ago; drop: a parameter left out after it was signed."""
        moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=ago)
        date = moment.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{date[:8]}/{self.region}/s3/aws4_request"
        query = {**query, "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{self.key}/{scope}",
                 "X-Amz-Date": date, "X-Amz-Expires": str(expires), "X-Amz-SignedHeaders": "host"}
        query["X-Amz-Signature"], _ = self.signature(method, path, query, {"host": "localhost"}, date, scope,
                                                     secret or self.secret, "UNSIGNED-PAYLOAD")
        query.pop(drop, None)
        return self.request(method, path, query, body, sign=False)

    def put_encryption(self, bucket, xml, **rest):
        return self.request("PUT", f"/{bucket}", {"encryption": ""}, xml, **rest)

    def get_encryption(self, bucket, **rest):
        return self.request("GET", f"/{bucket}", {"encryption": ""}, **rest)

    def kms(self, operation, **parameters):
        body = json.dumps(parameters).encode()
        answer = self.request("POST", "/", {}, body, service="kms", headers={
            "x-amz-target": f"TrentService.{operation}", "content-type": "application/x-amz-json-1.1"})
        return answer.status, json.loads(answer.body or b"{}")


def rule_xml(sse, key=None, bucket_key=None):
    """A PutBucketEncryption body, as the SDKs write it."""
    key = f"<KMSMasterKeyID>{key}</KMSMasterKeyID>" if key else ""
    flag = "" if bucket_key is None else f"<BucketKeyEnabled>{str(bucket_key).lower()}</BucketKeyEnabled>"
    return (f'<ServerSideEncryptionConfiguration xmlns="{NAMESPACE}"><Rule><ApplyServerSideEncryptionByDefault>'
            f"<SSEAlgorithm>{sse}</SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault>{flag}</Rule>"
            f"</ServerSideEncryptionConfiguration>").encode()


def content_md5(body):
    return base64.b64encode(hashlib.md5(body).digest()).decode()


class Scratch:
    """A folder of one test with a store in it; the store is initialised and mounted by calls."""

    def __init__(self, unlock=(), parent=None):
        self.folder = tempfile.mkdtemp(prefix="coffer-", dir=parent)
        self.store = os.path.join(self.folder, "store")
        self.dir = os.path.join(self.folder, "mnt")
        self.unlock = tuple(unlock)
        os.mkdir(self.dir)
        atexit.register(self.end)  # a test that is stopped runs no cleanups

    # --- life ---
    def init(self, *flags):
        coffer("init", self.store, *self.unlock, *flags)
        return self

    def mount(self, *flags, code=0):
        return coffer("mount", self.store, self.dir, *self.unlock, *flags, code=code)

    def unmount(self):
        coffer("unmount", self.dir)

    def remount(self, *flags):
        self.unmount()
        self.mount(*flags)

    def kill(self):
        """kill -9, and the dead mount taken away."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        self.bury(pid)

    def bury(self, pid):
        wait_for(lambda: not running(pid), "the killed daemon to end")
        run(["umount", "-l", self.dir], code=None)
        wait_for(lambda: not self.mounted, "the dead mount to go")

    def close(self):
        if daemons(self.store):
            run([COFFER, "unmount", self.dir], code=None)
        self.end()

    def end(self):
        """Leaves nothing, and waits for nobody."""
        atexit.unregister(self.end)
        for pid in daemons(self.store):
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not running(pid), "the daemon to end")
        while self.mounted:
            run(["umount", "-l", self.dir], code=None)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what is there ---
    @property
    def mounted(self):
        with open("/proc/self/mounts") as mounts:
            return any(line.split()[1] == self.dir for line in mounts)

    @property
    def pid(self):
        return wait_for(lambda: daemons(self.store), "a daemon of the store")[0]

    @property
    def socket(self):
        return os.path.join(self.store, "admin.sock")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def store_files(self):
        for folder, _, names in os.walk(self.store):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    yield path

    def data_files(self):
        return [path for path in self.store_files() if path.startswith(os.path.join(self.store, "objects"))]

    def data_bytes(self):
        """What the data files occupy; the daemon may remove some while they are looked at."""
        total = 0
        for path in self.data_files():
            try:
                total += os.stat(path).st_blocks * 512
            except FileNotFoundError:
                pass
        return total

    # --- talking to it ---
    def cli(self, *arguments, **rest):
        env = dict(os.environ, COFFER_SOCKET=self.socket, **rest.pop("extra_env", {}))
        return coffer(*arguments, env=env, **rest)

    def json(self, *arguments, **rest):
        return json.loads(self.cli(*arguments, "--json", **rest).stdout)

    def wire(self):
        return Wire(self.socket, os.path.join(self.store, "credentials"))

    def bucket(self, name, sse=None, key=None, bucket_key=False):
        """A bucket, under a rule where one is named; its path."""
        os.mkdir(self.path(name))
        if sse:
            self.put_rule(name, sse, key, bucket_key)
        return self.path(name)

    def put_rule(self, name, sse, key=None, bucket_key=False):
        self.cli("encryption", "put", name, "--sse", sse, *(["--key", key] if key else []),
                 *(["--bucket-key"] if bucket_key else []))

    def create_key(self):
        return self.cli("kms", "create-key").stdout.strip()

    def inspect(self, *parts):
        return self.json("inspect", self.path(*parts))

    def inspect_offline(self, name):
        return json.loads(coffer("inspect", self.store, name, *self.unlock, "--json").stdout)

    def calls(self):
        counts = self.json("kms", "stats")
        return counts.get("GenerateDataKey", 0), counts.get("Decrypt", 0)

    def fsck(self, code=0):
        return coffer("fsck", self.store, *self.unlock, code=code)


class MountTest(unittest.TestCase):
    """Each test has a fresh store on a mount in self.at; at the end it must unmount, and its fsck must be clean."""

    clean_at_end = True

    def setUp(self):
        self.at = Scratch()
        self.addCleanup(self.at.close)
        self.at.init().mount()

    def tearDown(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", []) or []) or not self._outcome.success
        if failed or not self.clean_at_end:
            return
        if self.at.mounted:
            self.at.unmount()
        self.at.fsck()

    def assertErrno(self, number, call, *arguments):
        numbers = number if isinstance(number, tuple) else (number,)
        with self.assertRaises(OSError) as caught:
            call(*arguments)
        self.assertIn(caught.exception.errno, numbers, caught.exception)


class SharedMountTest(MountTest):
    """One mount for all tests of a class, a bucket each: self.folder. Other users are let in."""

    mount_options = ("-o", "allow_other")

    @classmethod
    def setUpClass(cls):
        cls.shared = Scratch()
        cls.addClassCleanup(cls.shared.close)
        os.chmod(cls.shared.folder, 0o755)
        cls.shared.init().mount(*cls.mount_options)

    @classmethod
    def tearDownClass(cls):
        cls.shared.unmount()
        cls.shared.fsck()

    def setUp(self):
        self.at = self.shared
        self.name = "b" + hashlib.sha256(self.id().encode()).hexdigest()[:12]
        self.folder = self.at.bucket(self.name)

    def tearDown(self):
        run(["rm", "-rf", self.folder])
        self.assertFalse(os.path.exists(self.folder))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def touch(self, name):
        write_file(self.path(name), b"")
        return self.path(name)

    def drop_cache(self):
        """What the kernel keeps of the content of the test's files is written back and forgotten."""
        for base, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(base, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    drop_file(path)

    def remount(self):
        self.at.remount(*self.mount_options)


def drop_file(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def as_user(uid, function, *arguments, gid=None, groups=()):
    """What function(*arguments) answers in a process of that user, without any privilege; its OSError is raised here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        answer = (None, 255)
        try:
            os.setgroups(groups)
            os.setgid(uid if gid is None else gid)
            os.setuid(uid)
            answer = (function(*arguments), 0)
        except OSError as error:
            answer = (None, error.errno)
        finally:
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as file:
        value, number = json.load(file)
    if number == 255:
        raise AssertionError("the other user's call failed, and not with an errno")
    if number:
        raise OSError(number, os.strerror(number))
    return value


def main():
    """unittest.main, where FUSE is there. Without it: a failure under CI=true, else exit 77, which meson reads as skipped."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        print(f"mount tests not run: /dev/fuse: {error.strerror}")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as meson ends a test that takes too long
    unittest.main(verbosity=2)
