"""A built server on SQLite or PostgreSQL in a temporary folder, for the programs that drive one from outside.

    Postgres(folder)                   a cluster of its own, with a unix socket only
    Server(binary, folder, database)   the server: start, kill, stop, and people with accounts
"""
import asyncio
import hashlib
import hmac
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import aiohttp

START_TIMEOUT_S = 60
SECRET = "served"
PASSWORD = "served-password"


def quote(text):
    return urllib.parse.quote(text, safe="")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def open_database(engine, folder):
    """The URL of a new database, and the cluster that it is in, if it is in one."""
    if engine == "sqlite":
        return f"sqlite://{folder}/homeserver.db", None
    (folder / "postgresql").mkdir()
    postgres = Postgres(folder / "postgresql")
    return postgres.url(), postgres


class Postgres:
    """A cluster of its own in a temporary directory, with a unix socket only, run by an ordinary user."""

    def __init__(self, folder):
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            raise SystemExit("PostgreSQL's programs are missing: apt-get install postgresql")
        self.bin, self.data, self.folder = binaries[-1], folder / "data", folder
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            shutil.chown(folder, self.user)
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "matrix", "-E", "UTF8", "--locale=C")
        self.start()
        self.run("createdb", "-h", folder, "-U", "matrix", "matrix")

    def run(self, program, *words):
        prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        command = (prefix if os.getuid() == 0 else []) + [self.bin / program, *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self):
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder}"
        log = self.folder / "log"
        self.run("pg_ctl", "-D", self.data, "-l", log, "-o", options, "-w", "-s", "start")

    def stop(self, mode):
        self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-s", "stop")

    def url(self):
        return f"postgresql:///matrix?host={self.folder}&user=matrix"


class Server:
    def __init__(self, binary, folder, database):
        self.binary, self.folder, self.port = binary, folder, free_port()
        self.base, self.process = f"http://127.0.0.1:{self.port}", None
        secret = folder / "registration-shared-secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        self.config = folder / "homeserver.toml"
        self.config.write_text(
            f"""server_name = "localhost"
report_stats = false
state_directory = "{folder}"

[[listeners]]
bind = ["127.0.0.1:{self.port}"]
resources = ["client"]

[database]
url = "{database}"

[registration]
shared_secret_file = "{secret}"

[rate_limits]
enabled = false

"""
        )

    async def start(self, session):
        with open(self.folder / "server.log", "ab") as log:
            command = [self.binary, "serve", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                async with session.get(f"{self.base}/health") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
        log = (self.folder / "server.log").read_text()[-4000:]
        raise SystemExit(f"the server did not start:\n{log}")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self, signal_number=signal.SIGKILL):
        self.process.send_signal(signal_number)
        self.process.wait()

    async def register(self, session, name):
        """The answer to a registration by the shared secret: the user's id, a token and its device."""
        url = f"{self.base}/_synapse/admin/v1/register"
        async with session.get(url) as answer:
            nonce = (await answer.json())["nonce"]
        text = "\0".join([nonce, name, PASSWORD, "notadmin"]).encode()
        mac = hmac.new(SECRET.encode(), text, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": False, "mac": mac}
        async with session.post(url, json=body) as answer:
            return await answer.json()
