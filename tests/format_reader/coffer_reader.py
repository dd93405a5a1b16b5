#!/usr/bin/python3
"""Reads one object of a Coffer store, written from docs/FORMAT.md alone: no code is shared with Coffer.

    coffer_reader.py STORE KEYFILE BUCKET/KEY                     prints the object's bytes
    coffer_reader.py --passphrase STORE PASSPHRASEFILE BUCKET/KEY   the same, with a passphrase's first line

The store must not be mounted. Nothing is written to it. Exit codes: 0 done, 3 damage, 5 no such object.
"""

import os
import sys

sys.dont_write_bytecode = True

from catalog import open_catalog, restored
from keys import LocalKms, unlock
from objects import Object, find
from sealing import Damaged


def current_boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.readline().rstrip("\n")


class Store:
    """A store, unlocked and read into memory."""

    def __init__(self, path, secret, kind="key-file"):
        self.path = path
        self.root, keyslots_hash = unlock(path, secret, kind)
        self.database = open_catalog(self.root, path, current_boot_id(), keyslots_hash)
        self.restored = restored(self.database)
        self.pages = self.database.execute("PRAGMA page_count").fetchone()[0]
        self.kms = LocalKms(self.root, self.database)

    def object(self, name):
        """BUCKET/KEY, bytes."""
        return Object(self.path, self.root, self.kms, self.database, find(self.database, name))


def main(arguments):
    kind = "key-file"
    if arguments[:1] == ["--passphrase"]:
        kind, arguments = "passphrase", arguments[1:]
    if len(arguments) != 3:
        sys.exit(__doc__)
    store, secret_file, name = arguments
    with open(secret_file, "rb") as file:
        secret = file.read()
    if kind == "passphrase":
        secret = secret.split(b"\n")[0].rstrip(b"\r")
    try:
        Store(store, secret, kind).object(os.fsencode(name)).write_to(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except FileNotFoundError:
        print(f"coffer_reader: there is no object {name}", file=sys.stderr)
        sys.exit(5)
    except Damaged as damage:
        print(f"coffer_reader: {damage}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main(sys.argv[1:])
