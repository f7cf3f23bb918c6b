"""Shows of what stands around the server: its units, its broker and its credentials."""

import re

from shows import ADMIN, BROKER, CONFIG, PASSWORD, SERVICE, expect, wait_for

DROP_INS = f"/etc/systemd/system/{SERVICE}.d"
SECRET = "a secret that only the service is given"


def exposure_is_at_most(machine, unit, threshold):
    """The threshold is ten times the exposure."""
    done = machine.run(f"systemd-analyze security --no-pager --threshold={threshold} {unit}", check=False)
    expect(done.returncode == 0, unit, "is exposed by more than", threshold, "tenths:", done.stdout[-300:])


def check_connection(machine, target):
    done = machine.run(f"matrix-homeserver check-connection {ADMIN} {target}", check=False)
    return done.returncode, done.stdout + done.stderr


def units_are_clean_and_closed(world):
    machine = world.machine
    units = "matrix-homeserver*.service matrix-homeserver*.socket"
    done = machine.run(f"cd /usr/lib/systemd/system; systemd-analyze verify --man=no {units}", check=False)
    said = done.stdout + done.stderr
    expect(done.returncode == 0 and said == "", "verify says:", said)
    exposure_is_at_most(machine, SERVICE, 2)
    exposure_is_at_most(machine, BROKER, 11)
    for page in machine.run("grep -ho 'man:[a-z.-]*([0-9])' /usr/lib/systemd/system/matrix-homeserver*").stdout.split():
        name, section = page.removeprefix("man:").rstrip(")").split("(")
        machine.run(f"test -e /usr/share/man/man{section}/{name}.{section}.gz")
    manuals = machine.run("zcat /usr/share/man/man?/matrix-homeserver*.gz").stdout.replace("\\-", "-")
    named = set(re.findall(r"/usr/share/[\w./-]*\w", manuals))
    expect(len(named) > 1, "files that the manuals name:", *named)
    machine.run(f"ls {' '.join(named)}")


def the_broker_connects_where_it_may(world):
    machine = world.machine
    status, said = check_connection(machine, "127.0.0.1:8080")
    expect(status != 0 and "through the broker" in said and "denied" in said, status, said)
    machine.write(f"{CONFIG}/conf.d/55-egress.toml", "[egress]\nip_range_allowlist = ['127.0.0.1/32']\n")
    machine.run(f"systemctl reload {BROKER} {SERVICE}")
    status, said = check_connection(machine, "127.0.0.1:8080")
    # The archive's web server speaks no TLS, and notes what it was greeted with. In what words it refuses that depends on
    # where the random bytes of the greeting happen to have blanks.
    expect(status != 0 and "through the broker" in said and "denied" not in said, status, said)
    wait_for(lambda: " code 400, " in machine.run("cat /run/archive.log").stdout, "the connection at the other end")
    machine.run(f"rm {CONFIG}/conf.d/55-egress.toml; systemctl reload {BROKER} {SERVICE}")


def without_the_broker_the_server_has_the_network(world):
    machine = world.machine
    machine.run(f"mkdir -p {DROP_INS}; ln -s /usr/share/matrix-homeserver/without-egress-broker.conf {DROP_INS}; "
                f"systemctl daemon-reload; systemctl restart {SERVICE}")
    exposure_is_at_most(machine, SERVICE, 11)
    status, said = check_connection(machine, "127.0.0.1:8080")
    expect(status != 0 and "without a broker" in said, status, said)
    machine.run(f"rm -r {DROP_INS}; systemctl daemon-reload; systemctl restart {SERVICE}")


def secrets_come_as_credentials(world):
    machine = world.machine
    name = "matrix-homeserver.registration-shared-secret"
    if world.systemd >= 257:
        machine.run("mkdir -p /etc/credstore.encrypted; systemd-creds encrypt --with-key=host "
                    f"--name={name} - /etc/credstore.encrypted/{name}", input=SECRET)
    else:
        machine.write(f"/etc/credstore/{name}", SECRET, 0o600)
    machine.write(f"{CONFIG}/conf.d/65-secret.toml",
                  "[registration]\nshared_secret_file = 'registration-shared-secret'\n")
    machine.run(f"systemctl restart {SERVICE}")
    machine.write("/run/secret", SECRET, 0o600)
    machine.run("/usr/lib/matrix-homeserver/bin/register_new_matrix_user --user carol --no-admin "
                f"--password '{PASSWORD}' --shared-secret \"$(cat /run/secret)\" http://127.0.0.1:8008")
    told = machine.run(f"journalctl && systemctl show {SERVICE}").stdout
    # Some process may end while they are listed.
    processes = machine.run("cat /proc/[0-9]*/cmdline", check=False).stdout
    expect("matrix-homeserver" in processes and SECRET not in told + processes, "the secret was told")
    machine.run(f"rm {CONFIG}/conf.d/65-secret.toml /etc/credstore*/{name} /run/secret; systemctl restart {SERVICE}")
