#!/usr/bin/python3
"""Makes golden stores: make.py FOLDER [STORE...], those named or all. Needs root, /dev/fuse and $COFFER_BIN.

Only for what has no store here yet: a store that is here has to stay readable as it is. One store for each scheme;
between them each kind of unlock slot, and one whose daemon was killed. `journal` is as a power cut leaves it: what was
synced last is in the catalog's journal alone. `access` has users, policies and grants.
"""

import hashlib
import json
import os
import stat
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, os.pardir, "mount")]

from mounted import BIN, SSE, Scratch, coffer, content, read_file, run, write_file  # noqa: E402

import stores  # noqa: E402

CHUNK = 16384
LOG_HEADERS = 8192
SCHEMES = {  # store -> SSE, Bucket Key, the default that the half-resealed object is on its way to; none: a mount would end that
    "sse-s3": ("AES256", False, "aws:kms:dsse"),
    "sse-kms": ("aws:kms", False, "AES256"),
    "bucket-key": ("aws:kms", True, "AES256"),
    "dsse-kms": ("aws:kms:dsse", False, "aws:kms"),
    "journal": ("AES256", False, None),
    "access": ("aws:kms", False, "AES256"),
}
ACCOUNT, OTHER = "000000000000", "111122223333"
ANN, BOB, EVE = f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:user/bob", f"arn:aws:iam::{OTHER}:user/eve"
KILLED = ("dsse-kms", "journal")


def fill(at):
    """Objects of every shape, and every kind of name, in bucket `bucket`."""
    path = lambda *parts: at.path("bucket", *parts)
    os.mkdir(path("folder"), 0o751)
    write_file(path("empty"), b"")
    write_file(path("inline"), content("inline", 3000))
    write_file(path("large"), content("large", CHUNK + 7))
    with open(path("sparse"), "wb") as file:
        file.seek(5 * CHUNK + 100)
        file.write(content("sparse", 300))
        file.truncate(200 * CHUNK + 17)
    write_file(path("linked"), content("linked", 500))
    os.link(path("linked"), path("folder", "link"))
    write_file(path("before"), content("renamed", 8193), sync=True)
    os.rename(path("before"), path("folder", "renamed"))
    write_file(path("attributes"), content("attributes", 100))
    os.setxattr(path("attributes"), "user.color", b"green\0\xff")
    os.chmod(path("attributes"), 0o4711)
    os.chown(path("attributes"), 1000, 100)
    write_file(path("overwritten"), content("first", CHUNK + 100), sync=True)
    with open(path("overwritten"), "r+b") as file:
        file.seek(CHUNK + 5)
        file.write(content("second", 200))
    write_file(path("näme with\nodd bytes"), b"x")
    os.symlink("folder/renamed", path("symlink"))


def described(at):
    """The tree as a mount shows it: objects by BUCKET/KEY, and symbolic links."""
    objects, symlinks = {}, {}
    for folder, _, names in os.walk(at.dir):
        for name in names:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, at.dir)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                symlinks[key] = os.readlink(path)
                continue
            objects[key] = {
                "size": status.st_size,
                "sha256": hashlib.sha256(read_file(path)).hexdigest(),
                "mode": oct(stat.S_IMODE(status.st_mode)),
                "owner": [status.st_uid, status.st_gid],
                "links": status.st_nlink,
                "mtime": status.st_mtime_ns,
                "ino": status.st_ino,
                "xattrs": {name: os.getxattr(path, name).hex() for name in os.listxattr(path)},
                "sse": os.getxattr(path, SSE).decode(),
            }
    return objects, symlinks


def give_access(at, key):
    """Users of two accounts, of whom ann may use the key, and bob and eve may not; policies of each kind, and a grant."""
    def file(*statements):
        path = os.path.join(at.folder, "policy")
        write_file(path, json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).encode())
        return path
    for name, account in (("ann", ACCOUNT), ("bob", ACCOUNT), ("eve", OTHER)):
        at.cli("user", "create", name, "--account", account)
    all_of_it = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    for name, account in (("ann", ACCOUNT), ("eve", OTHER)):
        at.cli("policy", "put", file(all_of_it), "--user", name, "--account", account)
    at.cli("policy", "put", file({"Effect": "Deny", "Principal": {"AWS": BOB}, "Action": "s3:*", "Resource": "arn:aws:s3:::bucket"}),
           "--bucket", "bucket")
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    at.cli("kms", "put-key-policy", key, file({**all_of_it, "Principal": root}))
    status, answer = at.wire().kms("CreateGrant", KeyId=key, GranteePrincipal=EVE, Operations=["DescribeKey"])
    assert status == 200, answer


