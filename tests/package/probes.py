"""What the units let the server do: its own probe runs in their very surroundings, and each try must end as it should,
by the very error with which it should. What the server's program cannot try, because it is not safe code, `calls.py`
tries in its place.

EPERM comes of the filter of system calls, of the user namespace and of Landlock's scopes, EAFNOSUPPORT of the families
of sockets, ENOENT of a /proc that leaves things out, EROFS of the file system; EACCES is Landlock where the column
without it says otherwise, and the files' mode elsewhere. Two controls show that the probe sees what is open: the same
unit with Landlock off, and one that closes nothing. A third tells the unit's own filter of system calls from that of the
machine around it: with another error to answer by, the filter must answer by that one.
"""

import pathlib

from shows import CONFIG, SERVICE, expect

UNIT = "matrix-homeserver-probe.service"
PLACE = f"/run/systemd/system/{UNIT}"
RESULT = "/run/matrix-homeserver-probe"
WITHOUT_BROKER = "/usr/share/matrix-homeserver/without-egress-broker.conf"
WITHOUT_LANDLOCK = f"{CONFIG}/conf.d/56-sandbox.toml"

# What a second unit must not have of the server's: its start, and what the sockets and the manager have to do with it.
OF_THE_SERVER = ("Type=", "NotifyAccess=", "ExecStart=", "ExecReload=", "Sockets=", "Requires=", "Wants=", "After=",
                 "PropagatesReloadTo=", "Restart", "WatchdogSec=")
PROBE = "/usr/bin/matrix-homeserver sandbox-probe"
CALLS_PLACE = "/run/matrix-homeserver-calls.py"
CALLS = f"/usr/bin/python3 {CALLS_PLACE}"
MARK = "EXDEV"
# The running server has the same directory.
SHARED = ["RuntimeDirectoryPreserve=yes"]
BARE = ["User=matrix-homeserver", "StateDirectory=matrix-homeserver"]

EXPECTED = """
                     service       no-broker     no-landlock   bare
landlock             enforced      enforced      off           off
write-state          yes           yes           yes           yes
read-state           yes           yes           yes           yes
make-directory       yes           yes           yes           yes
move-state           yes           yes           yes           yes
read-configuration   yes           yes           yes           yes
list-configuration   yes           yes           yes           yes
write-configuration  EACCES        EACCES        EACCES        EACCES
read-self            yes           yes           yes           yes
read-urandom         yes           yes           yes           yes
read-authorities     yes           yes           yes           yes
read-passwd          EACCES        EACCES        yes           yes
read-init            ENOENT        ENOENT        ENOENT        yes
read-meminfo         ENOENT        ENOENT        ENOENT        yes
list-root            EACCES        EACCES        yes           yes
list-etc             EACCES        EACCES        yes           yes
list-cgroups         EACCES        EACCES        yes           yes
write-etc            EROFS         EROFS         EROFS         EACCES
write-temporary      EACCES        EACCES        yes           yes
write-shared-memory  EACCES        EACCES        yes           yes
set-user-id-bit      EPERM         EPERM         EPERM         yes
change-owner         EPERM         EPERM         EPERM         yes
execute-program      EACCES        EACCES        yes           yes
execute-state        EACCES        EACCES        yes           yes
bind-tcp             EAFNOSUPPORT  EACCES        EAFNOSUPPORT  yes
connect-tcp          EAFNOSUPPORT  yes           EAFNOSUPPORT  yes
resolve-name         other         yes           yes           yes
connect-abstract     EPERM         EPERM         yes           yes
socket-internet      EAFNOSUPPORT  yes           EAFNOSUPPORT  yes
socket-packet        EAFNOSUPPORT  EAFNOSUPPORT  EAFNOSUPPORT  EPERM
socket-netlink       EAFNOSUPPORT  EAFNOSUPPORT  EAFNOSUPPORT  yes
signal-parent        EPERM         EPERM         EPERM         EPERM
trace-parent         EPERM         EPERM         EPERM         EPERM
set-user             EPERM         EPERM         EPERM         yes
set-priority         EPERM         EPERM         EPERM         yes
set-affinity         EPERM         EPERM         EPERM         yes
set-personality      EPERM         EPERM         EPERM         yes
set-host-name        EPERM         EPERM         EPERM         EPERM
mount                EPERM         EPERM         EPERM         EPERM
new-user-namespace   EPERM         EPERM         EPERM         yes
"""

