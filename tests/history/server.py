"""A PostgreSQL server of its own for a test: a new cluster in a temporary folder, reachable by its socket and by a port of
this machine. The server refuses to run as root; as root it runs as `postgres` or `nobody`."""

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

PASSWORD = "secret-of-the-test"


class Unavailable(Exception):
    """There can be no server here; the text says why."""


def require_libpq(attnbench, url):
    said = subprocess.run([attnbench, "history", "list", "--db", url], capture_output=True, text=True)
    if "built without libpq" in said.stderr:
        raise Unavailable("this attnbench was built without libpq (make deps-postgres, then build again)")


def _program(name):
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if not found:
        raise Unavailable(f"no {name}: Debian's package postgresql is not installed (make deps-postgres)")
    return found


def _user():
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Unavailable("this is root and there is no user postgres or nobody to run the server as")


class Server:
    """with Server() as server: ... server.url"""

    def __enter__(self):
        initdb, self._postgres = _program("initdb"), _program("postgres")
        user = _user()
        self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        self.folder = tempfile.mkdtemp(prefix="attnbench-pg-")
        self._process = None
        try:
            secret = os.path.join(self.folder, "password")
            with open(secret, "w", encoding="ascii") as file:
                file.write(PASSWORD + "\n")
            if user:
                os.chown(self.folder, user.pw_uid, user.pw_gid)
                os.chown(secret, user.pw_uid, user.pw_gid)
            self.data = os.path.join(self.folder, "data")
            made = self._run([initdb, "-D", self.data, "-U", "perf", "-A", "scram-sha-256", "--auth-local=trust", "-N",
                              "--no-locale", "-E", "UTF8", f"--pwfile={secret}"])  # fmt: skip
            if made.returncode:
                raise Unavailable(f"initdb failed: {made.stderr.strip()[-300:]}")
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _run(self, command):
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=self._environment(), **self._as)

    @staticmethod
    def _environment():
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}

    def _start(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        log = open(os.path.join(self.folder, "log"), "ab")
        self._process = subprocess.Popen(
            [self._postgres, "-D", self.data, "-k", self.folder, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", "max_connections=40"],
            cwd=self.folder, stdout=log, stderr=log, env=self._environment(), **self._as)  # fmt: skip
        log.close()
        self.url = f"postgresql://perf@/postgres?host={self.folder}&port={self.port}"
        for _ in range(300):
            if self._process.poll() is not None:
                break
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(os.path.join(self.folder, f".s.PGSQL.{self.port}"))
                    return
                except OSError:
                    time.sleep(0.1)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as said:
            raise Unavailable(f"the server did not start: {said.read()[-300:]}")

    def psql(self, sql):
        """Rows of columns of an unaligned answer."""
        said = self._run([_program("psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url])
        if said.returncode:
            raise RuntimeError(f"psql: {said.stderr}")
        return [line.split("\t") for line in said.stdout.splitlines()]

    def check(self):
        """What is wrong with the tables and their indexes ("" if nothing), or None where amcheck cannot be had."""
        try:
            program = _program("pg_amcheck")
        except Unavailable:
            return None
        said = self._run([program, "--install-missing", "--heapallindexed", "--parent-check", self.url])
        return None if "could not open extension control file" in said.stderr else said.stdout + said.stderr

    def __exit__(self, *_):
        if self._process:
            self._process.terminate()  # smart shutdown would wait for clients; there are none left
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
