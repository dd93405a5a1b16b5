"""Nothing that went through the mount is readable in the store: 100,000 random markers, with a crash in between (I7)."""

import base64
import os
import stat

from mounted import MountTest, main, read_file, write_file

# Every marker is the same 8 random bytes followed by 8 of its own, so that one search for the 8 finds each of them, and a test
# below shows that it does. A name holds a marker in hex: the search looks for that writing of it too, and for base64's.
FILES, PER_FILE = 4000, 9
BIG_FILES, PER_BIG_FILE = 16, 3750


class Markers:
    def __init__(self):
        self.shared = os.urandom(8)
        self.made = 0

    def one(self):
        self.made += 1
        return self.shared + os.urandom(8)

    def name(self):
        return self.one().hex()

    def many(self, count, gap=b""):
        return gap.join(self.one() for _ in range(count))

    def found_in(self, data):
        writings = {self.shared, self.shared.hex().encode(), self.shared.hex().upper().encode(), self.shared[::-1]}
        for shift in range(3):  # base64 of the marker behind 0, 1 or 2 other bytes: the characters it alone decides
            text = base64.b64encode(bytes(shift) + self.shared)
            writings.add(text[(0, 2, 3)[shift]:10])
        return sum(data.count(writing) for writing in writings)


class Canary(MountTest):
    def search(self, markers):
        searched = 0
        for path in self.at.store_files():
            try:
                data = read_file(path)
            except FileNotFoundError:  # the daemon removed it meanwhile
                continue
            searched += len(data)
            self.assertEqual(markers.found_in(data), 0, f"plaintext in {os.path.relpath(path, self.at.store)}")
            self.assertEqual(markers.found_in(os.fsencode(path)), 0, "plaintext in a name of the store")
        return searched

    def write(self, markers, begin, end, folder):
        for i in range(begin, end):
            write_file(os.path.join(folder, markers.name()), markers.many(PER_FILE, b"\0" * (i % 3)))

    def write_big(self, markers, begin, end):
        for i in range(begin, end):
            data = markers.many(PER_BIG_FILE, b"-" * (i % 5))
            with open(self.at.path(("plain", "kms", "dsse")[i % 3], f"big-{i}"), "wb") as file:
                for at in range(0, len(data), 7001):  # chunks are rewritten as they fill
                    file.write(data[at:at + 7001])
                    file.flush()

    def test_the_search_finds_every_marker_where_nothing_is_sealed(self):
        markers = Markers()
        data = b"".join(markers.many(100, b"." * gap) for gap in range(20)) + "/".join(
            markers.name() for _ in range(1000)).encode()
        self.assertEqual(markers.found_in(data), markers.made)
        self.assertGreaterEqual(markers.found_in(base64.b64encode(b"ab" + markers.one())), 1)

    def test_no_marker_is_found_in_any_file_of_the_store(self):
        markers = Markers()
        self.at.bucket("plain")
        self.at.bucket("kms", "aws:kms", bucket_key=True)
        self.at.bucket("dsse", "aws:kms:dsse")
        folders = []
        for bucket in ("plain", "kms", "dsse"):
            folder = self.at.path(bucket, markers.name())
            os.mkdir(folder)
            os.symlink(markers.name(), os.path.join(folder, "link"))
            write_file(os.path.join(folder, "carrier"), markers.one())
            os.setxattr(os.path.join(folder, "carrier"), "user." + markers.name(), markers.one())
            folders.append(folder)
        for part in range(3):
            self.write(markers, part * FILES // 6, (part + 1) * FILES // 6, folders[part])
        self.write_big(markers, 0, BIG_FILES // 2)
        self.open_files_are_all_in_the_store()
        self.search(markers)
        self.at.kill()
        self.search(markers)
        self.at.mount()
        for part in range(3):
            self.write(markers, FILES // 2 + part * FILES // 6, FILES // 2 + (part + 1) * FILES // 6, folders[part])
        self.write_big(markers, BIG_FILES // 2, BIG_FILES)
        for part, name in enumerate(os.listdir(folders[0])[:200]):
            os.rename(os.path.join(folders[0], name), os.path.join(folders[0], markers.name()))
        self.search(markers)
        self.at.unmount()
        searched = self.search(markers)
        self.assertGreaterEqual(markers.made, 99_900)
        self.assertGreater(searched, markers.made * 8, "the markers were in the store, sealed")
        print(f"{markers.made} markers, {searched} bytes searched", flush=True)

    def open_files_are_all_in_the_store(self):
        """The daemon writes to no other file: no temporary, log or spill outside the store."""
        pid = self.at.pid
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                path = os.readlink(f"/proc/{pid}/fd/{fd}")
                regular = stat.S_ISREG(os.stat(f"/proc/{pid}/fd/{fd}").st_mode)
                flags = int(next(line for line in open(f"/proc/{pid}/fdinfo/{fd}") if line.startswith("flags")).split()[1], 8)
            except FileNotFoundError:
                continue
            if regular and flags & os.O_ACCMODE != os.O_RDONLY:
                self.assertTrue(path.startswith(self.at.store + "/"), path)


if __name__ == "__main__":
    main()