# EINVAL comes of a call that was let through. EPERM without the unit is the filter of the machine around it, which has
# hidden before that the unit's own let some calls pass.
EXPECTED_CALLS = """
                     service  marked  bare
map-plain            yes      yes     yes
map-writable-code    WX       WX      yes
make-data-code       WX       WX      yes
make-data-code-key   EPERM    EXDEV   EPERM
lock-memory          EPERM    EXDEV   EPERM
lock-all-memory      EPERM    EXDEV   EPERM
ask-for-keyring      EPERM    EXDEV   EPERM
bpf                  EPERM    EXDEV   EPERM
io-uring             EPERM    EXDEV   yes
perf-event           EPERM    EXDEV   EPERM
page-faults          EPERM    EXDEV   EINVAL
open-by-handle       EPERM    EXDEV   EPERM
"""


def expected(table, column):
    """What each try of a column must end with; the first line names the columns."""
    columns, *rows = table.strip().splitlines()
    index = columns.split().index(column) + 1
    return {words[0]: words[index] for words in map(str.split, rows)}


def expected_calls(column, systemd):
    # Since 254 systemd has the kernel refuse memory that is both written and run, before by its filter.
    refusal = "EACCES" if systemd >= 254 else "EPERM"
    return {name: refusal if result == "WX" else result for name, result in expected(EXPECTED_CALLS, column).items()}


def start_lines(program):
    return ["Type=oneshot", f"ExecStart={program}", f"StandardOutput=truncate:{RESULT}"]


def of_the_server(machine, program):
    """The server's unit as it is installed, with another program in the server's place."""
    lines = machine.run(f"cat /usr/lib/systemd/system/{SERVICE}").stdout.splitlines()
    lines = [line for line in lines if not line.startswith(OF_THE_SERVER)]
    start = lines.index("[Service]") + 1
    return lines[:start] + start_lines(program) + SHARED + lines[start:]


def outcome(line):
    name, result, detail = line.split()
    if name == "landlock":
        return name, result
    return name, "yes" if result == "allowed" else detail


def probe(machine, lines, wanted, column):
    machine.write(PLACE, "\n".join(lines) + "\n")
    machine.run(f"systemctl daemon-reload; systemctl start {UNIT}")
    found = dict(map(outcome, machine.run(f"cat {RESULT}").stdout.splitlines()))
    wrong = [f"{name}: {found.get(name)}, not {wanted.get(name)}"
             for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    expect(not wrong, f"the probe of {column}:", "; ".join(wrong))


def the_sandbox_is_closed_where_it_should_be(world):
    machine = world.machine
    lines = of_the_server(machine, PROBE)
    probe(machine, lines, expected(EXPECTED, "service"), "service")
    machine.run(f"mkdir {PLACE}.d; ln -s {WITHOUT_BROKER} {PLACE}.d")
    probe(machine, lines, expected(EXPECTED, "no-broker"), "no-broker")
    machine.run(f"rm -r {PLACE}.d")
    machine.write(WITHOUT_LANDLOCK, "[sandbox]\nlandlock = 'off'\n")
    probe(machine, lines, expected(EXPECTED, "no-landlock"), "no-landlock")
    bare = ["[Service]", *start_lines(PROBE), *BARE]
    probe(machine, bare, expected(EXPECTED, "bare"), "bare")
    machine.run(f"rm {WITHOUT_LANDLOCK} {PLACE} {RESULT}; systemctl daemon-reload")


def the_filter_refuses_what_the_server_never_calls(world):
    machine = world.machine
    machine.write(CALLS_PLACE, (pathlib.Path(__file__).parent / "calls.py").read_text())
    lines = of_the_server(machine, CALLS)
    marked = [f"SystemCallErrorNumber={MARK}" if line.startswith("SystemCallErrorNumber=") else line for line in lines]
    bare = ["[Service]", *start_lines(CALLS), *BARE]
    for column, unit in (("service", lines), ("marked", marked), ("bare", bare)):
        probe(machine, unit, expected_calls(column, world.systemd), f"{column} (calls)")
    machine.run(f"rm {PLACE} {RESULT} {CALLS_PLACE}; systemctl daemon-reload")
