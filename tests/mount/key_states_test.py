"""A key that stops serving, for files open and mapped before too (design, section 2)."""

import base64
import errno
import mmap
import os
import signal
import subprocess
import sys
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from mounted import EKEYREVOKED, ENOKEY, KMS_KEY_ID, MountTest, coffer, content, main, read_file, wait_for, write_file

SCHEMES = {"kms": ("aws:kms", False), "bucket-key": ("aws:kms", True), "dsse": ("aws:kms:dsse", False)}
SIZES = {"small": 3000, "large": 1_000_000}


def wrapped(public_key, material):
    """A caller's end of ImportKeyMaterial: RSAES_OAEP_SHA_256, base64 on both sides."""
    sha256 = hashes.SHA256()
    key = serialization.load_der_public_key(base64.b64decode(public_key))
    return base64.b64encode(key.encrypt(material, padding.OAEP(padding.MGF1(sha256), sha256, None))).decode()


def hold_mapping(path):
    """What the child does: maps a file, reads it all, and reads again when told to."""
    with open(path, "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        first = bytes(mapped)
        print(len(first), flush=True)
        sys.stdin.readline()
        print("same" if bytes(mapped) == first else "different", flush=True)


class Mapping:
    def __init__(self, path):
        self.child = subprocess.Popen([sys.executable, __file__, "map", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True)
        self.size = int(self.child.stdout.readline())

    def again(self):
        """What reading the mapping again gives: its exit code and what it found."""
        said, _ = self.child.communicate("\n", timeout=60)
        return self.child.returncode, said.strip()


class KeyStates(MountTest):
    def objects(self):
        self.key = self.at.create_key()
        paths = {}
        for bucket, (sse, bucket_key) in SCHEMES.items():
            self.at.bucket(bucket, sse, self.key, bucket_key)
            for name, size in SIZES.items():
                paths[bucket, name] = self.at.path(bucket, name)
                write_file(paths[bucket, name], content(bucket + name, size))
            write_file(self.at.path(bucket, "spare"), b"spare")
            write_file(self.at.path(bucket, "other"), b"other")
        self.at.bucket("untouched")
        write_file(self.at.path("untouched", "f"), b"readable throughout")
        return paths

    def revoked_then_back(self, revoke, restore):
        paths = self.objects()
        opened = {key: os.open(path, os.O_RDWR) for key, path in paths.items()}
        mapped = {key: Mapping(path) for key, path in paths.items()}
        kept = {key: Mapping(path) for key, path in paths.items()}
        for fd in opened.values():
            os.pread(fd, 100, 0)
        os.pwrite(opened["kms", "large"], b"written just before", 500_000)
        revoke()
        for (bucket, name), path in paths.items():
            with self.subTest("revoked", bucket=bucket, name=name):
                fd = opened[bucket, name]
                self.assertErrno(EKEYREVOKED, os.open, path, os.O_RDONLY)
                self.assertErrno(EKEYREVOKED, os.open, path, os.O_RDWR)
                self.assertErrno(EKEYREVOKED, os.pread, fd, 100, 0)
                self.assertErrno(EKEYREVOKED, os.pread, fd, 100, SIZES[name] - 100)
                self.assertEqual(mapped[bucket, name].again(), (-signal.SIGBUS, ""))
                self.assertEqual(os.stat(path).st_size, SIZES[name])
                self.assertEqual(os.getxattr(path, KMS_KEY_ID).decode(), self.key)
                self.assertEqual(self.at.inspect(bucket, name)["kms_key_arn"], self.key)
        for bucket in SCHEMES:
            self.assertEqual(sorted(os.listdir(self.at.path(bucket))), ["large", "other", "small", "spare"])
            os.unlink(self.at.path(bucket, "spare"))
            os.rename(self.at.path(bucket, "other"), self.at.path(bucket, "renamed"))
            self.assertErrno(EKEYREVOKED, write_file, self.at.path(bucket, "new"), b"x")
        self.assertEqual(read_file(self.at.path("untouched", "f")), b"readable throughout")
        restore()
        for (bucket, name), path in paths.items():
            with self.subTest("restored", bucket=bucket, name=name):
                expected = bytearray(content(bucket + name, SIZES[name]))
                if (bucket, name) == ("kms", "large"):
                    expected[500_000:500_019] = b"written just before"
                self.assertEqual(read_file(path), bytes(expected))
                self.assertEqual(os.pread(opened[bucket, name], SIZES[name], 0), bytes(expected))
                if (bucket, name) != ("kms", "large"):
                    self.assertEqual(kept[bucket, name].again(), (0, "same"))
                else:
                    kept[bucket, name].again()
                os.close(opened[bucket, name])
        for bucket in SCHEMES:
            self.assertEqual(read_file(self.at.path(bucket, "renamed")), b"other")
            write_file(self.at.path(bucket, "new"), b"x")

    def test_a_disabled_key_hides_all_and_enabling_brings_all_back(self):  # KMS-35, 36, OBJ-24
        self.revoked_then_back(lambda: self.at.cli("kms", "disable-key", self.key),
                               lambda: self.at.cli("kms", "enable-key", self.key))

    def test_scheduled_deletion_hides_all_and_cancelling_brings_all_back(self):  # KMS-35, 36, OBJ-24
        def restore():
            self.at.cli("kms", "cancel-key-deletion", self.key)
            state = self.at.json("kms", "describe-key", self.key)["KeyMetadata"]["KeyState"]
            self.assertEqual(state, "Disabled")
            self.assertErrno(EKEYREVOKED, read_file, self.at.path("kms", "small"))
            self.at.cli("kms", "enable-key", self.key)
        self.revoked_then_back(lambda: self.at.cli("kms", "schedule-key-deletion", self.key, "--days", "7"), restore)

    def test_the_state_holds_over_a_restart_and_offline(self):
        paths = self.objects()
        self.at.cli("kms", "disable-key", self.key)
        self.at.remount()
        for path in paths.values():
            self.assertErrno(EKEYREVOKED, read_file, path)
        self.at.unmount()
        coffer("cat", self.at.store, "kms/small", code=4)
        self.assertEqual(self.at.inspect_offline("kms/small")["kms_key_arn"], self.key)
        self.at.mount()
        self.at.cli("kms", "enable-key", self.key)
        for (bucket, name), path in paths.items():
            self.assertEqual(read_file(path), content(bucket + name, SIZES[name]))

    def test_what_is_written_to_an_open_file_after_the_key_is_disabled_fails_and_hurts_nothing(self):
        paths = self.objects()
        for bucket in SCHEMES:
            fd = os.open(paths[bucket, "large"], os.O_RDWR)
            self.at.cli("kms", "disable-key", self.key)

            def write():
                os.pwrite(fd, b"z" * 16384, 16384)
                os.fsync(fd)
            self.assertErrno((EKEYREVOKED, errno.EIO), write)
            self.at.cli("kms", "enable-key", self.key)
            self.assertEqual(read_file(paths[bucket, "large"]), content(bucket + "large", SIZES["large"]))
            try:
                os.close(fd)
            except OSError as error:  # the kernel reports the write it dropped once more
                self.assertIn(error.errno, (EKEYREVOKED, errno.EIO))

    def test_a_truncating_open_needs_only_the_current_defaults_key(self):
        paths = self.objects()
        self.at.put_rule("kms", "AES256")
        self.at.cli("kms", "disable-key", self.key)
        self.assertErrno(EKEYREVOKED, read_file, paths["kms", "small"])
        write_file(paths["kms", "small"], b"begun anew")
        self.assertEqual(read_file(paths["kms", "small"]), b"begun anew")
        self.assertEqual(self.at.inspect("kms", "small")["sse"], "AES256")

    def test_an_unknown_key_is_enokey(self):  # SEED-12, KMS-36
        self.at.bucket("bucket", "aws:kms", "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555")
        self.assertErrno(ENOKEY, write_file, self.at.path("bucket", "f"), b"x")

    def imported(self, *flags):
        """A bucket under a key whose material came from a file; the file's path."""
        material = os.path.join(self.at.folder, "material")
        write_file(material, content("material", 32))
        self.imported_key = self.at.cli("kms", "create-key", "--external").stdout.strip()
        self.at.bucket("imported", "aws:kms", self.imported_key)
        self.assertErrno(EKEYREVOKED, write_file, self.at.path("imported", "early"), b"x")
        self.at.cli("kms", "import-key-material", self.imported_key, material, *flags)
        return material

    def refused(self, fd):
        try:
            os.pread(fd, 100, 0)
        except OSError as error:
            self.assertEqual(error.errno, EKEYREVOKED)
            return True
        return False

    def test_objects_under_imported_material_go_and_come_with_it(self):
        material = self.imported()
        path = self.at.path("imported", "object")
        write_file(path, content(1, 100_000))
        self.at.cli("kms", "delete-imported-key-material", self.imported_key)
        self.assertErrno(EKEYREVOKED, read_file, path)
        self.at.remount()
        self.assertErrno(EKEYREVOKED, read_file, path)
        self.assertEqual(os.stat(path).st_size, 100_000)
        other = material + ".other"
        write_file(other, content("other", 32))
        self.at.cli("kms", "import-key-material", self.imported_key, other, code=1)
        self.at.cli("kms", "import-key-material", self.imported_key, material)
        self.assertEqual(read_file(path), content(1, 100_000))

    def test_imported_material_that_expires_takes_cached_pages_along(self):
        self.imported("--days", "1")
        path = self.at.path("imported", "object")
        write_file(path, content(1, 100_000))
        mapped = os.open(path, os.O_RDONLY)
        self.assertEqual(os.pread(mapped, 100_000, 0), content(1, 100_000))
        _, parameters = self.at.wire().kms("GetParametersForImport", KeyId=self.imported_key,
                                           WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
        status, answer = self.at.wire().kms("ImportKeyMaterial", KeyId=self.imported_key, ImportToken=parameters["ImportToken"],
                                            EncryptedKeyMaterial=wrapped(parameters["PublicKey"], content("material", 32)),
                                            ValidTo=time.time() + 1)
        self.assertEqual(status, 200, answer)
        wait_for(lambda: self.refused(mapped), "the kernel to forget what expired")
        self.assertErrno(EKEYREVOKED, read_file, path)
        os.close(mapped)

    def test_rotation_keeps_everything_readable(self):  # KMS-40, 41
        paths = self.objects()
        self.at.cli("kms", "rotate-key", self.key)
        write_file(self.at.path("kms", "after"), b"after")
        self.at.remount()
        for (bucket, name), path in paths.items():
            self.assertEqual(read_file(path), content(bucket + name, SIZES[name]))
        self.assertEqual(read_file(self.at.path("kms", "after")), b"after")


if __name__ == "__main__":
    if sys.argv[1:2] == ["map"]:
        hold_mapping(sys.argv[2])
    else:
        main()
