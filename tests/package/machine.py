"""A booted Debian: systemd as process 1 in a container with its own network, which has nothing but the loopback.

Every command has a time limit. The machine's processes end with the program that booted it (see overlay.py).
"""

import json
import pathlib
import subprocess
import time

import overlay

BOOT_TIMEOUT_SECONDS = 90
COMMAND_TIMEOUT_SECONDS = 60

# nspawn's own filter hides Landlock, and a server that wants it would rightly not start.
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"


class Failed(Exception):
    """A command did not do what it should."""


class Machine:
    def __init__(self, tree, binds=()):
        self.root = overlay.overlay(tree)
        self.binds = binds
        self.process = None
        self.init = None

    def boot(self):
        # systemd wants the unified hierarchy, which this machine may not have mounted.
        unified = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
        if not unified.exists():
            subprocess.run("umount --lazy /sys/fs/cgroup/* 2>/dev/null; umount --lazy /sys/fs/cgroup",
                           shell=True, check=False, timeout=30)
            overlay.mount("-t", "cgroup2", "none", "/sys/fs/cgroup")
        console = open(self.root.parent / "console", "wb")
        binds = [f"--bind-ro={outside}:{inside}" for outside, inside in self.binds]
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot", "--register=no", "--keep-unit",
             "--private-network", "--machine=package-test", "--console=pipe", f"--system-call-filter={LANDLOCK}",
             *binds],
            stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + BOOT_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"the machine ended at once:\n{self.console()}")
            self.init = self.init or self.find_init()
            state = self.state() if self.init else "starting"
            if state == "degraded":
                raise Failed(self.run("systemctl --failed --no-legend").stdout + self.journal())
            if state == "running":
                return
            time.sleep(0.1)
        raise Failed(f"the machine did not come up:\n{self.console()}")

    def state(self):
        """What systemd says of itself. A busy machine answers late, which is no answer yet."""
        try:
            return self.run("systemctl is-system-running", check=False, timeout=10).stdout.strip()
        except Failed:
            return "starting"

    def find_init(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            for child in children.read_text().split():
                name = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
                if name in ("systemd", "init"):
                    return child
        except (FileNotFoundError, ProcessLookupError):
            # nspawn's own helpers come and go.
            pass
        return None

    def run(self, command, check=True, timeout=COMMAND_TIMEOUT_SECONDS, **more):
        """Runs a line of shell inside, which ends with the first command that fails, and gives what it said."""
        enter = [
            "nsenter", "--target", self.init, "--all", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
            "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "PAGER=cat", "sh", "-ec", command,
        ]
        try:
            done = subprocess.run(enter, capture_output=True, text=True, timeout=timeout, check=False,
                                  stdin=None if "input" in more else subprocess.DEVNULL, **more)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{command}\nhas not ended after {timeout} s\n{late.stdout}\n{late.stderr}") from None
        if check and done.returncode != 0:
            raise Failed(f"{command}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start(self, command):
        """Starts a line of shell inside and does not wait for it."""
        enter = ["nsenter", "--target", self.init, "--all", "env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", command]
        return subprocess.Popen(enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)

    def write(self, path, text, mode=0o644):
        """Writes a file through the booted system, whose view alone counts."""
        self.run(f"mkdir -p $(dirname {path}); cat >{path}; chmod {mode:o} {path}", input=text)

    def get(self, path, data=None, token=None, method=None, timeout=30):
        """Asks the server by curl inside the machine, and gives the status and the JSON."""
        arguments = ["curl", "-s", "-S", "-m", str(timeout), "-w", "'\\n%{http_code}'"]
        if method:
            arguments += ["-X", method]
        if token:
            arguments += ["-H", f"'Authorization: Bearer {token}'"]
        if data is not None:
            arguments += ["--data-binary", "@-"]
        arguments.append(f"'http://127.0.0.1:8008{path}'")
        done = self.run(" ".join(arguments), timeout=timeout + 5, input=json.dumps(data or {}))
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), json.loads(body or "{}")

    def show(self, unit, name):
        """A property of a unit."""
        return self.run(f"systemctl show --property={name} --value {unit}").stdout.strip()

    def console(self):
        return (self.root.parent / "console").read_text(errors="replace")[-4000:]

    def journal(self):
        return self.run("journalctl --no-pager --boot --lines=150 --output=short-monotonic", check=False).stdout

    def end(self):
        if self.process and self.process.poll() is None:
            if self.init:
                subprocess.run(["nsenter", "--target", self.init, "--all", "systemctl", "--no-block", "poweroff"],
                               check=False, timeout=10, capture_output=True)
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=10)
        overlay.remove_mount_point(self.root)
