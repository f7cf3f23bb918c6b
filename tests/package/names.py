"""How names become addresses: the broker as it is packaged, and the server without it, with a DNS server of the test's.

The machine has the loopback only; a few public addresses are put on it, so that there is somewhere to go.
"""

import pathlib
import subprocess

from confinement import BROKER, DROP_INS, check_connection
from name_server import OTHER, PUBLIC, PUBLIC_V6, SERVER_PORT
from shows import SERVICE, expect, wait_for

# systemd-resolved listens at the first.
SERVERS = ("127.0.0.53", "127.0.0.54")
SCRIPT = "/run/name_server.py"
QUESTIONS = "/run/questions"
RESOLV_CONF = "/etc/resolv.conf"
HOSTS = "/etc/hosts"
# A search domain and dots enough to lead a careless resolver there first.
OPTIONS = "search office.example\noptions timeout:1 attempts:1 ndots:3\n"

CONNECTED = {
    "four.test": [PUBLIC],
    "six.test": [PUBLIC_V6],
    "alias.test": [PUBLIC],
    "mixed.test": [PUBLIC],
    "rebinding.test": [PUBLIC],
    "listed.test": [OTHER],
    "listed": [OTHER],
}
DENIED = {
    "inside.test": ["10.0.0.5"],
    "inside-alias.test": ["10.0.0.5"],
    "self.test": ["127.0.0.1", "::1"],
    "mapped.test": ["::ffff:127.0.0.1", "64:ff9b::7f00:1"],
    "rebinding.test": ["127.0.0.1"],
}
UNKNOWN = "Name or service not known"
LATER = "Temporary failure in name resolution"
UNRESOLVED = {
    "missing.test": (UNKNOWN,),
    "intranet": (UNKNOWN,),
    "empty.test": ("No address associated with hostname", UNKNOWN),
    "failing.test": (LATER,),
    "silent.test": (LATER,),
    "loop.test": (UNKNOWN, LATER, "No address associated with hostname", "Non-recoverable failure"),
}
# As many as are looked at, and not all that there are.
MANY, MANY_LEAST, MANY_MOST = "many.test", 8, 32


def begin(machine):
    for address in (f"{PUBLIC}/32", f"{OTHER}/32", f"{PUBLIC_V6}/128"):
        family = "-6" if ":" in address else "-4"
        more = ["nodad"] if family == "-6" else []
        subprocess.run(["nsenter", "--target", machine.init, "--net", "ip", family, "address", "add", address, "dev", "lo",
                        *more], check=True, timeout=10)
    machine.write(SCRIPT, (pathlib.Path(__file__).parent / "name_server.py").read_text())
    machine.run(f"systemd-run --quiet --unit=name-server --property=StandardOutput=truncate:{QUESTIONS} "
                f"python3 {SCRIPT} {' '.join(SERVERS)}")
    wait_for(lambda: "ready" in machine.run(f"cat {QUESTIONS}", check=False).stdout, "the DNS server")
    machine.run(f"cp --preserve {HOSTS} {HOSTS}.before; printf '{OTHER} listed.test listed\\n' >>{HOSTS}; "
                f"cp --preserve {RESOLV_CONF} {RESOLV_CONF}.before 2>/dev/null; rm -f {RESOLV_CONF}")
    machine.write(RESOLV_CONF, f"nameserver {SERVERS[0]}\n{OPTIONS}")


def end(machine):
    machine.run(f"systemctl stop name-server; mv {HOSTS}.before {HOSTS}; rm {RESOLV_CONF}; "
                f"test ! -e {RESOLV_CONF}.before || mv {RESOLV_CONF}.before {RESOLV_CONF}")
    for address in (f"{PUBLIC}/32", f"{OTHER}/32", f"{PUBLIC_V6}/128"):
        subprocess.run(["nsenter", "--target", machine.init, "--net", "ip", "address", "delete", address, "dev", "lo"],
                       check=True, timeout=10)


