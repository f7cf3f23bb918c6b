"""The Debian trees that the tests of the package run in, made once and kept in target/package.

A tree is named by a digest of its packages and of the date of the mirror's InRelease, so that it is made anew when
either changes. Nothing writes into a tree: every run puts an overlay on it (see overlay.py).
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "package"
MMDEBSTRAP_TIMEOUT_SECONDS = 900

# What is installed beyond the minimal system. "machine" is booted and gets the package; in "build" it is made.
PACKAGES = {
    "machine": [
        "systemd", "systemd-sysv", "dbus", "libpam-systemd", "ca-certificates", "curl", "python3", "postgresql",
        "autopkgtest", "dpkg-dev",
    ],
    "build": [
        "build-essential", "debhelper", "po-debconf", "lintian", "apt-utils", "gnupg", "devscripts", "fakeroot",
    ],
    # What the package depends on and nothing else, so that what is left after a purge was left by the package.
    "clean": ["systemd", "ca-certificates", "debconf"],
}

# With this, the source package is built as well (see source-build).
PACKAGES["compiler"] = [*PACKAGES["build"], "cargo/{}-backports", "rustc/{}-backports"]

# A machine without the timers and the console that nobody waits for; PostgreSQL starts when the test asks for it.
QUIET = """
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \\
    fstrim.timer man-db.timer systemd-firstboot.service console-getty.service getty.target \\
    systemd-timesyncd.service; do
    ln -sf /dev/null "$1/etc/systemd/system/$unit"
done
rm -f "$1/etc/systemd/system/multi-user.target.wants/postgresql.service"
rm -f "$1/etc/apt/sources.list" "$1"/etc/apt/sources.list.d/*
"""


def mirror():
    """The first mirror of this machine's own apt sources."""
    files = sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.sources"))
    for file in files:
        found = re.search(r"^URIs:\s*(\S+)", file.read_text(), re.MULTILINE)
        if found and "debian" in found[1]:
            return found[1].rstrip("/")
    old = pathlib.Path("/etc/apt/sources.list")
    found = old.exists() and re.search(r"^deb\s+(?:\[.*?\]\s+)?(\S+)", old.read_text(), re.MULTILINE)
    if not found:
        sys.exit("no Debian mirror stands in /etc/apt: the trees of the package tests come from one")
    return found[1].rstrip("/")


def release_date(suite):
    """The date of the mirror's InRelease; None when the mirror cannot be asked."""
    try:
        with urllib.request.urlopen(f"{mirror()}/dists/{suite}/InRelease", timeout=20) as answer:
            head = answer.read(4096).decode(errors="replace")
    except (urllib.error.URLError, OSError):
        return None
    found = re.search(r"^Date: (.*)$", head, re.MULTILINE)
    return found and found[1]


def ensure(name, suite="trixie"):
    """The tree `name`, made if it is not there or too old."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return ensure_locked(name, suite)


def ensure_locked(name, suite):
    packages = [package.format(suite) for package in PACKAGES[name]]
    kept = sorted(path for path in CACHE.glob(f"{name}-{suite}-*") if not path.name.endswith(".partial"))
    date = release_date(suite)
    if date is None and kept:
        return kept[-1]
    digest = hashlib.sha256(repr((packages, QUIET, date)).encode()).hexdigest()[:16]
    tree = CACHE / f"{name}-{suite}-{digest}"
    if not tree.exists():
        make(tree, suite, packages)
        for old in kept:
            shutil.rmtree(old)
    return tree


def make(tree, suite, packages):
    print(f"making the tree {tree.name}", flush=True)
    partial = tree.with_name(tree.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    hook = partial.with_suffix(".hook")
    hook.write_text("#!/bin/sh\nset -eu\n" + QUIET)
    hook.chmod(0o755)
    # As on a machine that somebody administrates, tools that packages recommend are not there by themselves.
    command = [
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}",
        f"--customize-hook={hook}", suite, str(partial), f"deb {mirror()} {suite} main",
    ]
    if any("-backports" in package for package in packages):
        command.append(f"deb {mirror()} {suite}-backports main")
    if suite == "sid":
        # Mirrors that lag behind keep an index that has expired; nothing depends on how new it is.
        command.insert(1, "--aptopt=Acquire::Check-Valid-Until \"false\"")
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=MMDEBSTRAP_TIMEOUT_SECONDS)
        partial.rename(tree)
    finally:
        hook.unlink()
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ("machine", "build"):
        print(ensure(wanted))
