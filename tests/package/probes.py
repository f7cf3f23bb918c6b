"""What the units let the server do: its own probe runs in their very surroundings, and each try must end as it should,
by the very error with which it should.

EPERM comes of the filter of system calls, of the user namespace and of Landlock's scopes, EAFNOSUPPORT of the families
of sockets, ENOENT of a /proc that leaves things out, EROFS of the file system; EACCES is Landlock where the column
without it says otherwise, and the files' mode elsewhere. Two controls show that the probe sees what is open: the same
unit with Landlock off, and one that closes nothing.
"""

from shows import CONFIG, SERVICE, expect

UNIT = "matrix-homeserver-probe.service"
PLACE = f"/run/systemd/system/{UNIT}"
RESULT = "/run/matrix-homeserver-probe"
WITHOUT_BROKER = "/usr/share/matrix-homeserver/without-egress-broker.conf"
WITHOUT_LANDLOCK = f"{CONFIG}/conf.d/56-sandbox.toml"

# What a second unit must not have of the server's: its start, and what the sockets and the manager have to do with it.
OF_THE_SERVER = ("Type=", "NotifyAccess=", "ExecStart=", "ExecReload=", "Sockets=", "Requires=", "Wants=", "After=",
                 "PropagatesReloadTo=", "Restart", "WatchdogSec=")
PROBE = ["Type=oneshot", "ExecStart=/usr/bin/matrix-homeserver sandbox-probe", f"StandardOutput=truncate:{RESULT}"]
# The running server has the same directory.
SHARED = ["RuntimeDirectoryPreserve=yes"]
BARE = ["User=matrix-homeserver", "StateDirectory=matrix-homeserver"]

COLUMNS = ["service", "no-broker", "no-landlock", "bare"]
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


def expected(column):
    index = COLUMNS.index(column) + 1
    return {words[0]: words[index] for words in map(str.split, EXPECTED.strip().splitlines()[1:])}


def of_the_server(machine):
    """The server's unit as it is installed, with the probe in the server's place."""
    lines = machine.run(f"cat /usr/lib/systemd/system/{SERVICE}").stdout.splitlines()
    lines = [line for line in lines if not line.startswith(OF_THE_SERVER)]
    start = lines.index("[Service]") + 1
    return lines[:start] + PROBE + SHARED + lines[start:]


def outcome(line):
    name, result, detail = line.split()
    if name == "landlock":
        return name, result
    return name, "yes" if result == "allowed" else detail


def probe(machine, lines, column):
    machine.write(PLACE, "\n".join(lines) + "\n")
    machine.run(f"systemctl daemon-reload; systemctl start {UNIT}")
    found = dict(map(outcome, machine.run(f"cat {RESULT}").stdout.splitlines()))
    wanted = expected(column)
    wrong = [f"{name}: {found.get(name)}, not {wanted.get(name)}"
             for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    expect(not wrong, f"the probe of {column}:", "; ".join(wrong))


def the_sandbox_is_closed_where_it_should_be(world):
    machine = world.machine
    lines = of_the_server(machine)
    probe(machine, lines, "service")
    machine.run(f"mkdir {PLACE}.d; ln -s {WITHOUT_BROKER} {PLACE}.d")
    probe(machine, lines, "no-broker")
    machine.run(f"rm -r {PLACE}.d")
    machine.write(WITHOUT_LANDLOCK, "[sandbox]\nlandlock = 'off'\n")
    probe(machine, lines, "no-landlock")
    probe(machine, ["[Service]", *PROBE, *BARE], "bare")
    machine.run(f"rm {WITHOUT_LANDLOCK} {PLACE} {RESULT}; systemctl daemon-reload")
