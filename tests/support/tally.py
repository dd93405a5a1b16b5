"""Counts what ran: tally.py TESTLOG.json... prints 'N passed, N failed' over every claim of every test program.

A gtest program and a Python one count each of their own tests; any other program counts as one. A program that ended badly without
naming a failed test (a crash, a time-out) counts as one failure. Ends non-zero on any failure or where nothing ran.
--list prints the failed ones, --skipped what was skipped and why, --printed the lines with figures that mount tests print.
"""

import json
import re
import sys

GTEST = re.compile(r"^\[ *(OK|FAILED|SKIPPED) *\] (\S+).* \(\d+ ms\)$", re.M)
PYTHON = re.compile(r"^Ran (\d+) tests? in ", re.M)
FIGURES = re.compile(r" MB/s|at most \d+ MB|markers, |: seed \d+|COFFER_SEED=\d+|states of the disk|runs up to call|objects a second")
PYTHON_BAD = re.compile(r"(failures|errors|unexpected successes)=(\d+)")
PYTHON_SKIPPED = re.compile(r"^(\w+ \([\w.]+\)).* \.\.\. .*skipped '(.*)'$", re.M)


def counts(record):
    """(passed, failed, lines about what was skipped) of one record of meson's testlog.json."""
    output = record.get("stdout", "") + "\n" + record.get("stderr", "")
    good = record["result"] in ("OK", "EXPECTEDFAIL")
    if record["result"] == "SKIP":
        reason = output.strip().splitlines()
        return 0, 0, [f"{record['name']}: {reason[-1] if reason else 'skipped'}"]
    passed = failed = 0
    skipped = []
    gtest = GTEST.findall(output)
    python = PYTHON.search(output)
    if gtest:
        passed = sum(word == "OK" for word, _ in gtest)
        failed = sum(word == "FAILED" for word, _ in gtest)
        skipped = [f"{record['name']}: {name}" for word, name in gtest if word == "SKIPPED"]
    elif python:
        last = output[python.start():]
        found = PYTHON_SKIPPED.findall(output)
        skipped = [f"{record['name']}: {name}: {reason}" for name, reason in found]
        failed = min(sum(int(n) for _, n in PYTHON_BAD.findall(last)), int(python[1]))
        passed = int(python[1]) - failed - len(found)
    else:
        passed = int(good)
    if not good and not failed:
        failed = 1
    return passed, failed, skipped


def main():
    want = [word for word in sys.argv[1:] if word.startswith("--")]
    passed = failed = 0
    skipped, bad, printed = [], [], []
    for path in sys.argv[1:]:
        if path.startswith("--"):
            continue
        with open(path) as file:
            for line in file:
                record = json.loads(line)
                more, less, left = counts(record)
                passed, failed, skipped = passed + more, failed + less, skipped + left
                printed += [line for line in record.get("stdout", "").splitlines() if FIGURES.search(line)]
                if less:
                    bad.append(f"{record['name']}: {record['result']}")
    if "--list" in want:
        print("\n".join(bad))
    if "--skipped" in want:
        print("\n".join(sorted(set(skipped))))
    if "--printed" in want:
        print("\n".join(printed))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
