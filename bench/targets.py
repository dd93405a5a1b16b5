"""The file systems that are measured side by side: how each is mounted, and where on it the workloads run.

Every target keeps its files in WORK/NAME/back, so that all stand on the same disk, and is mounted on WORK/NAME/mnt. Coffer's variants
differ in the default encryption of the one bucket they work in.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import time

PASSTHROUGH_SOURCE = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c"
RULES = {
    "coffer": ("AES256", []),
    "coffer-kms": ("aws:kms", ["--sse", "aws:kms", "--bucket-key"]),
    "coffer-kms-each": ("aws:kms", ["--sse", "aws:kms"]),
    "coffer-dsse": ("aws:kms:dsse", ["--sse", "aws:kms:dsse"]),
    "coffer-copy": ("AES256", []),
}


def run(*words, **rest):
    if "input" not in rest:
        rest["stdin"] = subprocess.DEVNULL
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **rest)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(str(word) for word in words)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def arguments(doc):
    """A parser of what every program here takes: where to work, and where its figures go."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default="/tmp/coffer-bench")
    parser.add_argument("--out", required=True)
    return parser


def wait_for(true, what, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.005)


class Target:
    """One file system. dir is where the workloads run; up and down mount and unmount it; cold does both, so that the kernel serves
    nothing from what it kept of this mount. The files below stay in the host's page cache."""

    def __init__(self, name, work):
        self.name = name
        self.root = os.path.join(work, name)
        self.back = os.path.join(self.root, "back")
        self.mnt = os.path.join(self.root, "mnt")
        self.process = None
        if os.path.ismount(self.mnt):
            raise SystemExit(f"{self.mnt} is still mounted: unmount it first")
        shutil.rmtree(self.root, ignore_errors=True)
        os.makedirs(self.back)
        os.makedirs(self.mnt)
        self.prepare()

    dir = property(lambda self: self.mnt)

    def prepare(self):
        pass

    def mount(self):
        raise NotImplementedError

    def unmount(self):
        run("fusermount3", "-u", self.mnt)

    def up(self):
        self.mount()
        wait_for(lambda: os.path.ismount(self.mnt), f"{self.name} to mount")

    def down(self):
        self.unmount()
        wait_for(lambda: not os.path.ismount(self.mnt), f"{self.name} to unmount")
        if self.process:
            self.process.wait()
            self.process = None

    def cold(self):
        self.down()
        self.up()

    def make_durable(self):
        """All that was done is on the disk below. syncfs(2) does not reach a FUSE server; fsync of the root may."""
        root = os.open(self.mnt, os.O_RDONLY)
        try:
            os.fsync(root)
        except OSError:
            pass
        finally:
            os.close(root)
        run("sync", "-f", self.mnt, self.back)

    def give_up(self):
        """After a failure: nothing may stay mounted."""
        subprocess.run(["fusermount3", "-uqz", self.mnt], stderr=subprocess.DEVNULL)


class Raw(Target):
    """The disk itself."""
    dir = property(lambda self: self.back)

    def up(self):
        pass

    def down(self):
        pass

    def make_durable(self):
        run("sync", "-f", self.back)


class Passthrough(Target):
    """libfuse's own example, which does not encrypt."""

    def mount(self):
        program = os.path.join(os.path.dirname(self.root), "passthrough_ll")
        if not os.path.exists(program):
            flags = run("pkg-config", "--cflags", "--libs", "fuse3").split()
            run("cc", "-O2", PASSTHROUGH_SOURCE, "-o", program, *flags)
        options = f"source={self.back},cache=always" + (",writeback" if self.name.endswith("-wb") else "")
        # It holds a descriptor for each inode that the kernel knows.
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.process = subprocess.Popen([program, "-f", "-o", options, self.mnt], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Gocryptfs(Target):
    def prepare(self):
        self.password = os.path.join(self.root, "password")
        with open(self.password, "w") as file:
            file.write("benchmark\n")
        run("gocryptfs", "-init", "-q", "-scryptn", "10", "-passfile", self.password, self.back)

    def mount(self):
        run("gocryptfs", "-q", "-passfile", self.password, self.back, self.mnt)


class Encfs(Target):
    def mount(self):
        run("encfs", "--standard", "--extpass=echo benchmark", self.back, self.mnt)


class Cryfs(Target):
    def mount(self):
        done = subprocess.run(["cryfs", "--allow-replaced-filesystem", self.back, self.mnt], input="benchmark\n", text=True,
                              env=dict(os.environ, CRYFS_FRONTEND="noninteractive"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"cryfs: {done.stdout}")


class Coffer(Target):
    programs = os.path.abspath(os.environ.get("COFFER_BIN", "build"))
    options = os.environ.get("COFFER_OPTIONS", "").split()
    dir = property(lambda self: os.path.join(self.mnt, "bench-bucket"))

    def coffer(self, *words):
        return run(os.path.join(self.programs, "coffer"), *words, env=dict(os.environ, COFFER_SOCKET=f"{self.back}/admin.sock"))

    def prepare(self):
        os.rmdir(self.back)
        self.coffer("init", self.back)

    def mount(self):
        self.coffer("mount", self.back, self.mnt, *self.options)

    def up(self):
        super().up()
        algorithm, flags = RULES[self.name]
        if not os.path.isdir(self.dir):
            os.mkdir(self.dir)
            if flags:
                self.coffer("encryption", "put", "bench-bucket", *flags)
        rule = json.loads(self.coffer("encryption", "get", "bench-bucket", "--json"))["ServerSideEncryptionConfiguration"]["Rules"][0]
        if rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] != algorithm:
            raise RuntimeError(f"{self.dir} is not under {algorithm}")

    def unmount(self):
        self.coffer("unmount", self.mnt)

    def kms_calls(self):
        counts = json.loads(self.coffer("kms", "stats", "--json"))
        return counts.get("GenerateDataKey", 0) + counts.get("Decrypt", 0)

    def pid(self):
        return json.loads(self.coffer("status", "--json"))["mounts"][0]["pid"]

    def memory_peak_mb(self):
        with open(f"/proc/{self.pid()}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


class CofferCopy(Coffer):
    """A build whose cipher only copies (-Dcopy_cipher=true): what Coffer would do if encryption cost nothing."""
    programs = os.path.abspath(os.environ.get("COFFER_COPY_BIN", "build-copy"))


KINDS = {"raw": Raw, "passthrough": Passthrough, "passthrough-wb": Passthrough, "gocryptfs": Gocryptfs, "encfs": Encfs, "cryfs": Cryfs,
         **{name: Coffer for name in RULES}, "coffer-copy": CofferCopy}


def make(name, work):
    if name not in KINDS:
        raise SystemExit(f"unknown target {name}: there are {', '.join(KINDS)}")
    return KINDS[name](name, work)
