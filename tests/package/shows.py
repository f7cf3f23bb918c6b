"""What the installed package does in a booted system, in the order in which an administrator meets it.

Each function is one show. They build on each other, see order.py; `World` is what they hand on.
"""

import json
import time

from build import FIRST, SECOND, URL
from machine import Failed

SERVICE = "matrix-homeserver.service"
BROKER = "matrix-homeserver-egress.service"
CONFIG = "/etc/matrix-homeserver"
OURS = f"{CONFIG}/conf.d/10-server-name.toml"
ADMIN = "--socket /run/matrix-homeserver-admin.sock"
PASSWORD = "correct horse battery staple"
RESTARTS = 8
RELOADS = 5
WATCHDOG_SECONDS = 5


class World:
    def __init__(self, machine, builder):
        self.machine = machine
        self.builder = builder
        self.token = None
        self.room = None
        self.systemd = 0
        self.watched = None


def expect(condition, *what):
    if not condition:
        raise Failed(" ".join(str(part) for part in what))


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < deadline, "not within", seconds, "s:", what)
        time.sleep(0.1)


def preseed(machine, **answers):
    lines = []
    for name, (kind, value) in answers.items():
        lines.append(f"matrix-homeserver matrix-homeserver/{name.replace('_', '-')} {kind} {value}")
    machine.run("debconf-set-selections", input="\n".join(lines) + "\n")


def sources(machine, archive):
    """The archive's own .sources file, pointed to one of the archives that the test has made."""
    machine.run("mkdir -p /etc/apt/sources.list.d; cp /srv/archive/matrix-homeserver-archive-keyring.pgp "
                "/usr/share/keyrings/; "
                f"sed 's|^URIs: .*|URIs: {URL.replace('/archive', '/' + archive)}|' /srv/archive/matrix-homeserver.sources "
                ">/etc/apt/sources.list.d/matrix-homeserver.sources")


def apt_refuses_a_strangers_key(world):
    sources(world.machine, "stranger")
    done = world.machine.run("apt-get update", check=False)
    expect(done.returncode != 0 and "is not signed" in done.stderr, done.returncode, done.stderr)


def apt_refuses_a_tampered_index(world):
    sources(world.machine, "tampered")
    done = world.machine.run("apt-get update", check=False)
    expect(done.returncode != 0 and "mismatch" in done.stderr, done.returncode, done.stderr)


def apt_reads_the_archive(world):
    sources(world.machine, "archive")
    world.machine.run("apt-get update")
    fetched = world.machine.run("cat /run/archive.log").stdout
    expect("/archive/dists/trixie/main/binary-amd64/by-hash/" in fetched
           or "/archive/dists/trixie/main/binary-arm64/by-hash/" in fetched, "not fetched by hash:", fetched)
    expect("Components: main" in world.machine.run("cat /etc/apt/sources.list.d/matrix-homeserver.sources").stdout)


def prerelease_waits_to_be_asked_for(world):
    world.machine.run("sed -i 's/^Suites: trixie$/Suites: trixie trixie-prerelease/' "
                      "/etc/apt/sources.list.d/matrix-homeserver.sources; apt-get update")
    policy = world.machine.run("apt-cache policy matrix-homeserver").stdout
    expect(f"Candidate: {FIRST}" in policy and "0.2.0~rc1" in policy, policy)
    world.machine.run("sed -i 's/^Suites: .*$/Suites: trixie/' /etc/apt/sources.list.d/matrix-homeserver.sources; "
                      "apt-get update")


def install_without_a_name_is_quiet(world):
    machine = world.machine
    world.systemd = int(machine.run("systemctl --version").stdout.split()[1])
    # An answer that is no server name counts as none.
    preseed(machine, server_name=("string", "https://test.example/"))
    machine.run("apt-get install --yes matrix-homeserver", timeout=90)
    expect(machine.run("systemctl --failed --no-legend").stdout == "", "units failed")
    expect(machine.show("matrix-homeserver.socket", "ActiveState") == "inactive", "a socket without a configuration")
    expect(machine.run(f"ls {CONFIG}/conf.d").stdout == "", "a configuration out of nothing")
    # Further servers have theirs elsewhere, and need the broker.
    machine.run(f"systemctl start {BROKER}")
    # A link in the place of the data is somebody's, and no reason to fail.
    machine.run("rmdir /var/lib/matrix-homeserver; ln -s /var/backups /var/lib/matrix-homeserver; "
                "apt-get purge --yes matrix-homeserver; rm /var/lib/matrix-homeserver", timeout=90)


