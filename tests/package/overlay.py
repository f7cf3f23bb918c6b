"""A throw-away copy of a tree, and the namespaces in which all of it is gone with the process that made it."""

import os
import pathlib
import subprocess
import sys
import tempfile

SIZE = "6g"


def enter_namespaces():
    """Runs this program again with mounts and processes of its own: when it ends, whatever the way, the kernel ends
    every process that it has started, and every mount goes."""
    if os.geteuid() != 0:
        sys.exit("the tests of the package boot a system, which takes root: run them as root")
    if os.getpid() == 1:
        return
    outer = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp(outer[0], [*outer, sys.executable, *sys.argv])


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, stdin=subprocess.DEVNULL, timeout=30)


def overlay(tree, size=SIZE):
    """A directory with the content of `tree`; what is written to it stays in memory."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="package-test-"))
    mount("-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(work))
    for name in ("upper", "work", "root"):
        (work / name).mkdir()
    options = f"lowerdir={tree},upperdir={work}/upper,workdir={work}/work"
    mount("-t", "overlay", "-o", options, "overlay", str(work / "root"))
    return work / "root"


def remove_mount_point(root):
    """Unmounts what `overlay` has made; without this an empty directory would be left behind."""
    work = root.parent
    for place in (root, work):
        subprocess.run(["umount", "--recursive", "--lazy", str(place)], check=False, timeout=30)
    work.rmdir()
