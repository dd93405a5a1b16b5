"""How many flushes of the disk an fdatasync of a 4 KiB overwrite costs: counted with strace in the daemon, not timed.

    flushes.py --out FILE.json [--work DIR] [--writes 200]
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import targets

SYNCS = "fsync,fdatasync,sync_file_range,syncfs,sync,msync"
THREADS = 8


def overwrite(path, size, writes):
    handle = os.open(path, os.O_WRONLY)
    for i in range(writes):
        os.pwrite(handle, os.urandom(4096), i * 7919 * 4096 % size)
        os.fdatasync(handle)
    os.close(handle)


def flushes_of(target, act):
    """How often the daemon flushed anything while act ran."""
    log = os.path.join(target.root, "strace")
    tracer = subprocess.Popen(["strace", "-f", "-q", "-e", f"trace={SYNCS}", "-o", log, "-p", str(target.pid())], stderr=subprocess.DEVNULL)
    time.sleep(2)  # until it is attached to every thread
    try:
        act()
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    with open(log) as file:
        return sum(1 for line in file if re.search(r"\b(?:fsync|fdatasync|syncfs|sync)\(", line) and "resumed" not in line)


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--writes", type=int, default=200)
    asked = parser.parse_args()
    target = targets.make("coffer", asked.work)
    found = {}
    try:
        target.up()
        sizes = {"an object of 64 MiB": 64 << 20, "an object of 4 KiB, in the catalog": 4096}
        for name, size in sizes.items():
            path = os.path.join(target.dir, f"object-{size}")
            with open(path, "wb") as file:
                file.write(os.urandom(size))
            target.make_durable()
            found[name] = flushes_of(target, lambda: overwrite(path, size, asked.writes)) / asked.writes
        paths = [os.path.join(target.dir, f"thread-{i}") for i in range(THREADS)]
        for path in paths:
            with open(path, "wb") as file:
                file.write(os.urandom(1 << 20))
        target.make_durable()

        def together():
            threads = [threading.Thread(target=overwrite, args=(path, 1 << 20, asked.writes // THREADS)) for path in paths]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        found[f"{THREADS} objects by {THREADS} threads"] = flushes_of(target, together) / (asked.writes // THREADS * THREADS)
        target.down()
    finally:
        target.give_up()
    for name, flushes in found.items():
        print(f"{name}: {flushes:.2f} flushes for each fdatasync")
    with open(asked.out, "w") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