def postgresql_may_be_configured_later(world):
    """As by "apt install postgresql matrix-homeserver": it is there only at dpkg's end, or not even then."""
    machine = world.machine
    chosen = {"server_name": ("string", "test.example"), "postgresql": ("boolean", "true")}
    preseed(machine, **chosen)
    # The only cluster need not be at the usual port.
    machine.run("sed -i 's/^port = 5432/port = 5433/' /etc/postgresql/*/main/postgresql.conf")
    machine.run("mv /usr/bin/pg_lsclusters /usr/bin/createuser /run/; dpkg --no-triggers --install "
                f"/srv/archive/pool/trixie/main/m/matrix-homeserver/matrix-homeserver_{FIRST}_*.deb", timeout=90)
    expect(machine.show("matrix-homeserver.socket", "ActiveState") == "inactive", "it begins with another database")
    done = machine.run("dpkg --configure --pending; mv /run/pg_lsclusters /run/createuser /usr/bin/", timeout=90)
    expect("no database was made" in done.stdout + done.stderr, "not told but:", done.stdout, done.stderr)
    expect(machine.show("matrix-homeserver.socket", "ActiveState") == "active", "it cannot be reached")
    preseed(machine, **chosen)
    machine.run("systemctl reset-failed; dpkg-trigger --by-package=matrix-homeserver matrix-homeserver-database; "
                "dpkg --triggers-only --pending", timeout=90)
    expect(machine.get("/_matrix/client/versions")[0] == 200, "it does not answer")
    expect("&port=5433" in machine.run(f"cat {CONFIG}/conf.d/20-database.toml").stdout, "PostgreSQL is not used")
    machine.run("test ! -e /var/lib/matrix-homeserver/homeserver.db; "
                "apt-get purge --yes matrix-homeserver; rm -r /var/lib/matrix-homeserver; "
                "runuser -u postgres -- dropdb matrix-homeserver; runuser -u postgres -- dropuser matrix-homeserver", timeout=90)


def install_takes_the_name_from_debconf(world):
    machine = world.machine
    preseed(machine, server_name=("string", "test.example"), report_stats=("boolean", "false"))
    machine.run("apt-get install --yes matrix-homeserver matrix-homeserver-archive-keyring", timeout=90)
    expect('server_name = "test.example"' in machine.run(f"cat {OURS}").stdout, "the name was not written")
    expect("report_stats = false" in machine.run(f"cat {OURS}").stdout, "the statistics were not written")
    expect(machine.run(f"ls {CONFIG} {CONFIG}/conf.d").stdout.split()[1:3] == ["conf.d", f"{CONFIG}/conf.d:"],
           "more was written than conf.d")
    owner = machine.run("stat -c '%U %G %a' /var/lib/matrix-homeserver").stdout.strip()
    expect(owner == "matrix-homeserver matrix-homeserver 700", owner)


def first_request_starts_the_server(world):
    machine = world.machine
    expect(machine.show(SERVICE, "ActiveState") == "inactive", "it runs before anybody has asked")
    # Rate limits are for clients that are not a test.
    machine.write(f"{CONFIG}/conf.d/50-test.toml", "[rate_limits]\nenabled = false\n")
    status, versions = machine.get("/_matrix/client/versions")
    expect(status == 200 and "versions" in versions, status, versions)
    wait_for(lambda: machine.show(SERVICE, "ActiveState") == "active", "being active")


def a_user_sends_a_message(world):
    machine = world.machine
    machine.run(f"matrix-homeserver user create alice {ADMIN}", input=PASSWORD + "\n")
    status, session = machine.get("/_matrix/client/v3/login", {
        "type": "m.login.password", "password": PASSWORD, "identifier": {"type": "m.id.user", "user": "alice"}})
    expect(status == 200, status, session)
    world.token = session["access_token"]
    status, made = machine.get("/_matrix/client/v3/createRoom", {}, world.token)
    expect(status == 200, status, made)
    world.room = made["room_id"]
    path = f"/_matrix/client/v3/rooms/{world.room}/send/m.room.message/first"
    status, sent = machine.get(path, {"msgtype": "m.text", "body": "hello"}, world.token, "PUT")
    expect(status == 200, status, sent)
    messages_are_there(world)


def messages_are_there(world):
    path = f"/_matrix/client/v3/rooms/{world.room}/messages?dir=f&limit=100"
    status, page = world.machine.get(path, token=world.token)
    bodies = [event["content"].get("body") for event in page["chunk"]]
    expect(status == 200 and "hello" in bodies, status, bodies)


def registration(machine):
    return machine.get("/_matrix/client/v3/register", {})[0]


