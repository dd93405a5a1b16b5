"""PostgreSQL on the mount: a cluster that loses its server, or the daemon below it, with kill -9 and keeps every commit."""

import glob
import os
import pwd
import signal
import subprocess

from mounted import MountTest, main, run, running, wait_for, write_file

PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
SUMS = ("SELECT sum(abalance) FROM pgbench_accounts", "SELECT sum(tbalance) FROM pgbench_tellers",
        "SELECT sum(bbalance) FROM pgbench_branches", "SELECT sum(delta) FROM pgbench_history")


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                if entry.isdigit() and int(stat.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(entry))
        except OSError:
            pass
    return found


class Postgres(MountTest):
    def setUp(self):
        if not PROGRAMS:
            self.skipTest("postgresql is not installed")
        super().setUp()
        user = pwd.getpwnam("postgres")
        os.chmod(self.at.folder, 0o755)
        self.at.remount("-o", "allow_other")
        self.run = os.path.join(self.at.folder, "run")
        self.data = os.path.join(self.at.bucket("bucket", "aws:kms", bucket_key=True), "data")
        for folder in (self.run, self.data):
            os.mkdir(folder, 0o700)
            os.chown(folder, user.pw_uid, user.pw_gid)
        self.program("initdb", "-D", self.data, "--data-checksums", "--auth=trust", "--encoding=UTF8", "--locale=C")
        self.start()
        self.addCleanup(self.kill_server)

    def command(self, program, *arguments):
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", os.path.join(PROGRAMS[-1], program), *arguments]

    @property
    def surroundings(self):
        return {"cwd": "/", "env": dict(os.environ, PGHOST=self.run, PGDATABASE="postgres", LC_ALL="C")}

    def program(self, program, *arguments):
        return run(self.command(program, *arguments), **self.surroundings).stdout

    def spawn(self, program, *arguments, **rest):
        return subprocess.Popen(self.command(program, *arguments), stderr=subprocess.DEVNULL, **rest, **self.surroundings)

    def sql(self, statement):
        return self.program("psql", "-qAt", "-c", statement).strip()

    def start(self):
        self.server = self.spawn("postgres", "-D", self.data, "-k", self.run, "-c", "listen_addresses=")
        wait_for(lambda: self.server.poll() is not None or run(self.command("pg_isready"), code=None, **self.surroundings)
                 .returncode == 0, "the server to accept connections", 60)
        self.assertIsNone(self.server.poll(), "the server runs")

    def kill_server(self):
        if self.server.poll() is not None:
            return
        helpers = children(self.server.pid)
        for pid in [self.server.pid, *helpers]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.wait()
        for pid in helpers:
            wait_for(lambda: not running(pid), "the server's processes to end")

    def check_and_stop(self):
        self.program("pg_amcheck", "--install-missing", "--heapallindexed", "--database=postgres")
        self.program("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)
        self.server.wait()
        self.program("pg_checksums", "--check", "-D", self.data)

    def test_a_killed_server_recovers_every_committed_transaction(self):
        self.program("pgbench", "-i", "-q", "-s", "2")
        bench = self.spawn("pgbench", "-n", "-c", "4", "-T", "300", stdout=subprocess.DEVNULL)
        count = lambda: int(self.sql("SELECT count(*) FROM pgbench_history"))
        before = wait_for(lambda: (count() > 300 or bench.poll() is not None) and count(), "transactions", 120)
        self.kill_server()
        bench.wait()
        self.start()
        self.assertGreater(before, 300)
        self.assertGreaterEqual(count(), before)
        self.assertEqual(len({self.sql(statement) for statement in SUMS}), 1, "all of a transaction is there, or nothing of it")
        self.program("pgbench", "-n", "-c", "4", "-t", "50")
        self.check_and_stop()

    def test_a_killed_daemon_below_the_server_loses_no_committed_transaction(self):
        self.sql("CREATE TABLE t(n INTEGER PRIMARY KEY, body TEXT)")
        script, told = os.path.join(self.at.folder, "script"), os.path.join(self.at.folder, "told")
        write_file(script, b"".join(b"INSERT INTO t VALUES(%d, repeat('%d', 60)) RETURNING n;\n" % (n, n) for n in range(100_000)))
        with open(told, "wb") as out:
            client = self.spawn("psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-f", script, stdout=out)
        wait_for(lambda: os.path.getsize(told) > 600 or client.poll() is not None, "transactions", 120)
        pid = self.at.pid
        os.kill(pid, signal.SIGKILL)
        client.wait()
        self.kill_server()
        self.at.bury(pid)
        with open(told) as file:
            committed = [int(line) for line in file.read().split()]
        self.assertGreater(len(committed), 50)
        self.at.mount("-o", "allow_other")
        self.start()
        rows = [line.split("|") for line in self.sql("SELECT n, body FROM t ORDER BY n").split("\n")]
        self.assertGreaterEqual(len(rows), len(committed))
        self.assertEqual(rows, [[str(n), str(n) * 60] for n in range(len(rows))])
        self.check_and_stop()


if __name__ == "__main__":
    main()
