"""Golden stores: what is packed beside this file, and how it is unpacked."""

import contextlib
import json
import os
import shutil
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KEY_FILE, PASSPHRASE, RECOVERY = "key-file", "passphrase", "recovery"


def manifest(folder=HERE):
    """name -> {"ended", "unlock": [{"kind", "secret"}], "objects": {BUCKET/KEY: {...}}, "symlinks": {...}}"""
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        return json.load(file)["stores"]


def pack(store, archive):
    """Times, owners and sockets are no part of a store."""
    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry if entry.isdir() or entry.isfile() else None
    with tarfile.open(archive, "w:xz", preset=9) as tar:
        tar.add(store, "store", filter=plain)


@contextlib.contextmanager
def unpacked(name, folder=HERE):
    """A folder with the store in it, as `store`, until the block ends."""
    at = tempfile.mkdtemp(prefix="coffer-golden-")
    try:
        with tarfile.open(os.path.join(folder, name + ".tar.xz")) as tar:
            tar.extractall(at)
        yield at
    finally:
        shutil.rmtree(at, ignore_errors=True)


def secret_file(folder, unlock):
    """The unlock secret in a file of its own, and the flag that names it to the program."""
    path = os.path.join(folder, "secret")
    with open(path, "wb") as file:
        file.write(bytes.fromhex(unlock["secret"]) if unlock["kind"] == KEY_FILE else unlock["secret"].encode())
    flags = {KEY_FILE: "--key-file", PASSPHRASE: "--passphrase-file", RECOVERY: "--recovery-file"}
    return flags[unlock["kind"]], path
