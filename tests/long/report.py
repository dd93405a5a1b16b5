"""Puts what a part of ./check --long found into its section of docs/LONG.md: report.py FILE PART SECONDS, the lines on standard input.

Other sections stay as they are: parts take hours, and are run one by one. A section says when it was made, of which commit, and on what machine.
"""

import datetime
import os
import platform
import subprocess
import sys

HEAD = """# What ./check --long found

A section for each part, as it last ran: `./check --long PART`. The parts are in `tests/long/parts.sh`; other names are those of tests, at their long sizes.
"""


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())


def commit():
    """Of the tree that was tested; "+" where it had changes that are in no commit, this report's own aside."""
    def git(*words):
        return subprocess.run(["git", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    name = git("rev-parse", "--short=10", "HEAD") or "no commit"
    return name + ("+" if git("status", "--porcelain", "--", ".", ":!docs/LONG.md") else "")


def sections(text):
    """[name, text] of each '## ' section, in order."""
    found = []
    for line in text.splitlines(keepends=True):
        if line.startswith("## "):
            found.append([line[3:].strip(), ""])
        elif found:
            found[-1][1] += line
    return found


def main():
    path, part, seconds = sys.argv[1:4]
    lines = [line.rstrip() for line in sys.stdin]
    old = ""
    if os.path.exists(path):
        with open(path) as file:
            old = file.read()
    today = datetime.datetime.now(datetime.timezone.utc).date()
    body = (f"\n{today}, commit {commit()}, {os.cpu_count()} processors ({processor()}), Linux {platform.release()}, {seconds} s.\n\n"
            + "".join(f"    {line}\n" if line else "\n" for line in lines) + "\n")
    kept = dict(sections(old))
    kept[part] = body
    with open(path + ".new", "w") as file:
        file.write(HEAD + "".join(f"\n## {name}\n{text.rstrip()}\n" for name, text in sorted(kept.items())))
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
