# What the module, the package and the flake have to come to, each check with a name, what was expected and what is; and
# the evaluated units, which the test compares with systemd/ by a reader of its own. Called with the library and the root
# of the sources.
{ lib, root }:
let
  scenarios = import ./scenarios.nix { inherit lib root; };
  from = file: import file { inherit lib root scenarios; };
in
with scenarios;
{
  checks =
    from ./module-checks.nix
    // from ./surroundings-checks.nix
    // from ./instances-checks.nix
    // from ./flake-checks.nix;

  inherit (package) postInstall;
  inherit (import (root + "/nix/sample.nix")) fixedKeys;
  users = plain.users.users;
  tmpfiles = plain.systemd.tmpfiles.rules;
  nixpkgs = flake.inputs.nixpkgs.url;

  units = {
    plain = plain.systemd;
    rich = rich.systemd;
    several = several.systemd;
    without-broker = withoutBroker.systemd;
    instance-without-broker = instanceWithoutBroker.systemd;
  };
  # Configurations that the server has to take. They name no file that has to be there.
  settings = {
    plain = settingsOf plain;
    proxied = settingsOf (with' {
      nginx.enable = true;
      nginx.hostName = "matrix.example.org";
      database.createLocally = true;
      sockets.metrics.enable = true;
      settings.egress.connect_timeout = "5s";
    });
    instance = (server {
      instances.second = least // {
        database.createLocally = true;
        egressBroker.enable = false;
        settings = leastWithEgress.settings // {
          listeners = [ { bind = [ "127.0.0.1:8008" ]; } ];
        };
      };
    }).environment.etc."matrix-homeserver-second/homeserver.toml".source.value;
  };
}
