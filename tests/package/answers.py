"""Shows what becomes of debconf's answers when the administrator has written something else, or has removed the package."""

from beside import all_is_back_and_goes, nothing_runs
from shows import ADMIN, CONFIG, OURS, SERVICE, expect, messages_are_there, preseed

MOVED = f"{CONFIG}/homeserver.toml"
# What curl ends with when nobody listens.
REFUSED = 7


def removal_keeps_data_and_what_was_written(world):
    """The fragment has been moved to the main file: neither removal nor installation brings it back."""
    machine = world.machine
    machine.run(f"mv {OURS} {MOVED}; systemctl reload {SERVICE}")
    before = machine.run(f"cat {MOVED}").stdout
    machine.run("apt-get remove --yes matrix-homeserver", timeout=90)
    asked = machine.run("curl -s -m 5 -o /dev/null http://127.0.0.1:8008/", check=False)
    expect(asked.returncode == REFUSED, "a socket is still open: curl ends with", asked.returncode)
    expect(machine.run("systemctl --failed --no-legend").stdout == "", "units failed")
    machine.run("test -e /var/lib/matrix-homeserver/homeserver.db")
    nothing_runs(machine)
    machine.run("apt-get install --yes matrix-homeserver", timeout=90)
    expect(machine.run(f"cat {MOVED}; ls {OURS}", check=False).stdout == before, "the configuration has changed")
    messages_are_there(world)
    all_is_back_and_goes(machine)
    machine.run(f"mv {MOVED} {OURS}; systemctl reload {SERVICE}")


def reconfigure_asks_and_keeps_edits(world):
    """What the fragment says counts more than old answers, and a database with data stays the database."""
    machine = world.machine
    machine.run(f"sed -i 's/^report_stats.*/report_stats = true # Why not./' {OURS}")
    before = machine.run(f"cat {OURS}").stdout
    preseed(machine, server_name=("string", "other.example"), report_stats=("boolean", "false"),
            postgresql=("boolean", "true"))
    machine.run("dpkg-reconfigure matrix-homeserver", timeout=90)
    expect(machine.run(f"cat {OURS}").stdout == before, "the fragment was changed")
    expect(machine.run(f"ls {CONFIG}/conf.d").stdout.count("database") == 0, "the database was changed")
    messages_are_there(world)
    told = machine.run("debconf-show matrix-homeserver").stdout
    for answer in ("server-name: test.example", "report-stats: true", "postgresql: false"):
        expect(answer in told, answer, "is not what debconf holds:", told)


def reconfigure(machine, database):
    """dpkg-reconfigure at a terminal: the name and the statistics as they are, then the answer about the database, which
    nobody hears if it is not asked for."""
    ask = "DEBIAN_FRONTEND=readline DEBIAN_PRIORITY=low dpkg-reconfigure matrix-homeserver"
    return machine.run(f"script --quiet --return --command '{ask}' /dev/null", input=f"\n\n{database}\n", timeout=90).stdout


def a_database_with_data_stays(world):
    """A "no" would begin an empty embedded one."""
    machine = world.machine
    users = machine.run(f"matrix-homeserver user list {ADMIN}").stdout
    expect("@bob:test.example" in users, users)
    said = reconfigure(machine, "no")
    expect("the data stays in PostgreSQL" in said and "PostgreSQL?" not in said, said)
    expect(machine.run(f"matrix-homeserver user list {ADMIN}").stdout == users, "another database")
    machine.run("test ! -e /var/lib/matrix-homeserver/homeserver.db")
