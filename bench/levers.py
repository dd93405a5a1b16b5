"""What each lever of the mount is worth: Coffer as it is, and with one lever taken away, on the workloads that it is there for.

    levers.py --out FILE.json [--rounds 3] [--scale 0.25] [--work DIR]

The lever away is a preloaded library (without.c), or an option where there is one. A figure above 1 says what the lever gives.
"""

import json
import os
import sys

import compare
import targets
import workloads

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "without.c")
LEVERS = {
    "polling reader": ("poll", ["create_4k", "read_4k_files_cold", "rename", "randread_4k_cold"]),
    "write-back cache": ("writeback", ["seqwrite_4k", "randwrite_4k", "create_4k"]),
    "requests of 1 MiB": ("large-requests", ["seqwrite_1m", "seqread_1m_cold"]),
    "readdirplus": ("readdirplus", ["walk_stat_cold"]),
    "directories opened and cached without asking": ("cached-opendir", ["walk_hot"]),
    "parallel directory operations": ("parallel-dirops", ["walk_stat_cold", "create_4k"]),
    "pages kept from open to open": ("keep-cache", ["read_4k_files_hot"]),
}
OPTIONS = {"poll": "poll-us=0", "large-requests": "max_read=131072"}


class Without(targets.Coffer):
    """RULES has no such names: all are SSE-S3."""
    lever = None

    @property
    def options(self):
        return targets.Coffer.options + (["-o", OPTIONS[self.lever]] if self.lever in OPTIONS else [])

    def mount(self):
        if self.lever == "poll":
            super().mount()
            return
        library = os.path.join(os.path.dirname(self.root), "without.so")
        if not os.path.exists(library):
            flags = targets.run("pkg-config", "--cflags", "fuse3").split()
            targets.run("cc", "-O2", "-shared", "-fPIC", SOURCE, "-o", library, *flags, "-ldl")
        os.environ.update(LD_PRELOAD=library, BENCH_WITHOUT=self.lever)
        try:
            super().mount()
        finally:
            del os.environ["LD_PRELOAD"], os.environ["BENCH_WITHOUT"]


def without(lever, work):
    targets.RULES[f"without-{lever}"] = targets.RULES["coffer"]
    made = Without(f"without-{lever}", work)
    made.lever = lever
    return made


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.25)
    asked = parser.parse_args()
    os.makedirs(asked.work, exist_ok=True)
    whole = targets.make("coffer", asked.work)
    found = {}
    for lever, (name, timed) in LEVERS.items():
        away = without(name, asked.work)
        try:
            # A read needs what its write made.
            needed = [need for work in timed for need in workloads.NEEDS.get(work, [])] + timed
            figures = compare.measure([whole, away], list(dict.fromkeys(needed)), asked.rounds, asked.scale, lambda *_: None)
        finally:
            whole.give_up()
            away.give_up()
        found[lever] = {work: compare.ratios(figures[work][whole.name], figures[work][away.name]) for work in timed}
        print(f"{lever:46s}" + "".join(f"  {work} {compare.median(ratios):.2f}" for work, ratios in found[lever].items()), flush=True)
        with open(asked.out, "w") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