def reload_applies_a_good_change(world):
    machine = world.machine
    expect(registration(machine) == 403, "registration is open by itself")
    pid = machine.show(SERVICE, "MainPID")
    machine.write(f"{CONFIG}/conf.d/60-registration.toml",
                  "[registration]\nenabled = true\nwithout_verification = true\n")
    machine.run("matrix-homeserver config check")
    machine.run(f"systemctl reload {SERVICE}")
    expect(registration(machine) == 401, "the reload has not opened registration")
    expect(machine.show(SERVICE, "MainPID") == pid, "another process")


def reload_refuses_a_bad_change(world):
    machine = world.machine
    pid = machine.show(SERVICE, "MainPID")
    bad = f"{CONFIG}/conf.d/70-bad.toml"
    # It starts when it is first needed.
    machine.run(f"systemctl start {BROKER}")
    machine.write(bad, "[registration]\nenabled = false\nenabeld = true\n")
    check = machine.run("matrix-homeserver config check", check=False)
    expect(check.returncode != 0 and f"{bad}:3" in check.stderr + check.stdout, check.stdout, check.stderr)
    reload = machine.run(f"systemctl reload {SERVICE}", check=False)
    expect(reload.returncode != 0, "systemctl takes the refused reload for one that was applied")
    verdict = machine.run(f"matrix-homeserver reload {ADMIN}", check=False)
    expect(verdict.returncode == 1 and f"{bad}:3" in verdict.stderr, verdict.returncode, verdict.stderr)
    expect(registration(machine) == 401, "the old configuration is not in force")
    expect(machine.show(SERVICE, "MainPID") == pid, "another process")
    told = machine.run(f"journalctl --unit {SERVICE} --lines 30 --output cat").stdout
    expect(f"{bad}:3" in told and "enabeld" in told, "the journal does not say what is wrong:", told)
    status = machine.show(SERVICE, "StatusText")
    expect("RELOAD REFUSED" in status, "the status does not say so:", status)
    explained = machine.run(f"journalctl --unit {SERVICE} --catalog").stdout
    for subject in ("answers requests", "reload of the configuration was applied", "was refused"):
        expect("Subject: " in explained and subject in explained, "not explained:", subject, explained[-3000:])
    expect(told.count(f"{bad}:3") == 2, "the journal has not one line for each of the two reloads:", told)
    # The broker refuses its own part of it.
    machine.write(bad, "[egress]\nconnect_timeout = 'soon'\n")
    reload = machine.run(f"systemctl reload {BROKER}", check=False)
    expect(reload.returncode != 0, "systemctl takes the broker's refused reload for one that was applied")
    told = machine.run(f"journalctl --unit {BROKER} --lines 5 --output cat").stdout
    expect(told.count(f"{bad}:2") == 1, "the broker's journal does not say what is wrong:", told)
    # The verdict is of the very reload that was asked for.
    for _ in range(RELOADS):
        machine.run(f"rm {bad}; systemctl reload {SERVICE}")
        machine.write(bad, "enabeld = true\n")
        reload = machine.run(f"systemctl reload {SERVICE}", check=False)
        expect(reload.returncode != 0, "the verdict is of another reload")
    machine.run(f"rm {bad}; systemctl reload {SERVICE}; matrix-homeserver reload {ADMIN}")


def restarts_and_an_upgrade_lose_nothing(world):
    machine = world.machine
    path = world.builder.with_version("first", SECOND)
    world.builder.publish("archive", files=path)
    machine.run(f"printf '# By hand.\\n[log]\\nlevel = \"info\"\\n' >>{OURS}; sed -i /report_stats/d {OURS}; "
                f"echo 'report_stats = true' >{CONFIG}/conf.d/55-statistics.toml")
    written = machine.run(f"cat {OURS}").stdout
    load = machine.start(f"exec python3 /srv/load.py {world.token} '{world.room}' /run/stop-load")
    for _ in range(RESTARTS):
        machine.run(f"systemctl restart {SERVICE}")
    machine.run("apt-get update; apt-get upgrade --yes", timeout=90)
    machine.run("touch /run/stop-load")
    told, _ = load.communicate(timeout=150)
    result = json.loads(told)
    expect(result["requests"] >= 400 and not result["failed"], result["requests"], "requests, failed:",
           *result["failed"][:5])
    installed = machine.run("dpkg-query -W -f '${Version}' matrix-homeserver").stdout
    expect(installed == SECOND, "not upgraded but", installed)
    expect(machine.run(f"cat {OURS}").stdout == written, "the upgrade has written over what was edited")
    machine.run(f"rm {CONFIG}/conf.d/55-statistics.toml; sed -i '1i report_stats = false' {OURS}")
    print(f"    {result['requests']} requests, none failed")


