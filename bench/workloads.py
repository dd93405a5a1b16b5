"""The workloads of the side-by-side comparison. Each is a function of a target and a scale, and answers a figure: more is better.

Names say what is timed; 'cold' means mounted afresh. Whatever writes ends with its data on the disk below, inside the time.
"""

import json
import os
import shutil
import subprocess
import time

from targets import run

TREE = "tree"
FILES_PER_DIRECTORY = 500
TREE_FILES = 8000
CONTENT = os.urandom(4096)

ALL = {}
BESIDE_PEERS = []  # the others are for single levers of the mount
NEEDS = {}         # workloads whose files this one reads


def workload(unit, needs=(), beside_peers=True):
    def register(function):
        ALL[function.__name__] = (function, unit)
        NEEDS[function.__name__] = list(needs)
        if beside_peers:
            BESIDE_PEERS.append(function.__name__)
        return function
    return register


def seconds(act):
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def kib(megabytes, scale):
    return f"{max(64, int(megabytes * 1024 * scale))}k"


def sync_directory(path):
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def fio(target, *words):
    """(MB/s, operations/s) of one job, by the time it ran, its closing fsync included."""
    out = run("fio", "--output-format=json", "--name=job", "--thread", f"--directory={target.dir}", "--invalidate=0", "--fallocate=none",
              "--randrepeat=1", "--ioengine=psync", *words)
    job = json.loads(out[out.index("{"):])["jobs"][0]
    sides = (job["read"], job["write"])
    grouped = any(word.startswith("--numjobs") for word in words)
    spent = max(side["runtime"] for side in sides) / 1000 if grouped else job["job_runtime"] / 1000
    spent = max(spent, 1e-3)
    return sum(side["io_bytes"] for side in sides) / 1e6 / spent, sum(side["total_ios"] for side in sides) / spent


def remove(target, name):
    try:
        os.unlink(os.path.join(target.dir, name))
    except FileNotFoundError:
        pass


# --- streams and random access, on one file ---

@workload("MB/s")
def seqwrite_1m(target, scale):
    remove(target, "big")
    return fio(target, "--filename=big", "--rw=write", "--bs=1M", f"--size={kib(512, scale)}", "--end_fsync=1")[0]


@workload("MB/s", needs=["seqwrite_1m"])
def seqread_1m_cold(target, scale):
    target.cold()
    return fio(target, "--filename=big", "--rw=read", "--bs=1M", f"--size={kib(512, scale)}")[0]


@workload("MB/s", needs=["seqwrite_1m"])
def seqread_1m_hot(target, scale):
    return fio(target, "--filename=big", "--rw=read", "--bs=1M", f"--size={kib(512, scale)}")[0]


@workload("MB/s", needs=["seqwrite_1m"])
def seqread_2jobs_cold(target, scale):
    target.cold()
    return fio(target, "--filename=big", "--rw=read", "--bs=1M", f"--size={kib(512, scale)}", "--offset_increment=50%",
               f"--io_size={kib(256, scale)}", "--numjobs=2", "--group_reporting")[0]


@workload("IOPS", needs=["seqwrite_1m"])
def randread_4k_cold(target, scale):
    target.cold()
    return fio(target, "--filename=big", "--rw=randread", "--bs=4k", f"--size={kib(512, scale)}", f"--io_size={kib(128, scale)}")[1]


@workload("IOPS", needs=["seqwrite_1m"])
def randwrite_4k(target, scale):
    return fio(target, "--filename=big", "--rw=randwrite", "--bs=4k", f"--size={kib(512, scale)}", f"--io_size={kib(128, scale)}",
               "--end_fsync=1")[1]


@workload("IOPS", needs=["seqwrite_1m"])
def randwrite_4k_sync(target, scale):
    return fio(target, "--filename=big", "--rw=randwrite", "--bs=4k", f"--size={kib(512, scale)}", f"--io_size={kib(8, scale)}",
               "--fdatasync=1")[1]


