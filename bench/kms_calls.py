"""What a Bucket Key saves: KMS calls for writing N small objects, and for reading them after a restart, with one and without.

    kms_calls.py --out FILE.json [--objects 100000] [--work DIR]
"""

import json
import os
import sys

import targets

PER_DIRECTORY = 1000


def measure(target, objects):
    target.up()
    paths = [os.path.join(target.dir, str(i // PER_DIRECTORY), str(i)) for i in range(objects)]
    for folder in {os.path.dirname(path) for path in paths}:
        os.mkdir(folder)
    before = target.kms_calls()
    for path in paths:
        with open(path, "wb") as file:
            file.write(b"object")
    wrote = target.kms_calls() - before
    target.cold()
    before = target.kms_calls()
    for path in paths:
        with open(path, "rb") as file:
            assert file.read() == b"object"
    read = target.kms_calls() - before
    target.down()
    return {"writing": wrote, "reading": read}


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    asked = parser.parse_args()
    found = {"objects": asked.objects}
    for name in ("coffer-kms-each", "coffer-kms"):
        target = targets.make(name, asked.work)
        try:
            found[name] = measure(target, asked.objects)
        finally:
            target.give_up()
        print(f"{name}: {found[name]['writing']} calls for writing {asked.objects} objects, {found[name]['reading']} for reading them")
    with open(asked.out, "w") as file:
        json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