def access(at, key):
    """What give_access gave, as the daemon tells it."""
    return {
        "key": key,
        "users": {account: at.json("user", "list", "--account", account) for account in (ACCOUNT, OTHER)},
        "keys": {"ann": at.json("user", "list-keys", "ann"), "bob": at.json("user", "list-keys", "bob")},
        "user_policy": at.cli("policy", "get", "--user", "ann").stdout,
        "bucket_policy": at.cli("policy", "get", "--bucket", "bucket").stdout,
        "key_policy": at.cli("kms", "get-key-policy", key).stdout,
        "grants": at.json("kms", "list-grants", key),
    }


def half_resealed(sse, next_sse):
    """What the program of that name makes."""
    chunks = [b"chunk %d" % chunk for chunk in range(70)]
    chunks[0] = b"Chunk 0"
    data = b"".join(chunk.ljust(CHUNK, b"\0") for chunk in chunks[:-1]) + chunks[-1]
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "mode": "0o600", "owner": [0, 0], "links": 1,
            "xattrs": {}, "sse": sse, "next_sse": next_sse}


def overwrite_and_lose(at):
    """A synced overwrite whose data file a power cut left as it was before; the tree with it."""
    at.mount()
    objects = os.path.join(at.store, "objects")
    before = {path: read_file(path) for path in (os.path.join(folder, name) for folder, _, names in os.walk(objects) for name in names)}
    with open(at.path("bucket", "overwritten"), "r+b") as file:
        file.seek(CHUNK + 50)
        file.write(content("third", 20))
        file.flush()
        os.fsync(file.fileno())
    tree = described(at)
    at.kill()
    changed = [path for path, data in before.items() if read_file(path) != data]
    assert changed, "nothing reached a data file"
    for path in changed:
        write_file(path, before[path])
    return tree


def cut_log(at):
    """Of a store that was unmounted: frames of generations that are over mean nothing, and do not compress."""
    os.truncate(os.path.join(at.store, "coffer.db-wal"), LOG_HEADERS)


def make(name, folder):
    """One store, packed; its entry in the manifest."""
    sse, bucket_key, next_sse = SCHEMES[name]
    at = Scratch()
    secret = os.path.join(at.folder, "secret")
    if name == "sse-kms":
        write_file(secret, b"the golden store's passphrase\n")
        at.unlock = ("--passphrase-file", secret)
        unlock = {"kind": stores.PASSPHRASE, "secret": "the golden store's passphrase\n"}
    else:
        write_file(secret, os.urandom(32))
        at.unlock = ("--key-file", secret)
        unlock = {"kind": stores.KEY_FILE, "secret": read_file(secret).hex()}
    ended = "killed" if name in KILLED else "unmounted"
    try:
        at.init()
        unlocks = [unlock]
        if name == "bucket-key":
            words = coffer("unlock", "add", at.store, *at.unlock, "--recovery").stdout.split()
            unlocks.append({"kind": stores.RECOVERY, "secret": max(words, key=len)})
        at.mount()
        key = None if sse == "AES256" else at.create_key()
        for bucket in ("bucket", "half"):
            at.bucket(bucket, sse, key, bucket_key)
        fill(at)
        if key:
            at.cli("kms", "rotate-key", key)
            write_file(at.path("bucket", "after a rotation"), content("rotated", 900))
        if name == "access":
            give_access(at, key)
        at.remount()  # what is described was stored
        objects, symlinks = described(at)
        entry = {"ended": ended, "unlock": unlocks}
        if name == "access":
            entry["access"] = access(at, key)
        at.unmount()
        cut_log(at)
        if next_sse:
            run([os.path.join(BIN, "tests", "golden", "half_resealed"), at.store, *at.unlock, "half", "object", next_sse,
                 "kill" if ended == "killed" else "end"])
            objects["half/object"] = half_resealed(sse, next_sse)
        else:
            objects, symlinks = overwrite_and_lose(at)
        if ended == "unmounted":
            cut_log(at)
        stores.pack(at.store, os.path.join(folder, name + ".tar.xz"))
        return {**entry, "objects": objects, "symlinks": symlinks}
    finally:
        at.close()


def main(folder, *names):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "manifest.json")
    kept = stores.manifest(folder) if os.path.exists(path) else {}
    made = {"format": 1, "stores": {**kept, **{name: make(name, folder) for name in names or SCHEMES}}}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
