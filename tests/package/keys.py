"""Shows how the archive's key is replaced: in the steps of debian/README.source, at a client that follows and at one that
does not."""

import os
import time

from build import KEYRING
from shows import expect

INSTALLED = f"/usr/share/keyrings/{KEYRING}.pgp"
SOURCES = "/etc/apt/sources.list.d/matrix-homeserver.sources"
# A client that has not upgraded since before the change.
LATE = "/run/late.pgp"
# Longer than replaced indexes are kept.
LONG_AGO_SECONDS = 5 * 86_400


def update(machine, keyring):
    """Reads the archive's index with these keys. What is known of it already would be kept if the new one were refused."""
    machine.run(f"sed -i 's|^Signed-By: .*|Signed-By: {keyring}|' {SOURCES}; rm -rf /var/lib/apt/lists/*")
    return machine.run("apt-get update", check=False)


def believes(machine, keyring):
    done = update(machine, keyring)
    expect(done.returncode == 0 and done.stderr == "", keyring, "is refused:", done.stderr)


def refuses(machine, keyring):
    done = update(machine, keyring)
    expect(done.returncode != 0 and "is not signed" in done.stderr, keyring, "is believed:", done.stderr)


def upgrade(machine, version):
    machine.run(f"apt-get install --yes --only-upgrade {KEYRING}")
    installed = machine.run(f"dpkg-query -W -f '${{Version}}' {KEYRING}").stdout
    expect(installed == version, "not upgraded but", installed)


def by_hash(builder, age=None):
    """The files of the index under the names of their digests, made older if wanted."""
    files = sorted((builder.build / "public/archive/dists/trixie/main").glob("binary-*/by-hash/*/*"))
    for file in files if age else ():
        os.utime(file, (time.time() - age,) * 2)
    return set(files)


def keys_change_as_documented(world):
    machine, builder = world.machine, world.builder
    old = builder.fingerprint("archive")
    new = builder.new_key("archive", "Next test of the archive")
    machine.run(f"cp {INSTALLED} {LATE}")
    # Time passes, and only the current index stays; time passes, and it stays when it is replaced, for a while.
    by_hash(builder, age=LONG_AGO_SECONDS)
    builder.publish("archive")
    before = by_hash(builder, age=LONG_AGO_SECONDS)
    believes(machine, INSTALLED)
    # 1. The keyring has both, and the old key alone signs.
    builder.publish("archive", files=builder.keyring("2", [old, new]), signers=[old])
    believes(machine, INSTALLED)
    upgrade(machine, "2")
    expect(by_hash(builder) > before, "a client that has just read the old index would not find what it names")
    after = by_hash(builder, age=LONG_AGO_SECONDS) - before
    # 2. Both sign.
    builder.publish("archive", signers=[old, new])
    expect(by_hash(builder) == after, "not the current index alone is left:", by_hash(builder))
    believes(machine, LATE)
    believes(machine, INSTALLED)
    # 3. The new key alone signs, and the keyring loses the old one.
    builder.publish("archive", files=builder.keyring("3", [new]), signers=[new])
    refuses(machine, LATE)
    believes(machine, INSTALLED)
    upgrade(machine, "3")
    believes(machine, INSTALLED)
    # Whoever has the old key can do nothing with it any more.
    builder.publish("archive", signers=[old])
    refuses(machine, INSTALLED)
    builder.publish("archive", signers=[new])
    believes(machine, INSTALLED)