def watchdog_is_fed(world):
    """From here on, while other things are shown; they may not disturb the server."""
    machine = world.machine
    # The time of the unit is longer than a test should take.
    machine.write("/run/systemd/system/matrix-homeserver.service.d/test.conf",
                  f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}s\n")
    machine.run(f"systemctl daemon-reload; systemctl restart {SERVICE}")
    world.watched = (machine.show(SERVICE, "MainPID"), time.monotonic())


def watchdog_restarts_a_stuck_server(world):
    machine = world.machine
    pid, since = world.watched
    time.sleep(max(0, since + WATCHDOG_SECONDS + 1 - time.monotonic()))
    expect(machine.show(SERVICE, "MainPID") == pid, "killed although it was well")
    machine.run(f"kill -STOP {pid}")
    wait_for(lambda: machine.show(SERVICE, "NRestarts") != "0" and machine.show(SERVICE, "MainPID") not in ("0", pid),
             "the watchdog's restart")
    told = machine.run(f"journalctl --unit {SERVICE} --output cat --lines 60").stdout
    expect("Watchdog timeout" in told, told)
    messages_are_there(world)
    machine.run("rm -r /run/systemd/system/matrix-homeserver.service.d; systemctl daemon-reload")


def reconfigure_keeps_edits_and_takes_postgresql(world):
    machine = world.machine
    machine.run(f"sed -i -e 's/^report_stats.*/report_stats = true/' "
                f"-e '1i public_baseurl = \"https://m.test.example/\"' {OURS}")
    # The embedded database's data would not be moved: it has to be out of the way, or nobody is asked.
    machine.run(f"systemctl stop {SERVICE}; systemctl start postgresql; mkdir -p /var/backups/sqlite; "
                "mv /var/lib/matrix-homeserver/homeserver.db* /var/backups/sqlite", timeout=90)
    preseed(machine, postgresql=("boolean", "true"))
    machine.run("dpkg-reconfigure matrix-homeserver", timeout=90)
    text = machine.run(f"cat {OURS}").stdout
    for line in ('server_name = "test.example"', "report_stats = true", "# By hand.", "public_baseurl"):
        expect(line in text, line, "is gone from:", text)
    status, versions = machine.get("/_matrix/client/versions")
    expect(status == 200, status, versions)


def postgresql_knows_the_server_by_its_user(world):
    machine = world.machine
    machine.run(f"matrix-homeserver user create bob {ADMIN}", input=PASSWORD + "\n")
    psql = "runuser -u postgres -- psql --no-psqlrc --tuples-only --no-align --dbname=matrix-homeserver"
    count = machine.run(f"{psql} --command=\"SELECT count(*) FROM pg_tables WHERE tableowner = 'matrix-homeserver'\"")
    expect(int(count.stdout) > 10, "tables:", count.stdout)
    collation = machine.run(f"{psql} --command=\"SELECT datcollate FROM pg_database WHERE datname = current_database()\"")
    expect(collation.stdout.strip() == "C", collation.stdout)
    expect(machine.run("ls /var/lib/matrix-homeserver").stdout.count("homeserver.db") == 0, "SQLite is used")


def autopkgtest_passes(world):
    world.machine.run("cp -r /srv/source /run/source; cd /run/source; autopkgtest --no-built-binaries "
                      "--ignore-restrictions=isolation-container,isolation-machine . -- null", timeout=120)


def purge_leaves_the_data_and_nothing_else(world):
    machine = world.machine
    machine.run(f"rm {CONFIG}/conf.d/60-registration.toml")
    before = machine.run("find /var/lib/matrix-homeserver -type f | sort").stdout
    expect("signing.key" in before, before)
    machine.run("apt-get purge --yes matrix-homeserver matrix-homeserver-archive-keyring", timeout=90)
    expect(machine.run("find /var/lib/matrix-homeserver -type f | sort").stdout == before, "data has changed")
    left = machine.run("find /etc /usr /run /var -xdev -name '*matrix-homeserver*' ! -path '/var/lib/apt/*' "
                       "! -path '/var/cache/apt/*' ! -path '/var/log/*' ! -path '/run/source/*' "
                       "! -path '/var/lib/systemd/*' ! -path '/etc/apt/sources.list.d/*'").stdout.split()
    # The data, and what the administrator has written.
    expect(sorted(left) == [CONFIG, "/var/lib/matrix-homeserver"], "left behind:", *left)
    expect(machine.run(f"find {CONFIG} -type f").stdout.split() == [f"{CONFIG}/conf.d/50-test.toml"], "wrong files")
    expect(machine.run("debconf-show matrix-homeserver").stdout == "", "debconf remembers")
    databases = machine.run("runuser -u postgres -- psql -Atc 'SELECT datname FROM pg_database'").stdout
    expect("matrix-homeserver" in databases, databases)
    expect(machine.run("systemctl --failed --no-legend").stdout == "", "units failed")
