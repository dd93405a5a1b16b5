"""How long single operations take while a stream is written beside them: p50, p99 and p99.9 in microseconds.

    latency.py --targets gocryptfs,coffer --out FILE.json [--seconds 5] [--work DIR]
"""

import json
import os
import random
import subprocess
import sys
import time

import targets

FILES = 2000
STREAM = ("--name=stream", "--rw=write", "--bs=1M", "--size=256M", "--time_based", "--rate=100m", "--ioengine=psync", "--thread",
          "--fallocate=none", "--overwrite=1")


def percentiles(times):
    times.sort()
    return {name: times[min(len(times) - 1, int(len(times) * share))] * 1e6 for name, share in
            (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))} | {"count": len(times)}


def timed(act, paths, spent):
    chosen = random.Random(7)
    times, end = [], time.monotonic() + spent
    while time.monotonic() < end:
        path = chosen.choice(paths)
        begin = time.perf_counter()
        act(path)
        times.append(time.perf_counter() - begin)
    return percentiles(times)


def open_and_close(path):
    os.close(os.open(path, os.O_RDONLY))


def read_4k(path):
    handle = os.open(path, os.O_RDONLY)
    os.pread(handle, 4096, 0)
    os.close(handle)


def write_and_fsync(path):
    handle = os.open(path, os.O_WRONLY)
    os.pwrite(handle, bytes(4096), 0)
    os.fsync(handle)
    os.close(handle)


OPERATIONS = {"stat": os.stat, "open + close": open_and_close, "open + read 4 KiB": read_4k, "write 4 KiB + fsync": write_and_fsync}


def measure(target, spent):
    target.up()
    folder = os.path.join(target.dir, "latency")
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, str(i)) for i in range(FILES)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(os.urandom(4096))
    target.cold()
    stream = subprocess.Popen(["fio", f"--directory={target.dir}", f"--runtime={int(spent * len(OPERATIONS)) + 10}", *STREAM],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return {name: timed(act, paths, spent) for name, act in OPERATIONS.items()}
    finally:
        stream.terminate()
        stream.wait()
        target.down()


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--targets", default="gocryptfs,coffer")
    parser.add_argument("--seconds", type=float, default=5)
    asked = parser.parse_args()
    found = {}
    for name in asked.targets.split(","):
        target = targets.make(name, asked.work)
        try:
            found[name] = measure(target, asked.seconds)
        finally:
            target.give_up()
        for operation, figures in found[name].items():
            print(f"{name:14s} {operation:22s}" + "".join(f"  {key} {value:9.0f}" for key, value in figures.items()))
    with open(asked.out, "w") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
