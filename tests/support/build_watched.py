"""Builds a folder whose sanitizers watch the product, with the test objects of another folder.

    build_watched.py PLAIN WATCHED

Tests are two thirds of a build, and it is the product that is to be watched. So WATCHED compiles the product, and its test programs (those
named *_test) are linked from the objects that PLAIN has of them. The product's archives come first and whole: what headers define, and
both compiled, is taken from there.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import sys


def executables(folder):
    """Name -> path within folder."""
    targets = json.loads(subprocess.check_output(["meson", "introspect", "--targets", folder]))
    return {target["name"]: os.path.relpath(target["filename"][0], os.path.abspath(folder))
            for target in targets if target["type"] == "executable"}


def link_command(folder, program):
    return subprocess.check_output(["ninja", "-C", folder, "-t", "commands", program], text=True).splitlines()[-1]


def archives(command):
    return [word for word in command.split() if word.endswith(".a") and not os.path.isabs(word)]


def with_test_objects_of(plain, command):
    begin, rest = re.fullmatch(r"(\S+ +-o \S+)( .*)", command).groups()
    rest = re.sub(r" (tests/\S+\.p/\S+\.o)", lambda found: f" {plain}/{found[1]}", rest)
    return f"{begin} -Wl,--whole-archive {' '.join(archives(command))} -Wl,--no-whole-archive{rest}"


def main():
    plain, watched = sys.argv[1:]
    programs = executables(watched)
    tests = {name: programs.pop(name) for name in list(programs) if name.endswith("_test")}
    commands = [link_command(watched, test) for test in tests.values()]
    needed = {archive for command in commands for archive in archives(command)}
    subprocess.run(["ninja", "-C", watched, *programs.values(), *sorted(needed)], check=True)

    def link(command):
        subprocess.run(with_test_objects_of(os.path.abspath(plain), command), shell=True, cwd=watched, check=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as several:
        list(several.map(link, commands))
    print(f"{len(tests)} test programs linked")


if __name__ == "__main__":
    sys.exit(main())
