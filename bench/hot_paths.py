#!/usr/bin/python3
"""Whether the hot paths of crypto and Store still take the instructions that were recorded: no clock, so a busy machine changes nothing.

    hot_paths.py PROGRAM BASELINE COMPILER [--record]

PROGRAM (bench/micro/hot_paths.cc) runs under valgrind's callgrind with OpenSSL, which valgrind can run everywhere. A path that takes
more than TOLERANCE above what was recorded fails: find out why, or record what it takes now with --record and say in the commit what
was bought with it. Counts of another compiler, library or processor say nothing of a change: where any of these differs from what the
baseline was recorded with, this is skipped, and says so.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

TOLERANCE = 0.05  # names are hashed under a random key, so trees differ a little from run to run: less than 2% was seen
SKIPPED = 77
FLAGS = ("aes", "pclmulqdq", "ssse3", "avx", "avx2", "bmi1", "bmi2", "adx", "sha_ni")  # what OpenSSL's choice of code goes by
LIBRARIES = ("libc6", "libssl3", "libsqlite3-0", "libsodium23", "libstdc++6", "valgrind")


def surroundings(compiler):
    versions = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *LIBRARIES], stdout=subprocess.PIPE, text=True).stdout
    with open("/proc/cpuinfo") as file:
        flags = set(re.search(r"^flags\s*:(.*)$", file.read(), re.MULTILINE).group(1).split())
    return [compiler, *versions.splitlines(), "processor " + " ".join(flag for flag in FLAGS if flag in flags)]


def count(program):
    with tempfile.TemporaryDirectory() as folder:
        profile = os.path.join(folder, "profile")
        environment = dict(os.environ, COFFER_AEAD="openssl")
        environment.pop("MALLOC_PERTURB_", None)  # of meson test: every allocation would be filled
        run = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", program], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=environment)
        if run.returncode != 0:
            sys.exit(f"{program} failed under valgrind:\n{run.stdout}{run.stderr}")
        calls = {name: int(times) for name, times in (line.split() for line in run.stdout.splitlines())}
        listed = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--auto=no", "--threshold=100", profile], check=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    spent = {name: int(number.replace(",", "")) for number, name in
             re.findall(r"^\s*([\d,]+)\s.*?coffer::hot_path_(\w+)\(", listed, re.MULTILINE)}
    if spent.keys() != calls.keys():
        sys.exit(f"the profile has {sorted(spent)}, the program ran {sorted(calls)}")
    return {name: spent[name] // calls[name] for name in calls}


def main():
    program, baseline, compiler = sys.argv[1:4]
    if subprocess.run(["sh", "-c", "command -v valgrind"], stdout=subprocess.DEVNULL).returncode != 0:
        print("skipped: valgrind is not installed")
        return SKIPPED
    here = surroundings(compiler)
    if "--record" in sys.argv:
        with open(baseline, "w") as file:
            json.dump({"recorded with": here, "instructions": count(program)}, file, indent=1)
            file.write("\n")
        return 0
    with open(baseline) as file:
        recorded = json.load(file)
    other = [f"{there} there, {now} here" for there, now in zip(recorded["recorded with"], here) if there != now]
    if other or len(here) != len(recorded["recorded with"]):
        print("skipped: the baseline was recorded with something else: " + "; ".join(other))
        return SKIPPED
    slower = False
    for name, now in count(program).items():
        before = recorded["instructions"].get(name)
        if before is None:
            sys.exit(f"{name} is not in {baseline}: record it")
        verdict = "more than recorded" if now > before * (1 + TOLERANCE) else "less: record it" if now < before * (1 - TOLERANCE) else "as recorded"
        slower = slower or verdict == "more than recorded"
        print(f"{name:12s} {now:12,d} instructions, {now / before - 1:+7.1%}  {verdict}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
