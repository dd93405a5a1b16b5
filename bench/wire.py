"""The admin socket under load: configuration and KMS calls per second, and how long the slowest wait, by number of connections.

    wire.py --out FILE.json [--seconds 5] [--work DIR]

The requests are signed beforehand and sent by wire_load.cc, so that the client is not what is measured; signatures hold for 15
minutes.
"""

import base64
import datetime
import hashlib
import json
import os
import sys

import targets

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "tests", "mount"))
from mounted import Wire, rule_xml  # noqa: E402

CONNECTIONS = (1, 8, 64)
HERE = os.path.dirname(os.path.abspath(__file__))


def signed(wire, method, target, body=b"", service="s3", headers=None):
    """The bytes of one request. target: a path, with ?encryption= behind it or not."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    sent = {"host": "localhost", "x-amz-date": date, "x-amz-content-sha256": digest, **(headers or {})}
    path, mark, _ = target.partition("?")
    scope = f"{date[:8]}/{wire.region}/{service}/aws4_request"
    signature, names = wire.signature(method, path, {"encryption": ""} if mark else {}, sent, date, scope, wire.secret, digest)
    sent["authorization"] = f"AWS4-HMAC-SHA256 Credential={wire.key}/{scope}, SignedHeaders={names}, Signature={signature}"
    sent["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body


def kms(wire, operation, **members):
    return signed(wire, "POST", "/", json.dumps(members).encode(), "kms",
                  {"x-amz-target": f"TrentService.{operation}", "content-type": "application/x-amz-json-1.1"})


def calls(wire, target):
    """{what is measured: [requests, sent in turn]}"""
    key = target.coffer("kms", "create-key").strip()
    context = {"aws:s3:arn": "arn:aws:s3:::bench-bucket/object"}
    status, made = wire.kms("GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    assert status == 200 and len(base64.b64decode(made["Plaintext"])) == 32
    uri = "/bench-bucket?encryption="
    return {
        "GetBucketEncryption": [signed(wire, "GET", uri)],
        "PutBucketEncryption": [signed(wire, "PUT", uri, rule_xml("aws:kms", key, True)), signed(wire, "PUT", uri, rule_xml("AES256"))],
        "GenerateDataKey": [kms(wire, "GenerateDataKey", KeyId=key, KeySpec="AES_256", EncryptionContext=context)],
        "Decrypt": [kms(wire, "Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=context)],
    }


def measure(program, wire, target, folder, seconds):
    found = {}
    for name, requests in calls(wire, target).items():
        files = []
        for i, request in enumerate(requests):
            files.append(os.path.join(folder, f"{name}-{i}"))
            with open(files[-1], "wb") as file:
                file.write(request)
        found[name] = {}
        for connections in CONNECTIONS:
            run = json.loads(targets.run(program, wire.socket_path, connections, seconds, *files))
            run["calls_per_second"] = run["calls"] / run["seconds"]
            found[name][str(connections)] = run
            print(f"{name}, {connections} connections: {run['calls_per_second']:.0f} calls/s, p50 {run['p50_us']:.0f} us, "
                  f"p99 {run['p99_us']:.0f} us")
    return found


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    asked = parser.parse_args()
    os.makedirs(asked.work, exist_ok=True)
    program = os.path.join(asked.work, "wire_load")
    targets.run("c++", "-std=c++20", "-O2", "-pthread", os.path.join(HERE, "wire_load.cc"), "-o", program)
    target = targets.make("coffer", asked.work)
    try:
        target.up()
        wire = Wire(os.path.join(target.back, "admin.sock"), os.path.join(target.back, "credentials"))
        found = measure(program, wire, target, asked.work, asked.seconds)
        target.down()
    finally:
        target.give_up()
    with open(asked.out, "w") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