@workload("MB/s")
def seqwrite_4k(target, scale):
    remove(target, "small")
    return fio(target, "--filename=small", "--rw=write", "--bs=4k", f"--size={kib(256, scale)}", "--end_fsync=1")[0]


# --- many small files ---

def directories(scale):
    return max(1, int(20 * scale))


def paths(target, scale):
    count = directories(scale)
    return [f"{target.dir}/{TREE}/{i % count}/{i}" for i in range(count * FILES_PER_DIRECTORY)]


@workload("files/s")
def create_4k(target, scale):
    tree = f"{target.dir}/{TREE}"
    shutil.rmtree(tree, ignore_errors=True)
    os.mkdir(tree)
    for i in range(directories(scale)):
        os.mkdir(f"{tree}/{i}")
    files = paths(target, scale)

    def act():
        for path in files:
            handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
            os.write(handle, CONTENT)
            os.close(handle)
        sync_directory(tree)
    return len(files) / seconds(act)


@workload("files/s", needs=["create_4k"])
def walk_stat_cold(target, scale):
    target.cold()
    found, spent = walk(target)
    assert len(found) == len(paths(target, scale)) and all(found)
    return len(found) / spent


@workload("files/s", needs=["create_4k"])
def read_4k_files_cold(target, scale):
    target.cold()
    return read_4k_files(target, scale)


def read_4k_files(target, scale):
    files = paths(target, scale)

    def act():
        for path in files:
            handle = os.open(path, os.O_RDONLY)
            assert len(os.read(handle, 8192)) == len(CONTENT)
            os.close(handle)
    return len(files) / seconds(act)


def walk(target):
    """(entries, seconds)"""
    found = []

    def act():
        for directory in os.scandir(f"{target.dir}/{TREE}"):
            found.extend(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(directory.path))
    spent = seconds(act)
    return found, spent


@workload("files/s", needs=["create_4k"], beside_peers=False)
def walk_hot(target, scale):
    walk(target)
    found, spent = walk(target)
    return len(found) / spent


@workload("files/s", needs=["create_4k"], beside_peers=False)
def read_4k_files_hot(target, scale):
    read_4k_files(target, scale)
    return read_4k_files(target, scale)


@workload("files/s", needs=["create_4k"])
def rename(target, scale):
    files = paths(target, scale)

    def act():
        for path in files:
            os.rename(path, path + ".r")
    return len(files) / seconds(act)


@workload("files/s")
def unlink(target, scale):
    files = paths(target, scale)

    def act():
        for path in files:
            os.unlink(path + ".r")
    return len(files) / seconds(act)


# --- a real tree ---

def tar_of_include(target, scale):
    """The first files of /usr/include, packed once for all targets: how many there are differs from machine to machine."""
    folder = os.path.dirname(target.root)
    path = os.path.join(folder, f"tree-{scale}.tar")
    if not os.path.exists(path):
        found = sorted(os.path.relpath(os.path.join(at, name), "/usr/include") for at, _, names in os.walk("/usr/include") for name in names)
        run("tar", "cf", path, "-C", "/usr/include", "--null", "-T", "-", input="\0".join(found[:max(100, int(TREE_FILES * scale))]))
    return path


@workload("MB/s")
def untar(target, scale):
    into = f"{target.dir}/untar"
    shutil.rmtree(into, ignore_errors=True)
    os.mkdir(into)
    tar = tar_of_include(target, scale)

    def act():
        run("tar", "xf", tar, "-C", into)
        target.make_durable()
    return os.path.getsize(tar) / 1e6 / seconds(act)


@workload("MB/s")
def grep_cold(target, scale):
    target.cold()
    command = ["grep", "-r", "zzzqqq", f"{target.dir}/untar"]
    spent = seconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    return os.path.getsize(tar_of_include(target, scale)) / 1e6 / spent


@workload("trees/s")
def rmtree(target, scale):
    return 1 / seconds(lambda: run("rm", "-rf", f"{target.dir}/untar"))
