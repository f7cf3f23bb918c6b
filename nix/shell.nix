# What work on the sources needs: the tools of the build, and those that tests/install installs on Debian.
{
  mkShell,
  cargo,
  clippy,
  nix,
  nixfmt,
  nodejs,
  postgresql,
  python3,
  rustc,
  rustfmt,
  strace,
  util-linux,
}:
mkShell {
  packages = [
    cargo
    clippy
    nix
    nixfmt
    nodejs
    postgresql
    python3
    rustc
    rustfmt
    strace
    util-linux
  ];
}
