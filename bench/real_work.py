"""What people do on a file system, in seconds (less is better): git clone and status, a build with meson, SQLite inserts, PostgreSQL's
pgbench, rsync, and unpacking a tree.

    real_work.py --targets passthrough,gocryptfs,coffer --rounds 3 --out FILE.json [--work DIR] [--only NAME,...]

Each ends with its result durable on the disk below. PostgreSQL refuses to run as root, and FUSE shows a mount to its owner alone:
pgbench runs where the mount is shared (COFFER_OPTIONS='-o allow_other'), and is left out elsewhere.
"""

import glob
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

import targets
from targets import run

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def git_clone_and_status(target, folder):
    run("git", "clone", "-q", "--no-hardlinks", SOURCE, f"{folder}/clone")
    run("git", "-C", f"{folder}/clone", "status", "--short")


def meson_build(target, folder):
    """Of the base room alone: the compiler's time is the same everywhere."""
    shutil.copytree(SOURCE, f"{folder}/source", ignore=shutil.ignore_patterns("build*", ".git"))
    run("meson", "setup", f"{folder}/source/build", f"{folder}/source")
    run("ninja", "-C", f"{folder}/source/build", "base/libbase.a")


def sqlite_inserts(target, folder):
    database = sqlite3.connect(f"{folder}/inserts.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
    for i in range(2000):
        database.execute("INSERT INTO t VALUES(?, ?)", (i, "x" * 100))
    database.close()


def pgbench(target, folder):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
    run("chown", "postgres", folder)
    os.chmod(folder, 0o700)
    as_postgres = ["runuser", "-u", "postgres", "--"]
    cluster, socket = f"{folder}/cluster", "/tmp"
    run(*as_postgres, f"{programs}/initdb", "-D", cluster, cwd="/")
    run(*as_postgres, f"{programs}/pg_ctl", "-w", "-D", cluster, "-l", f"{folder}/log", "-o", f"-k {socket} -p 54329 -c listen_addresses=",
        "start", cwd="/")
    try:
        run(*as_postgres, f"{programs}/createdb", "-h", socket, "-p", "54329", "bench", cwd="/")
        run(*as_postgres, f"{programs}/pgbench", "-h", socket, "-p", "54329", "-i", "-q", "bench", cwd="/")
        run(*as_postgres, f"{programs}/pgbench", "-h", socket, "-p", "54329", "-t", "500", "-c", "4", "bench", cwd="/")
    finally:
        run(*as_postgres, f"{programs}/pg_ctl", "-w", "-D", cluster, "-m", "fast", "stop", cwd="/")


def rsync(target, folder):
    run("rsync", "-a", "/usr/share/doc", f"{folder}/")


def untar(target, folder):
    tar = os.path.join(os.path.dirname(target.root), "include.tar")
    if not os.path.exists(tar):
        run("tar", "cf", tar, "-C", "/usr/include", ".")
    run("tar", "xf", tar, "-C", folder)


WORK = {"git clone + status": git_clone_and_status, "meson build": meson_build, "sqlite inserts": sqlite_inserts, "pgbench": pgbench,
        "rsync": rsync, "untar": untar}


def possible(name, target):
    shared = not isinstance(target, targets.Coffer) or "allow_other" in " ".join(target.options)
    plain = target.name in ("raw",) or isinstance(target, targets.Coffer)
    return name != "pgbench" or (plain and shared and bool(glob.glob("/usr/lib/postgresql/*/bin")))


def measure(target, name):
    folder = os.path.join(target.dir, "work")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    begin = time.perf_counter()
    WORK[name](target, folder)
    target.make_durable()
    return time.perf_counter() - begin


def main():
    parser = targets.arguments(__doc__)
    parser.add_argument("--targets", default="raw,passthrough,gocryptfs,coffer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    os.makedirs(asked.work, exist_ok=True)
    chosen = [targets.make(name, asked.work) for name in asked.targets.split(",")]
    names = asked.only.split(",") if asked.only else list(WORK)
    found = {name: {target.name: [] for target in chosen} for name in names}
    failed = False
    try:
        for target in chosen:
            target.up()
        for _ in range(asked.rounds):
            for name in names:
                for target in (one for one in chosen if possible(name, one)):
                    try:
                        found[name][target.name].append(measure(target, name))
                    except (OSError, RuntimeError, sqlite3.Error, subprocess.SubprocessError) as error:
                        failed = True
                        print(f"{name} on {target.name}: {error}", file=sys.stderr)
        for target in chosen:
            target.down()
    finally:
        for target in chosen:
            target.give_up()
    for name, by_target in found.items():
        print(f"{name:20s}" + "".join(f"  {target} {statistics.median(times):.2f} s" for target, times in by_target.items() if times))
    with open(asked.out, "w") as file:
        json.dump(found, file, indent=1)
    sys.exit(failed)


if __name__ == "__main__":
    main()
