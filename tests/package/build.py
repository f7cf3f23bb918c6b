"""Makes the packages and the signed archive, in Debian's own tree with Debian's own tools."""

import shlex
import shutil
import subprocess

import overlay
import roots

BUILD_TIMEOUT_SECONDS = 300
SHORT_TIMEOUT_SECONDS = 60
KEYRING = "matrix-homeserver-archive-keyring"
URL = "http://127.0.0.1:8080/archive"

# What the test installs, what it upgrades to, and what apt must not take by itself.
FIRST = "0.1.0-1~deb13u1"
SECOND = "0.1.0-2~deb13u1"
PRERELEASE = "0.2.0~rc1-1~deb13u1"


class Builder:
    """A copy of the build tree with the sources of this checkout in /build/source."""

    def __init__(self, binary, tree=None, size=overlay.SIZE):
        self.root = overlay.overlay(tree or roots.ensure("build"), size)
        self.build = self.root / "build"
        for name in ("proc", "dev"):
            overlay.mount("--rbind", f"/{name}", str(self.root / name))
        (self.build / "public" / "source").mkdir(parents=True)
        self.export(self.build / "source")
        shutil.copy(binary, self.build / "server")
        # The archive's key of this test, and one that nobody trusts.
        for name in ("archive", "stranger"):
            self.run(f"mkdir -m 700 /build/{name}.gnupg")
            self.new_key(name, f"Test of the {name}")

    def gpg(self, home, arguments):
        return self.run(f"GNUPGHOME=/build/{home}.gnupg gpg --batch --quiet {arguments}").stdout

    def new_key(self, home, name):
        """Makes a signing key in the directory of `home`, and gives its fingerprint."""
        self.gpg(home, f"--passphrase '' --quick-generate-key {shlex.quote(name)} ed25519 sign 1d")
        return self.fingerprint(home, name)

    def fingerprint(self, home, name=""):
        """The first key in the directory of `home` whose owner contains the name."""
        listed = self.gpg(home, f"--with-colons --list-keys {shlex.quote(name) if name else ''}")
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def export(self, target):
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
                                cwd=roots.ROOT, capture_output=True, timeout=30).stdout
        for name in filter(None, listed.decode().split("\0")):
            source = roots.ROOT / name
            if source.is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / name, follow_symlinks=False)

    def run(self, command, timeout=SHORT_TIMEOUT_SECONDS, check=True, log=None):
        """Runs lines of shell, which end with the first that fails; what they say is returned, or goes to `log`."""
        done = subprocess.run(
            ["chroot", str(self.root), "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
             "sh", "-ec", command],
            stdin=subprocess.DEVNULL, stdout=log or subprocess.PIPE, stderr=log or subprocess.PIPE, text=True,
            timeout=timeout, check=False)
        if check and done.returncode != 0:
            said = f"see {log.name}" if log else f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            raise SystemExit(f"{command}\nended with {done.returncode}\n{said}")
        return done

    def packages(self, output, prefix="", compressor="none"):
        """Builds into /build/OUTPUT. Compressing is left out where nobody looks at it."""
        self.run(f"mkdir -p /build/{output}; {prefix} GNUPGHOME=/build/archive.gnupg; export GNUPGHOME; "
                 f"gpg --batch --export >/build/{output}.pgp; "
                 f"export DPKG_DEB_COMPRESSOR_TYPE={compressor} DPKG_DEB_COMPRESSOR_LEVEL=1 "
                 "DEB_BUILD_OPTIONS=noautodbgsym; "
                 f"source/debian/build --binary /build/server --keyring /build/{output}.pgp --archive {URL} "
                 f"--version {FIRST} --output /build/{output}".replace("source/", "/build/source/"),
                 timeout=BUILD_TIMEOUT_SECONDS)
        return sorted(path.name for path in (self.build / output).glob("*.deb"))

    def with_version(self, output, version):
        """The server's package in /build/OUTPUT again, as another version."""
        self.run(f"cd /build/{output}; rm -rf /build/again; dpkg-deb -R matrix-homeserver_*.deb /build/again; "
                 f"sed -i 's/^Version:.*/Version: {version}/' /build/again/DEBIAN/control; mkdir -p /build/newer; "
                 "dpkg-deb --root-owner-group -Znone -b /build/again /build/newer")
        return f"/build/newer/matrix-homeserver_{version}_{self.architecture()}.deb"

    def keyring(self, version, keys):
        """The package of the archive's keys in /build/first again, as another version with these keys."""
        self.run("rm -rf /build/again; mkdir -p /build/newer; dpkg-deb -R "
                 f"/build/first/{KEYRING}_*.deb /build/again; sed -i 's/^Version:.*/Version: {version}/' "
                 "/build/again/DEBIAN/control; rm /build/again/DEBIAN/md5sums")
        self.gpg("archive", f"--export {' '.join(keys)} >/build/again/usr/share/keyrings/{KEYRING}.pgp")
        self.run("dpkg-deb --root-owner-group -b /build/again /build/newer")
        return f"/build/newer/{KEYRING}_{version}_all.deb"

    def architecture(self):
        return self.run("dpkg --print-architecture").stdout.strip()

    def publish(self, name, suite="trixie", files="", key="archive", signers=None):
        """Puts files into the archive /build/NAME, and signs it by the keys that have these fingerprints."""
        signers = ",".join(signers or [self.fingerprint(key)])
        self.run(f"export GNUPGHOME=/build/{key}.gnupg; /build/source/debian/repository --archive /build/public/{name} "
                 f"--url {URL} --key {signers} {'--suite ' + suite if files else ''} {files}")
        return self.build / "public" / name

    def lintian(self, output):
        return self.run(f"cd /build/{output}; lintian --fail-on error,warning --tag-display-limit 0 *.changes",
                        timeout=BUILD_TIMEOUT_SECONDS, check=False)

    def end(self):
        overlay.remove_mount_point(self.root)


def digests(directory):
    done = subprocess.run("sha256sum *.deb", shell=True, cwd=directory, check=True, capture_output=True, text=True,
                          timeout=30)
    return done.stdout
