"""What one more object costs a store: catalog bytes, the processor's time of fsck, time of a mount, the daemon's memory. From the difference of two
stores, so that what a store costs anyway does not count. docs/SCALE.md reckons with these.

    slopes.py --out FILE.json [--objects 20000,60000] [--work DIR]
"""

import json
import os
import resource
import shutil
import sys
import time

import targets

PER_DIRECTORY = 1000
SIZES = {"empty": 0, "small, in the catalog": 1000, "in a data file": 20_000}


def seconds(act):
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def processor_seconds(act):
    """Of the programs that act runs and waits for: what a busy machine changes little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(work, objects, size):
    target = targets.make("coffer", work)
    try:
        target.up()
        content = os.urandom(size)
        for i in range(objects):
            if i % PER_DIRECTORY == 0:
                folder = os.path.join(target.dir, str(i // PER_DIRECTORY))
                os.mkdir(folder)
            with open(os.path.join(folder, f"an-object-{i}"), "wb") as file:
                file.write(content)
        memory = target.memory_peak_mb()
        target.down()
        found = {"memory_mb": memory, "mount_s": seconds(target.mount)}
        target.unmount()
        found["catalog_bytes"] = os.path.getsize(os.path.join(target.back, "coffer.db"))
        found["tags_bytes"] = os.path.getsize(os.path.join(target.back, "coffer.tags"))
        found["fsck_s"] = processor_seconds(lambda: target.coffer("fsck", target.back))
        return found
    finally:
        target.give_up()
        shutil.rmtree(target.root, ignore_errors=True)


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--objects", default="20000,60000")
    asked = parser.parse_args()
    few, many = (int(count) for count in asked.objects.split(","))
    found = {"objects": [few, many]}
    for name, size in SIZES.items():
        less, more = measure(asked.work, few, size), measure(asked.work, many, size)
        found[name] = {what: (more[what] - less[what]) / (many - few) for what in more} | {"few": less, "many": more}
        print(name, json.dumps(found[name]), flush=True)
        with open(asked.out, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
