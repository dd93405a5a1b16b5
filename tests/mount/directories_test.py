"""Listing directories while they change: what stays is listed once, from whatever offset a reader goes on."""

import ctypes
import os
import random
import struct
import threading

from mounted import LONG, SharedMountTest, checked, libc, main

ENTRIES = 1_000_000 if LONG else 20_000


class Listing:
    """An open directory, read as the C library's readdir does it; telldir is an entry's offset, seekdir an lseek to it."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def read(self, size=32768):
        """The next entries as (name, the offset behind it), without the dots; None at the end."""
        buffer = ctypes.create_string_buffer(size)
        used = checked(libc.getdents64(self.fd, buffer, size))
        found, at = [], 0
        while at < used:
            _, offset, length, _ = struct.unpack_from("<QqHB", buffer.raw, at)
            name = os.fsdecode(buffer.raw[at + 19:at + length].split(b"\0", 1)[0])
            if name not in (".", ".."):
                found.append((name, offset))
            at += length
        return found if used else None

    def rest(self, size=32768):
        while (found := self.read(size)) is not None:
            yield from found

    def seek(self, offset):
        os.lseek(self.fd, offset, os.SEEK_SET)


class Directories(SharedMountTest):
    def fill(self, count, prefix="entry"):
        names = [f"{prefix}-{i}" for i in range(count)]
        for name in names:
            os.close(os.open(self.path(name), os.O_CREAT | os.O_WRONLY))
        return names

    def names(self):
        with Listing(self.folder) as listing:
            return [name for name, _ in listing.rest()]

    def test_a_reader_goes_on_from_a_deleted_entry_after_another_listed_anew(self):
        names = self.fill(3000)
        self.names()  # the kernel has all of them, and refills what it has once a name is gone
        for steps in range(3):
            with Listing(self.folder) as one:
                first = one.read() + [entry for _ in range(steps) for entry in one.read()]
                gone = first[-1][0]
                os.unlink(self.path(gone))
                names.remove(gone)
                self.assertEqual(sorted(self.names()), sorted(names))
                rest = [name for name, _ in one.rest()]
            self.assertEqual(sorted([name for name, _ in first] + rest), sorted(names + [gone]))

    def test_two_readers_delete_everything_they_are_shown(self):
        self.fill(4000)
        chance = random.Random(1)
        with Listing(self.folder) as one, Listing(self.folder) as two:
            turns = [one, two]
            while turns:
                found = turns[0].read(4096)
                for name, _ in found or []:
                    try:
                        os.unlink(self.path(name))
                    except FileNotFoundError:
                        pass
                turns = turns[1:] + (turns[:1] if found is not None else [])
                if found and chance.random() < 0.2:
                    self.names()
        self.assertEqual(os.listdir(self.folder), [])

    def test_every_offset_leads_to_what_follows_it_also_after_deletions(self):
        self.fill(ENTRIES)
        chance = random.Random(1)
        with Listing(self.folder) as listing:
            entries = list(listing.rest())
            order = {name: i for i, (name, _) in enumerate(entries)}
            self.assertEqual(len(order), ENTRIES)
            self.assertEqual(len(entries), ENTRIES)
            self.assertEqual(len({offset for _, offset in entries}), ENTRIES)
            for where in chance.sample(range(ENTRIES), 50) + [0, ENTRIES - 1]:
                listing.seek(entries[where][1])
                found = listing.read() or []
                self.assertEqual(found, entries[where + 1:][:len(found)])
                self.assertEqual(found == [], where == ENTRIES - 1)
            gone = set(chance.sample(range(ENTRIES), ENTRIES // 4))
            for i in gone:
                os.unlink(self.path(entries[i][0]))
            for where in sorted(gone)[::max(1, len(gone) // 5)]:
                listing.seek(entries[where][1])
                found = [name for name, _ in listing.rest()]
                kept = [entries[i][0] for i in range(where + 1, ENTRIES) if i not in gone]
                self.assertEqual(len(found), len(set(found)))
                self.assertTrue(set(kept) <= set(found) and found == sorted(found, key=lambda name: order[name]))
        self.assertEqual(self.names(), [name for i, (name, _) in enumerate(entries) if i not in gone])

    def test_what_stays_is_listed_once_while_others_come_and_go(self):
        stays = set(self.fill(ENTRIES))
        goes = self.fill(2000, "old")
        stop = threading.Event()

        def change():
            for i, name in enumerate(goes):
                if stop.is_set():
                    break
                os.unlink(self.path(name))
                os.close(os.open(self.path(f"new-{i}"), os.O_CREAT | os.O_WRONLY))

        changing = threading.Thread(target=change)
        changing.start()
        try:
            for _ in range(3):
                with Listing(self.folder) as one, Listing(self.folder) as two:
                    found = ([], [])
                    for i, listing in ((0, one), (1, two)) * 3:
                        found[i].extend(name for name, _ in listing.read(8192) or [])
                    for i, listing in ((0, one), (1, two)):
                        found[i].extend(name for name, _ in listing.rest())
                for names in found:
                    self.assertEqual(len(names), len(set(names)), "nothing twice")
                    self.assertEqual(stays - set(names), set(), "nothing missed")
        finally:
            stop.set()
            changing.join()


if __name__ == "__main__":
    main()
