# The configurations that the checks look at, and what they ask of them.
{ lib, root }:
let
  inherit (builtins)
    attrNames
    filter
    fromTOML
    readFile
    sort
    tryEval
    ;

  sorted = sort (a: b: a < b);
  evaluate = import ./machine.nix { inherit lib root; };
  server = options: evaluate { services.matrix-homeserver = options; };

  # The least that has to be said.
  least = {
    settings.server_name = "example.org";
    settings.report_stats = false;
  };
  leastWithEgress = least // {
    settings = least.settings // {
      egress.connect_timeout = "5s";
    };
  };
  enabled = least // {
    enable = true;
  };
  with' = options: evaluate {
    imports = [
      { services.matrix-homeserver = enabled; }
      { services.matrix-homeserver = options; }
    ];
  };

  plain = server enabled;
  disabled = server { };
  changed = with' { settings.log.level = "debug"; };
  rich = with' {
    credentials.registration-shared-secret = "/run/secrets/registration";
    database.createLocally = true;
    openFirewall = true;
    nginx.enable = true;
    nginx.hostName = "matrix.example.org";
    sockets.client.listen = [
      "127.0.0.1:8009"
      "192.0.2.1:8010"
      "/run/matrix.sock"
    ];
    sockets.federation.enable = true;
    sockets.federation.listener.tls = {
      certificate = "/var/lib/acme/example.org/fullchain.pem";
      private_key = "/var/lib/acme/example.org/key.pem";
    };
    sockets.metrics.enable = true;
    settings.public_baseurl = null;
    settings.registration.shared_secret_file = "registration-shared-secret";
    settings.cache.memory = "256 MiB";
  };
  withoutBroker = with' { egressBroker.enable = false; };
  # One instance beside the server, one that is switched off.
  several = with' {
    instances.second = least // {
      settings = least.settings // {
        server_name = "second.example.org";
      };
      database.createLocally = true;
      sockets.federation.enable = true;
      sockets.federation.listen = [ "192.0.2.1:8448" ];
      sockets.federation.listener.tls = {
        certificate = "/etc/certificate.pem";
        private_key = "tls-key";
      };
    };
    instances.third = least // {
      enable = false;
    };
  };
  instanceWithoutBroker = server { instances.second = least // { egressBroker.enable = false; }; };

  # An administrator's own words are stronger than the unit's file, without mkForce.
  overridden = evaluate {
    services.matrix-homeserver = enabled;
    systemd.services.matrix-homeserver.serviceConfig.MemoryHigh = "2G";
    systemd.services.matrix-homeserver.after = [ "example.service" ];
  };

  settingsOf = machine: machine.environment.etc."matrix-homeserver/conf.d/50-nixos.toml".source.value;
  secondSettings = several.environment.etc."matrix-homeserver-second/homeserver.toml".source.value;
  unit = machine: machine.systemd.services.matrix-homeserver;
  restarts = machine: (unit machine).restartTriggers != (unit plain).restartTriggers;
  encrypted = certificate: with' { sockets.client.listener.tls.certificate = certificate; };
  reloads = machine: map toString (unit machine).reloadTriggers;

  refusals = machine: map (one: one.message) (filter (one: !one.assertion) machine.assertions);
  # How many of the assertions refuse this.
  refused = options: builtins.length (refusals (with' options));
  fails = value: !(tryEval (builtins.deepSeq value true)).success;
  evaluates = options: !fails (attrNames (settingsOf (server options)));

  flake = import (root + "/flake.nix");
  manifest = fromTOML (readFile (root + "/Cargo.toml"));
  outputsFor =
    rustVersion:
    let
      pkgs = import ./nixpkgs.nix { inherit lib rustVersion; };
      outputs = flake.outputs {
        self = outputs;
        nixpkgs = {
          inherit lib;
          legacyPackages.x86_64-linux = pkgs;
          legacyPackages.aarch64-linux = pkgs;
        };
      };
    in
    outputs;
  outputs = outputsFor "1.97.0";
  package = outputs.packages.x86_64-linux.default.arguments;
  machineTest = outputs.checks.x86_64-linux.machine.arguments;
  tested = evaluate (machineTest.nodes.machine { inherit lib; } // { imports = [ ]; });

  # What is not evaluated to its end is a failed check, not the end of all.
  check = expected: actual: {
    inherit expected;
    actual =
      let
        tried = tryEval (builtins.deepSeq actual actual);
      in
      if tried.success then tried.value else "it throws";
  };
  system = machine: {
    services = attrNames machine.systemd.services;
    sockets = attrNames machine.systemd.sockets;
    users = attrNames machine.users.users;
    groups = attrNames machine.users.groups;
    files = attrNames machine.environment.etc;
    packages = map toString machine.environment.systemPackages;
    ports = sorted machine.networking.firewall.allowedTCPPorts;
    postgresql = machine.services.postgresql.enable;
    nginx = machine.services.nginx.enable;
    refusals = refusals machine;
  };
  theProgram = "${builtins.storeDir}/00000000000000000000000000000000-matrix-homeserver";
in
{
  inherit
    changed
    check
    disabled
    enabled
    encrypted
    evaluate
    evaluates
    fails
    flake
    instanceWithoutBroker
    least
    leastWithEgress
    machineTest
    manifest
    outputs
    outputsFor
    overridden
    package
    plain
    refusals
    refused
    reloads
    restarts
    rich
    secondSettings
    server
    settingsOf
    several
    sorted
    system
    tested
    theProgram
    unit
    with'
    withoutBroker
    ;
}
