# What the module, the package and the flake have to come to, each check with a name, what was expected and what is; and
# the evaluated units, which the test compares with systemd/ by a reader of its own. Called with the library and the root
# of the sources.
{ lib, root }:
let
  inherit (builtins)
    attrNames
    attrValues
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
  checks = {
    disabled-is-empty = check {
      services = [ ];
      sockets = [ ];
      users = [ ];
      groups = [ ];
      files = [ ];
      packages = [ ];
      ports = [ ];
      postgresql = false;
      nginx = false;
      refusals = [ ];
    } (system disabled);

    enabled-is-complete = check {
      services = [
        "matrix-homeserver"
        "matrix-homeserver-egress"
      ];
      sockets = [
        "matrix-homeserver"
        "matrix-homeserver-admin"
        "matrix-homeserver-egress"
      ];
      users = [
        "matrix-homeserver"
        "matrix-homeserver-egress"
      ];
      groups = [
        "matrix-homeserver"
        "matrix-homeserver-egress"
      ];
      files = [ "matrix-homeserver/conf.d/50-nixos.toml" ];
      packages = [ theProgram ];
      ports = [ ];
      postgresql = false;
      nginx = false;
      refusals = [ ];
    } (system plain);

    # The settings.
    server-name-is-required = check false (evaluates {
      enable = true;
      settings.report_stats = false;
    });
    report-stats-is-required = check false (evaluates {
      enable = true;
      settings.server_name = "example.org";
    });
    the-least-is-enough = check true (evaluates enabled);
    a-wrong-type-is-refused = check false (evaluates (
      enabled
      // {
        settings = enabled.settings // {
          server_name = 5;
        };
      }
    ));
    unknown-options-are-refused = check false (evaluates (enabled // { no-such-option = 1; }));
    settings-are-free = check "256 MiB" (settingsOf rich).cache.memory;
    settings-have-no-null = check false ((settingsOf plain) ? public_baseurl);
    settings-of-the-least = check {
      server_name = "example.org";
      report_stats = false;
      database = { };
      sandbox.read_paths = [ "/nix/store" ];
      listeners = [
        {
          bind = [ "passed:client" ];
          resources = [
            "client"
            "federation"
          ];
        }
      ];
    } (settingsOf plain);
    passed-sockets-have-listeners = check [
      {
        bind = [ "passed:client" ];
        resources = [
          "client"
          "federation"
        ];
        x_forwarded = true;
      }
      {
        bind = [ "passed:federation" ];
        resources = [ "federation" ];
        tls.certificate = "/var/lib/acme/example.org/fullchain.pem";
        tls.private_key = "/var/lib/acme/example.org/key.pem";
      }
      {
        bind = [ "passed:metrics" ];
        resources = [ "metrics" ];
      }
    ] (settingsOf rich).listeners;
    own-listeners-replace-ours = check [ { bind = [ "unix:/run/x.sock" ]; } ] (settingsOf (with' {
      settings.listeners = [ { bind = [ "unix:/run/x.sock" ]; } ];
    })).listeners;

    # A changed setting.
    changed-settings-reload = check true (reloads plain != reloads changed);
    changed-settings-reload-the-broker = check (reloads plain) (
      map toString plain.systemd.services.matrix-homeserver-egress.reloadTriggers
    );
    changed-settings-do-not-restart = check (removeAttrs (unit plain) [ "reloadTriggers" ]) (
      removeAttrs (unit changed) [ "reloadTriggers" ]
    );
    fixed-settings-restart = check [ true true true ] (map (options: restarts (with' options)) [
      { settings.cache.memory = "1 GiB"; }
      { settings.log.format = "text"; }
      { sockets.client.listener.tls.certificate = "/etc/certificate.pem"; }
    ]);
    other-settings-do-not = check [ false false ] (map (options: restarts (with' options)) [
      { sockets.client.listener.x_forwarded = true; }
      { settings.log.level = "debug"; }
    ]);
    a-changed-certificate-does-not = check
      (unit (encrypted "/etc/one.pem")).restartTriggers
      (unit (encrypted "/etc/two.pem")).restartTriggers;
    restarts-keep-the-sockets = check [ false false ] (
      map (service: service.stopIfChanged) (attrValues plain.systemd.services)
    );

    # Secrets.
    credentials-are-loaded = check [
      "matrix-homeserver.registration-shared-secret:/run/secrets/registration"
    ] (unit rich).serviceConfig.LoadCredential;
    no-credential-no-directive = check false ((unit plain).serviceConfig ? LoadCredential);
    credentials-in-the-store-are-refused = check 1 (refused {
      credentials.secret = "${builtins.storeDir}/secret";
    });
    secrets-in-the-store-are-refused = check [ 1 1 1 ] [
      (refused { settings.registration.shared_secret = "secret"; })
      (refused { settings.database.password = "secret"; })
      (refused { settings.list = [ { bcrypt_pepper = "secret"; } ]; })
    ];
    secret-files-are-not-refused = check [ ] (refusals rich);

    # Sockets and the firewall.
    client-listens-where-told = check [
      "127.0.0.1:8009"
      "192.0.2.1:8010"
      "/run/matrix.sock"
    ] rich.systemd.sockets.matrix-homeserver.listenStreams;
    optional-sockets-are-required = check [
      "matrix-homeserver-federation.socket"
      "matrix-homeserver-metrics.socket"
    ] (filter (name: lib.elem name (unit rich).requires && lib.elem name (unit rich).after) [
      "matrix-homeserver-federation.socket"
      "matrix-homeserver-metrics.socket"
    ]);
    # Neither the loopback address, nor the path, nor the metrics.
    firewall-opens-what-others-reach = check [ 80 443 8010 8448 ] (system rich).ports;
    firewall-stays-closed = check [ ] (system (with' {
      sockets.client.listen = [ "8008" ];
      nginx.enable = true;
    })).ports;
    firewall-knows-loopback = check [ 8011 8012 ] (system (with' {
      openFirewall = true;
      sockets.client.listen = [
        "127.0.0.2:1"
        "[::1]:2"
        "localhost:3"
        "[::]:8011"
        "8012"
      ];
    })).ports;
    federation-without-tls-is-refused = check 1 (refused { sockets.federation.enable = true; });
    a-deaf-server-is-refused = check 1 (refused { sockets.client.listen = [ ]; });

    # The broker.
    no-broker-no-units = check [ "matrix-homeserver" ] (system withoutBroker).services;
    no-broker-no-socket = check [
      "matrix-homeserver"
      "matrix-homeserver-admin"
    ] (system withoutBroker).sockets;
    no-broker-no-user = check [ "matrix-homeserver" ] (system withoutBroker).users;
    no-broker-own-network = check "no" (unit withoutBroker).serviceConfig.PrivateNetwork;
    no-network-no-tcp-database = check [ 1 1 0 0 ] [
      (refused { settings.database.url = "postgresql://db.example.org/matrix"; })
      (refused { settings.database.url = "postgres://matrix@127.0.0.1:5432/matrix"; })
      (refused { settings.database.url = "postgresql://matrix@/matrix?host=/run/postgresql"; })
      (refused {
        egressBroker.enable = false;
        settings.database.url = "postgresql://db.example.org/matrix";
      })
    ];
    no-network-no-tcp-listener = check [ 1 1 0 ] [
      (refused { settings.listeners = [ { bind = [ "127.0.0.1:8008" ]; } ]; })
      # Without an address it is a TCP one.
      (refused { settings.listeners = [ { x_forwarded = true; } ]; })
      (refused {
        egressBroker.enable = false;
        settings.listeners = [ { bind = [ "127.0.0.1:8008" ]; } ];
      })
    ];

    # PostgreSQL by peer authentication.
    database-is-made = check {
      databases = [ "matrix-homeserver" ];
      users = [
        {
          name = "matrix-homeserver";
          ensureDBOwnership = true;
        }
      ];
      url = "postgresql:///matrix-homeserver?host=/run/postgresql";
      user = "matrix-homeserver";
    } {
      databases = rich.services.postgresql.ensureDatabases;
      users = rich.services.postgresql.ensureUsers;
      inherit ((settingsOf rich).database) url;
      user = (unit rich).serviceConfig.User;
    };
    database-is-waited-for = check [ true true ] [
      (lib.elem "postgresql.target" (unit rich).wants)
      (lib.elem "postgresql.target" (unit rich).after)
    ];

    # nginx.
    nginx-has-both-hosts = check [
      "example.org"
      "matrix.example.org"
    ] (attrNames rich.services.nginx.virtualHosts);
    nginx-passes-the-api-on = check {
      "/_matrix/" = "http://127.0.0.1:8009";
      "/_synapse/client/" = "http://127.0.0.1:8009";
    } (builtins.mapAttrs (
      _: location: location.proxyPass
    ) rich.services.nginx.virtualHosts."matrix.example.org".locations);
    nginx-has-the-well-knowns = check [
      "= /.well-known/matrix/client"
      "= /.well-known/matrix/server"
      "= /.well-known/matrix/support"
    ] (attrNames rich.services.nginx.virtualHosts."example.org".locations);
    nginx-is-what-the-well-knowns-say = check {
      public_baseurl = "https://matrix.example.org/";
      well_known.server = "matrix.example.org:443";
    } {
      inherit (settingsOf (with' {
        nginx.enable = true;
        nginx.hostName = "matrix.example.org";
      })) public_baseurl well_known;
    };
    nginx-on-one-host = check 5 (builtins.length (attrNames (with' {
      nginx.enable = true;
    }).services.nginx.virtualHosts."example.org".locations));
    nginx-encrypts = check [ true true true true ] (lib.concatMap (host: [
      host.forceSSL
      host.enableACME
    ]) (attrValues rich.services.nginx.virtualHosts));
    nginx-without-well-knowns = check [ "matrix.example.org" ] (attrNames (with' {
      nginx.enable = true;
      nginx.hostName = "matrix.example.org";
      nginx.wellKnown = false;
    }).services.nginx.virtualHosts);
    nginx-hides-the-port-of-the-name = check [ "example.org" ] (attrNames (evaluate {
      services.matrix-homeserver = {
        enable = true;
        settings.server_name = "example.org:8448";
        settings.report_stats = false;
        nginx.enable = true;
      };
    }).services.nginx.virtualHosts);
    nginx-reaches-a-unix-socket = check "http://unix:/run/matrix.sock" (with' {
      nginx.enable = true;
      sockets.client.listen = [ "/run/matrix.sock" ];
    }).services.nginx.virtualHosts."example.org".locations."/_matrix/".proxyPass;
    nginx-reaches-every-address = check "http://127.0.0.1:8008" (with' {
      nginx.enable = true;
      sockets.client.listen = [ "8008" ];
    }).services.nginx.virtualHosts."example.org".locations."/_matrix/".proxyPass;

    # Instances.
    instances-have-units = check {
      services = [
        "matrix-homeserver"
        "matrix-homeserver-egress"
        "matrix-homeserver@second"
        "postgresql-setup"
      ];
      sockets = [
        "matrix-homeserver"
        "matrix-homeserver-admin"
        "matrix-homeserver-egress"
        "matrix-homeserver-federation@second"
        "matrix-homeserver@second"
      ];
      files = [
        "matrix-homeserver-second/homeserver.toml"
        "matrix-homeserver/conf.d/50-nixos.toml"
      ];
      users = [
        "matrix-homeserver"
        "matrix-homeserver-egress"
      ];
    } {
      inherit (system several)
        services
        sockets
        files
        users
        ;
    };
    instances-have-sockets = check {
      listen = [ "192.0.2.1:8448" ];
      service = "matrix-homeserver@second.service";
      condition = "|/etc/matrix-homeserver-second/homeserver.toml";
      client = [ "/run/matrix-homeserver-%i.sock" ];
    } {
      listen = several.systemd.sockets."matrix-homeserver-federation@second".listenStreams;
      service = several.systemd.sockets."matrix-homeserver-federation@second".socketConfig.Service;
      condition =
        several.systemd.sockets."matrix-homeserver-federation@second".unitConfig.ConditionPathExists;
      client = map (
        builtins.replaceStrings [ "second" ] [ "%i" ]
      ) several.systemd.sockets."matrix-homeserver@second".listenStreams;
    };
    instances-need-their-sockets = check true (
      lib.elem "matrix-homeserver-federation@second.socket"
        several.systemd.services."matrix-homeserver@second".requires
    );
    instances-have-databases = check {
      databases = [ "matrix-homeserver-second" ];
      users = [
        {
          name = "matrix-homeserver";
          ensureDBOwnership = false;
        }
      ];
      url = "postgresql:///matrix-homeserver-second?host=/run/postgresql";
      given = [
        "${builtins.storeDir}/00000000000000000000000000000000-postgresql/bin/psql ${
          "--command 'ALTER DATABASE \"matrix-homeserver-second\" OWNER TO \"matrix-homeserver\"'"
        }"
      ];
    } {
      databases = several.services.postgresql.ensureDatabases;
      users = several.services.postgresql.ensureUsers;
      inherit (secondSettings.database) url;
      given = several.systemd.services.postgresql-setup.serviceConfig.ExecStartPost;
    };
    instances-keep-their-state = check "/var/lib/matrix-homeserver-second" secondSettings.state_directory;
    instances-reload-by-their-own = check [ true true ] [
      (map toString several.systemd.services."matrix-homeserver@second".reloadTriggers != reloads plain)
      (reloads several == reloads plain)
    ];
    instances-behind-nginx = check "http://unix:/run/matrix-homeserver-second.sock" (
      with' { instances.second = least // { nginx.enable = true; }; }
    ).services.nginx.virtualHosts."example.org".locations."/_matrix/".proxyPass;
    instances-need-no-server = check {
      services = [
        "matrix-homeserver-egress"
        "matrix-homeserver@only"
      ];
      files = [ "matrix-homeserver-only/homeserver.toml" ];
    } {
      inherit (system (server { instances.only = least; })) services files;
    };
    instances-share-the-broker = check [ 1 0 [ "matrix-homeserver" "matrix-homeserver-egress" ] ] [
      (refused { instances.second = leastWithEgress; })
      (refused {
        instances.second = leastWithEgress // {
          egressBroker.enable = false;
        };
      })
      (system (with' {
        egressBroker.enable = false;
        instances.second = least;
      })).users
    ];
    instance-names-are-checked = check [ 1 1 1 0 ] (map (name: refused { instances.${name} = least; }) [
      "egress"
      "with.dot"
      ""
      "fine-1"
    ]);

    # What others say of the units.
    administrators-override-directives = check [ "2G" true true ] [
      (unit overridden).serviceConfig.MemoryHigh
      (lib.elem "example.service" (unit overridden).after)
      (lib.elem "matrix-homeserver.socket" (unit overridden).after)
    ];

    # The flake and the package.
    flake-has-its-outputs = check [
      "checks"
      "devShells"
      "formatter"
      "nixosModules"
      "overlays"
      "packages"
    ] (attrNames outputs);
    flake-knows-both-systems = check [ true true true true ] (map (
      output: attrNames outputs.${output} == [ "aarch64-linux" "x86_64-linux" ]
    ) [ "packages" "checks" "devShells" "formatter" ]);
    flake-has-checks = check [ "machine" "module" "package" ] (attrNames outputs.checks.x86_64-linux);
    overlay-adds-the-package = check "matrix-homeserver" (outputs.overlays.default (import ./nixpkgs.nix {
      inherit lib;
    }) { }).matrix-homeserver.name;
    shell-has-its-tools = check true (
      builtins.length outputs.devShells.x86_64-linux.default.arguments.packages > 5
    );
    package-has-the-version = check manifest.workspace.package.version package.version;
    package-is-locked = check (toString (root + "/Cargo.lock")) (toString package.cargoLock.lockFile);
    package-keeps-the-environment = check
      (fromTOML (readFile (root + "/.cargo/config.toml"))).env
      package.env;
    package-has-its-sources = check [ ] (filter (
      path: !lib.elem path (map toString package.src.fileset)
    ) (map (name: toString root + "/" + name) [
      ".cargo"
      "Cargo.lock"
      "Cargo.toml"
      "man"
      "src"
      "systemd"
      "tests"
    ]));
    package-refuses-an-old-rust = check [ true false ] (map (
      version: fails (outputsFor version).packages.x86_64-linux.default.name
    ) [ "1.94.1" manifest.workspace.package.rust-version ]);
    package-names-its-program = check "matrix-homeserver" package.meta.mainProgram;

    # The test that boots a machine, as far as it can be looked at.
    machine-test-evaluates = check [ ] (refusals tested);
  };

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
