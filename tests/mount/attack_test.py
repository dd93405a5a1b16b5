"""The admin server under attack, over the Unix socket and over --listen, while a program reads and writes on the mount.

What is claimed of each attack: an answer or a close within the limits of base/limits.h and base/server_limits.h, memory and
descriptors of the daemon bounded, whoever signs is served while it goes on, and the mount is as if nothing were.
"""

import contextlib
import errno
import os
import resource
import socket
import threading
import time

from mounted import LONG, MountTest, Scratch, content, main, read_file, rule_xml, wait_for, write_file

CONNECTIONS = 10_000
IDLE_SECONDS, REQUEST_SECONDS = 15, 60
PLACES = 2 * 128                  # of both listeners, with those that are ending
DESCRIPTORS = PLACES + 64
GROWTH_KB = 64_000               # of the daemon's memory, whatever is sent to it
KINDS = ("unix", "tcp")


class Attack(MountTest):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what the daemon gets is what most systems give
        self.at = Scratch()
        self.addCleanup(self.at.close)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.at.init().mount("--listen", f"127.0.0.1:{self.port}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
        self.at.bucket("bucket", "aws:kms", bucket_key=True)
        self.expected = {f"f{i}": content(i, 100_000) for i in range(20)}
        for name, data in self.expected.items():
            write_file(self.at.path("bucket", name), data)
        self.signed = self.at.wire()
        self.start_kb = self.memory_kb()

    # --- the daemon ---
    def memory_kb(self):
        with open(f"/proc/{self.at.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.at.pid}/fd"))

    def bounded(self):
        if b"libasan" not in read_file(f"/proc/{self.at.pid}/maps"):
            self.assertLess(self.memory_kb() - self.start_kb, GROWTH_KB)
        self.assertLess(self.descriptors(), DESCRIPTORS)

    @contextlib.contextmanager
    def mount_in_use(self):
        """Reads and writes go on, each right, at least ten rounds of them."""
        over, failed, rounds = threading.Event(), [], [0]

        def work():
            try:
                while not over.is_set() or rounds[0] < 10:
                    for name, data in self.expected.items():
                        if read_file(self.at.path("bucket", name)) != data:
                            raise AssertionError(name)
                    write_file(self.at.path("bucket", "written"), content(rounds[0], 50_000), sync=True)
                    rounds[0] += 1
            except BaseException as error:
                failed.append(error)
        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()
        self.assertEqual(failed, [])
        self.assertEqual(read_file(self.at.path("bucket", "written")), content(rounds[0] - 1, 50_000))

    # --- clients ---
    def connect(self, kind, timeout=REQUEST_SECONDS + IDLE_SECONDS + 15, blocking=True):
        client = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        client.settimeout(timeout if blocking else 0)
        try:
            client.connect(self.at.socket if kind == "unix" else ("127.0.0.1", self.port))
        except BlockingIOError:
            if kind == "unix":  # the backlog is full; TCP goes on by itself
                client.close()
                return None
        return client

    def rest(self, client):
        """What comes until the server ends it, or has answered and shown that it waits for more."""
        got = b""
        try:
            while True:
                piece = client.recv(65536)
                if not piece:
                    return got
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            return got

    def attack(self, kind, data):
        """Sends it, ends sending, and answers what came until the close, which must come in time."""
        client = self.connect(kind)
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError as error:  # it has heard enough, and is gone
            self.assertIn(error.errno, (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN))
        got = self.rest(client)
        client.close()
        return got

    def served(self):
        answer = self.signed.get_encryption("bucket")
        self.assertEqual((answer.status, answer.find("SSEAlgorithm")), (200, "aws:kms"))

    def refused(self, data, kinds=KINDS):
        for kind in kinds:
            got = self.attack(kind, data)
            begin, *answers = got.split(b"HTTP/1.1 ")
            self.assertEqual(begin, b"")
            for answer in answers:
                self.assertTrue(answer.startswith((b"4", b"505 ")), (kind, data[:80], got[:200]))
        self.served()

    # --- the attacks ---
    def test_ten_thousand_connections_keep_nobody_out(self):
        put = b"PUT / HTTP/1.1\r\nHost: h\r\n"
        openings = (b"", b"G", put, put + b"Content-Length: 65536\r\n\r\n" + b"x" * 60_000)
        held, counts = [], dict.fromkeys(KINDS, 0)
        with self.mount_in_use():
            for i in range(CONNECTIONS):
                kind = KINDS[i % 2]
                client = wait_for(lambda: self.connect(kind, blocking=False), "room among the waiting connections")
                held.append(client)
                counts[kind] += 1
                try:
                    client.send(openings[i // 2 % len(openings)])
                except (BlockingIOError, ConnectionResetError, BrokenPipeError):
                    pass
                if i % 1000 == 999:
                    self.bounded()
                    self.served()
            self.bounded()
            self.served()
            self.assertEqual(counts, dict.fromkeys(KINDS, CONNECTIONS // 2))
        for client in held:
            client.close()
        wait_for(lambda: self.descriptors() < 64, "the connections to be gone", 60)

    def test_half_requests_and_silence_are_ended(self):
        with self.mount_in_use():
            clients = []
            put = b"PUT / HTTP/1.1\r\nHost: h\r\n"
            for kind in KINDS:
                for data in (b"", b"GET", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX-A",
                             put + b"Content-Length: 9\r\n\r\nabc", put + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"):
                    client = self.connect(kind)
                    client.sendall(data)
                    clients.append(client)
            for client in clients:
                self.assertIn(self.rest(client)[:12], (b"", b"HTTP/1.1 408"))
                client.close()
        self.served()
        self.bounded()

    def test_slow_clients_are_ended_however_they_drip(self):
        """A byte a second is never idle; only --long waits until it has had its time."""
        begins = [b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n"]
        ended, begun = {}, time.monotonic()
        seconds = REQUEST_SECONDS + IDLE_SECONDS + 15 if LONG else 5

        def drip(kind, data):
            client = self.connect(kind)
            try:
                client.sendall(data)
                while time.monotonic() - begun < seconds:
                    client.sendall(b"x")
                    time.sleep(1)
            except (ConnectionResetError, BrokenPipeError):
                ended[kind, data] = time.monotonic() - begun
            client.close()
        with self.mount_in_use():
            slow = [threading.Thread(target=drip, args=(kind, data)) for kind in KINDS for data in begins for _ in range(10)]
            for thread in slow:
                thread.start()
            while any(thread.is_alive() for thread in slow):
                self.served()
                self.bounded()
                time.sleep(0.1)
        if LONG:
            self.assertEqual(len(ended), len(KINDS) * len(begins), ended)

    def test_huge_headers_are_refused(self):
        long = b"a" * 1_000_000
        with self.mount_in_use():
            for data in (b"GET /" + long + b" HTTP/1.1\r\nHost: h\r\n\r\n", long, b"GET / HTTP/1.1\r\nHost: h\r\nX: " + long + b"\r\n\r\n",
                         b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(b"x-amz-%d: 1\r\n" % i for i in range(100_000)) + b"\r\n",
                         b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 101 + b"\r\n",
                         b"GET /?" + b"a&" * 100_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"):
                self.refused(data)
        self.bounded()

    def test_what_a_signature_names_many_times_is_not_written_many_times(self):
        """The text to be signed, and the refusal that repeats it, would be a thousand times what was sent."""
        names = b"host;x-amz-content-sha256;x-amz-date" + b";a" * 6000
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()
        credential = self.signed.key.encode() + b"/" + date[:8] + b"/us-east-1/s3/aws4_request"
        data = (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"v" * 6000 + b"\r\nX-Amz-Date: " + date +
                b"\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + credential +
                b", SignedHeaders=" + names + b", Signature=" + b"0" * 64 + b"\r\n\r\n")
        with self.mount_in_use():
            for kind in KINDS:
                got = self.attack(kind, data)
                self.assertTrue(got.startswith(b"HTTP/1.1 400"), got[:200])
                self.assertIn(b"AuthorizationHeaderMalformed", got)
                self.assertLess(len(got), 100_000)
        self.bounded()

    def test_bodies_over_the_limit_are_refused_or_cut_off(self):
        head = b"PUT /bucket?encryption= HTTP/1.1\r\nHost: h\r\n"
        with self.mount_in_use():
            self.refused(head + b"Content-Length: 10000000000\r\n\r\n" + b"x" * 2_000_000)
            self.refused(head + b"Content-Length: 65537\r\n\r\n" + b"x" * 65537)
            self.refused(head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 2 + b"0\r\n\r\n")
            self.refused(head + b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 1000)
            self.refused(head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + b"x" * 100_000)
            answer = self.signed.put_encryption("bucket", b" " * 65537)
            self.assertEqual((answer.status, answer.code), (400, "MaxMessageLengthExceeded"))
        self.bounded()

    def test_deep_wide_and_exploding_documents_are_malformed(self):
        bomb = b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        bomb += b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(12)) + b"]>"
        limit = 64 * 1024
        bodies = [b"<a>" * (limit // 7) + b"</a>" * (limit // 7), b"<a>" * (limit // 3), b"<a>" + b"<b/>" * (limit // 4 - 5) + b"</a>",
                  b"<ServerSideEncryptionConfiguration>" + b"<Rule/>" * 9000 + b"</ServerSideEncryptionConfiguration>",
                  b"<a " + b" ".join(b'b%d=""' % i for i in range(6000)) + b"/>",
                  bomb + rule_xml("&m;"), b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" + rule_xml("AES256"),
                  rule_xml("AES256").replace(b"AES", b"A\xc0\xafS"), rule_xml("aws:kms", "\x00"),
                  rule_xml("AES256").decode().encode("utf-16"),
                  b"&" * limit, b"<" * limit, b"<!--" * (limit // 4), b"<![CDATA[" * (limit // 9)]
        with self.mount_in_use():
            for body in bodies:
                answer = self.signed.put_encryption("bucket", body[:limit])
                self.assertEqual((answer.status, answer.code), (400, "MalformedXML"), body[:60])
            for body in (b"[" * limit, b'{"a":' * (limit // 5), b'{"KeyId":"\xff"}', b'{"KeyId":"a","KeyId":"b"}',
                         b"{" + b",".join(b'"%d":[]' % i for i in range(6000)) + b"}x"):
                answer = self.signed.request("POST", "/", {}, body, service="kms",
                                             headers={"x-amz-target": "TrentService.DescribeKey"})
                self.assertEqual(answer.status, 400)
                self.assertIn(b"SerializationException", answer.body)
        self.served()
        self.bounded()

    def test_requests_that_can_be_read_in_two_ways_reach_nobody(self):
        """Each is answered with 400 alone: what was smuggled in it would be answered with 403, as it is not signed."""
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        begin = b"PUT /bucket?encryption= HTTP/1.1\r\nHost: h\r\n"
        with self.mount_in_use():
            for headers in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                            b"Content-Length: 0\r\nContent-Length: 38\r\n", b"Content-Length: 0, 38\r\n",
                            b"Content-Length: +38\r\n", b"Content-Length: -1\r\n",
                            b"Content-Length : 38\r\n", b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: identity, chunked\r\n",
                            b"Transfer-Encoding : chunked\r\n", b"X: a\rTransfer-Encoding: chunked\r\n"):
                for kind in KINDS:
                    got = self.attack(kind, begin + headers + b"\r\n0\r\n\r\n" + smuggled)
                    self.assertEqual(got.count(b"HTTP/1.1 "), got.count(b"HTTP/1.1 400 "), (headers, got))
            for headers in (b"\x00X: a\r\n", b"Host: other\r\n",
                            b"X-Amz-Target: TrentService.ListKeys\r\nX-Amz-Target: TrentService.CreateKey\r\n",
                            b"Authorization: a\r\nAuthorization: b\r\n", b"X-Amz-Date: a\r\nX-Amz-Date: b\r\n"):
                self.refused(begin + headers + b"Content-Length: 0\r\n\r\n")
        self.bounded()

    def test_bytes_that_are_no_text_are_refused(self):
        with self.mount_in_use():
            for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                         bytes(range(256)) * 1000, b"GET /\xff\xfe\xc0\xaf HTTP/1.1\r\nHost: h\r\n\r\n",
                         b"GET /\xed\xa0\x80?\xff=\xfe HTTP/1.1\r\nHost: \xff\r\nX-Amz-Target: \xff\r\n\r\n",
                         b"GET /%ff%c0%af%00 HTTP/1.1\r\nHost: h\r\n\r\n", b"\r\n" * 100_000, b"\x00" * 100_000):
                self.refused(data)
        self.bounded()

    def test_a_flood_of_refused_requests_leaves_the_mount_alone(self):
        over = threading.Event()
        answered = [0]

        def flood(kind):
            while not over.is_set():
                client = self.connect(kind)
                try:
                    client.sendall(b"GET /bucket HTTP/1.1\r\nHost: h\r\n\r\n" * 50)
                    client.shutdown(socket.SHUT_WR)
                except (ConnectionResetError, BrokenPipeError):
                    pass
                answered[0] += self.rest(client).count(b"HTTP/1.1 403")
                client.close()
        attackers = [threading.Thread(target=flood, args=(kind,)) for kind in KINDS for _ in range(4)]
        with self.mount_in_use():
            for thread in attackers:
                thread.start()
            for _ in range(20):
                self.served()
                self.bounded()
        over.set()
        for thread in attackers:
            thread.join()
        self.assertGreater(answered[0], 50)


if __name__ == "__main__":
    main()
