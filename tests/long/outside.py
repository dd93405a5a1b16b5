"""Runs other people's file system tests on a mount: programs that are not ours to ship, from where $PJDFSTEST and $FSX say.

    outside.py pjdfstest FOLDER   FOLDER: a checkout of pjdfstest, built
    outside.py fsx PROGRAM        PROGRAM: the fsx program of xfstests; $FSX_OPERATIONS of it with each of $FSX_SEEDS
"""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mount"))
from mounted import Scratch, run  # noqa: E402


def commit_of(folder):
    done = run(["git", "-C", folder, "rev-parse", "--short", "HEAD"], code=None)
    return done.stdout.strip() if done.returncode == 0 else "of unknown commit"


def mounted(work):
    """work(bucket) on a fresh store; true if it answers true, and the store is sound afterwards."""
    at = Scratch()
    try:
        os.chmod(at.folder, 0o755)
        at.init().mount("-o", "allow_other")
        good = work(at, at.bucket("bucket"))
        at.unmount()
        at.fsck()
        return good
    finally:
        at.close()


def pjdfstest(checkout):
    def work(_, bucket):
        done = subprocess.run(["prove", "-r", "-Q", os.path.join(checkout, "tests")], cwd=bucket, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout, end="")
        tests = re.search(r"Tests=(\d+)", done.stdout)
        failed = sum(int(n) for n in re.findall(r"Failed: (\d+)\)", done.stdout))
        total = int(tests.group(1)) if tests else 0
        print(f"pjdfstest {commit_of(checkout)}: {total - failed} passed, {failed} failed")
        return done.returncode == 0 and total > 0

    if not os.access(os.path.join(checkout, "pjdfstest"), os.X_OK):
        sys.exit(f"{checkout}: no pjdfstest program there: build it (autoreconf -ifs && ./configure && make pjdfstest)")
    if not shutil.which("prove"):
        sys.exit("no prove program: install perl")
    return mounted(work)


def fsx(program):
    operations = os.environ.get("FSX_OPERATIONS", "1000000")

    def work(at, bucket):
        good = True
        for seed in os.environ.get("FSX_SEEDS", "1 2 3").split():
            done = subprocess.run([program, "-q", "-N", operations, "-S", seed, "-P", at.folder, os.path.join(bucket, seed)],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            print(done.stdout, end="")
            good = good and done.returncode == 0
            print(f"fsx seed {seed}, {operations} operations: {'no difference' if done.returncode == 0 else 'FAILED'}")
        return good

    return mounted(work)


if __name__ == "__main__":
    kind, where = sys.argv[1], os.path.abspath(sys.argv[2])
    sys.exit(0 if {"pjdfstest": pjdfstest, "fsx": fsx}[kind](where) else 1)
