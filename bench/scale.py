"""Whether size costs: one directory of 10,000 and of 1,000,000 entries, one object of 64 MiB and of 64 GiB (written sparsely), a mount
and a PutBucketEncryption over many objects, and the daemon's memory through all of it.

    scale.py --out FILE.json [--entries 1000000] [--work DIR]
"""

import json
import os
import random
import statistics
import sys
import time

import targets

SAMPLE = 10_000
CHUNK = 16 * 1024


def per_operation_us(act, items):
    begin = time.perf_counter()
    for item in items:
        act(item)
    return (time.perf_counter() - begin) / len(items) * 1e6


def make_empty(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def directory_costs(target, entries):
    """Of the last SAMPLE creates, then of SAMPLE lookups, of readdir per entry, and of SAMPLE unlinks."""
    folder = os.path.join(target.dir, f"of-{entries}")
    os.mkdir(folder)
    paths = [os.path.join(folder, f"entry-{i}") for i in range(entries)]
    for path in paths[:-SAMPLE]:
        make_empty(path)
    costs = {"create": per_operation_us(make_empty, paths[-SAMPLE:])}
    target.cold()
    sample = random.Random(entries).sample(paths, min(SAMPLE, entries))
    costs["lookup"] = per_operation_us(os.stat, sample)
    target.cold()
    begin = time.perf_counter()
    count = sum(1 for _ in os.scandir(folder))
    costs["readdir"] = (time.perf_counter() - begin) / count * 1e6
    assert count == entries
    target.cold()
    costs["unlink"] = per_operation_us(os.unlink, sample)
    return costs


def random_read_us(target, size):
    """Of 4 KiB, cold; the object is written in 4096 places spread evenly over its size."""
    path = os.path.join(target.dir, f"object-{size}")
    places = [i * (size // 4096) // CHUNK * CHUNK for i in range(4096)]
    with open(path, "wb") as file:
        for place in places:
            file.seek(place)
            file.write(os.urandom(CHUNK))
        file.truncate(size)
    target.cold()
    handle = os.open(path, os.O_RDONLY)
    random.Random(size).shuffle(places)
    cost = per_operation_us(lambda place: os.pread(handle, 4096, place), places)
    os.close(handle)
    return cost


def seconds(act):
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    asked = parser.parse_args()
    target = targets.make("coffer", asked.work)
    found = {"entries": asked.entries}
    try:
        target.up()

        def put_rule_ms():
            return statistics.median(seconds(lambda: target.coffer("encryption", "put", "bench-bucket", "--sse", "AES256"))
                                     for _ in range(21)) * 1e3

        found["put_rule_empty_ms"] = put_rule_ms()
        found["small"] = directory_costs(target, SAMPLE)
        found["large"] = directory_costs(target, asked.entries)
        found["put_rule_full_ms"] = put_rule_ms()
        found["memory_peak_mb"] = target.memory_peak_mb()
        found["read_64_mib_us"] = random_read_us(target, 64 << 20)
        found["read_64_gib_us"] = random_read_us(target, 64 << 30)
        target.down()
        found["mount_s"] = seconds(target.mount)
        found["memory_after_mount_mb"] = target.memory_peak_mb()
        target.unmount()
        found["catalog_mb"] = os.path.getsize(os.path.join(target.back, "coffer.db")) / 1e6
    finally:
        target.give_up()
    print(json.dumps(found, indent=1))
    with open(asked.out, "w") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
