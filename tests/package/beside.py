"""Shows of what an administrator enables beside the server itself: a further socket, and a further server."""

from confinement import exposure_is_at_most
from shows import PASSWORD, SERVICE, expect

METRICS = "matrix-homeserver-metrics.socket"
INSTANCE = "matrix-homeserver@two"
CONFIG = "/etc/matrix-homeserver-two"
STATE = "/var/lib/matrix-homeserver-two"


def instance_answers(machine):
    machine.run("curl -s -f -m 30 -o /dev/null --unix-socket /run/matrix-homeserver-two.sock "
                "http://two/_matrix/client/versions")


def metrics_answer(machine):
    told = machine.run("curl -s -f -m 30 http://127.0.0.1:9008/metrics").stdout
    expect("\nmatrix_homeserver_build_info{" in told, "no metrics but:", told[:300])


def a_socket_opens_when_the_server_starts_again(world):
    """systemd would refuse to open it beside a server that runs."""
    machine = world.machine
    machine.run(f"systemctl enable {METRICS}; systemctl restart {SERVICE}")
    metrics_answer(machine)


def an_instance_runs_beside(world):
    machine = world.machine
    machine.write(f"{CONFIG}/homeserver.toml", "server_name = 'two.example'\nreport_stats = false\n")
    machine.run(f"systemctl enable --now {INSTANCE}.socket")
    instance_answers(machine)
    machine.run(f"matrix-homeserver user create alice --socket {STATE}/admin.sock", input=PASSWORD + "\n")
    exposure_is_at_most(machine, f"{INSTANCE}.service", 2)
    machine.run(f"systemctl reload {INSTANCE}.service")
    bad = f"{CONFIG}/conf.d/70-bad.toml"
    # The broker is everybody's, and reads nothing of one instance.
    for wrong in ("enabeld = true\n", "[egress]\nconnect_timeout = '3s'\n"):
        machine.write(bad, wrong)
        reload = machine.run(f"systemctl reload {INSTANCE}.service", check=False)
        expect(reload.returncode != 0, "the instance takes", wrong)
    machine.run(f"rm {bad}; systemctl reload {INSTANCE}.service; test -e {STATE}/homeserver.db")


def an_upgrade_takes_all_along(world):
    """Whatever ran before runs the new program."""
    machine = world.machine
    for unit in (SERVICE, f"{INSTANCE}.service"):
        program = machine.run(f"readlink /proc/{machine.show(unit, 'MainPID')}/exe").stdout.strip()
        expect(program == "/usr/bin/matrix-homeserver", unit, "runs", program)
    instance_answers(machine)
    metrics_answer(machine)


def nothing_runs(machine):
    """To be asked when the package was removed."""
    running = machine.run("systemctl list-units --all --plain --no-legend --state=active 'matrix-homeserver*'").stdout
    programs = machine.run("readlink /proc/[0-9]*/exe", check=False).stdout
    expect(running == "" and "/usr/bin/matrix-homeserver" not in programs, "still there:", running, programs)


def all_is_back_and_goes(machine):
    """To be asked when the package was installed again."""
    instance_answers(machine)
    metrics_answer(machine)
    machine.run(f"systemctl disable --now {INSTANCE}.socket {METRICS}; systemctl stop {INSTANCE}.service; "
                f"rm -r {CONFIG} {STATE}")