def fates(machine, name):
    """What became of each address of a name, and all that was said."""
    status, said = check_connection(machine, f"{name}:{SERVER_PORT}")
    expect(status != 0, "nobody speaks TLS here:", said)
    lines = [line.removeprefix("address ").split(": ", 1) for line in said.splitlines() if line.startswith("address ")]
    return {address: fate for address, fate in lines}, said


def names_lead_where_they_may(machine):
    for name, wanted in CONNECTED.items():
        found, said = fates(machine, name)
        connected = [address for address, fate in found.items() if fate == "connected"]
        expect(connected == wanted, name, "should lead to", wanted, ":", said)
        others = [fate for address, fate in found.items() if address not in wanted]
        expect(all("denied" in fate for fate in others), name, ":", said)
    for name, wanted in DENIED.items():
        found, said = fates(machine, name)
        expect(sorted(found) == sorted(wanted) and all("denied" in fate for fate in found.values())
               and "leads only to addresses that are denied" in said, name, "should be denied:", said)
    for name, reasons in UNRESOLVED.items():
        found, said = fates(machine, name)
        expect(not found and f"cannot resolve {name}: " in said and any(reason in said for reason in reasons),
               name, "should not be resolved:", said)
    found, said = fates(machine, MANY)
    expect(MANY_LEAST < len(found) <= MANY_MOST, "addresses of", MANY, ":", said)
    asked = [line.split() for line in machine.run(f"cat {QUESTIONS}").stdout.splitlines()]
    expect([SERVERS[0], "tcp", MANY, "1"] in asked, "a cut answer was not asked for again over TCP")
    elsewhere = {words[2] for words in asked if len(words) == 4 and words[2].endswith("office.example")}
    expect(not elsewhere, "names were looked for in the machine's own domain:", *elsewhere)


def leads_to(machine, address):
    found, _ = fates(machine, "changing.test")
    return list(found) == [address]


def a_rewritten_resolv_conf_is_taken(machine):
    expect(leads_to(machine, PUBLIC), "another server was asked")
    machine.run(f"sed 's/{SERVERS[0]}/{SERVERS[1]}/' {RESOLV_CONF} >/run/new; cat /run/new >{RESOLV_CONF}")
    wait_for(lambda: leads_to(machine, OTHER), "the resolv.conf that was written in its place")


def a_replaced_resolv_conf_is_taken(machine):
    machine.run(f"sed 's/{SERVERS[1]}/{SERVERS[0]}/' {RESOLV_CONF} >{RESOLV_CONF}.new; mv {RESOLV_CONF}.new {RESOLV_CONF}")
    wait_for(lambda: leads_to(machine, PUBLIC), "the resolv.conf that has replaced the old one")


def the_broker_resolves_names(world):
    machine = world.machine
    begin(machine)
    try:
        # It has been running with the old one.
        machine.run(f"systemctl restart {BROKER}")
        names_lead_where_they_may(machine)
        pid = machine.show(SERVICE, "MainPID")
        a_rewritten_resolv_conf_is_taken(machine)
        a_replaced_resolv_conf_is_taken(machine)
        expect(machine.show(SERVICE, "MainPID") == pid, "the server was started again")
    finally:
        end(machine)


def the_server_resolves_names_by_itself(world):
    machine = world.machine
    begin(machine)
    try:
        machine.run(f"mkdir -p {DROP_INS}; ln -s /usr/share/matrix-homeserver/without-egress-broker.conf {DROP_INS}; "
                    f"systemctl daemon-reload; systemctl restart {SERVICE}")
        names_lead_where_they_may(machine)
        pid = machine.show(SERVICE, "MainPID")
        a_rewritten_resolv_conf_is_taken(machine)
        a_replaced_resolv_conf_is_taken(machine)
        expect(machine.show(SERVICE, "MainPID") == pid, "the server was started again")
        told = machine.run(f"journalctl --unit {SERVICE} --boot --output cat").stdout
        expect("process that resolves names does not answer" not in told, "the process that resolves is gone")
    finally:
        end(machine)
        machine.run(f"rm -r {DROP_INS}; systemctl daemon-reload; systemctl restart {SERVICE}")
