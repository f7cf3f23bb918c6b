# What one server comes to in NixOS: its units, its settings, its secrets.
{ scenarios, lib, root, ... }:
let
  inherit (builtins) attrValues;
in
with scenarios;
{
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
    files = [
      "matrix-homeserver/conf.d/50-nixos.toml"
      "systemd/catalog/matrix-homeserver.catalog"
    ];
    packages = [ theProgram ];
    ports = [ ];
    postgresql = false;
    nginx = false;
    refusals = [ ];
  } (system plain);

  catalog-is-that-of-systemd = check (toString (root + "/systemd/matrix-homeserver.catalog")) (
    toString plain.environment.etc."systemd/catalog/matrix-homeserver.catalog".source
  );

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
        x_forwarded = true;
      }
    ];
  } (settingsOf plain);
  a-proxy-is-believed-where-no-other-can-come =
    let
      believes =
        listen:
        let
          inherit (settingsOf (with' { sockets.client = { inherit listen; }; })) listeners;
        in
        (builtins.head listeners) ? x_forwarded;
    in
    check [ true false false ] (
      map believes [
        [
          "[::1]:8008"
          "/run/x.sock"
        ]
        [ "8008" ]
        [
          "127.0.0.1:8008"
          "192.0.2.1:8008"
        ]
      ]
    );
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
    { sockets.client.listener.x_forwarded = false; }
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

  # What others say of the units.
  administrators-override-directives = check [ "2G" true true ] [
    (unit overridden).serviceConfig.MemoryHigh
    (lib.elem "example.service" (unit overridden).after)
    (lib.elem "matrix-homeserver.socket" (unit overridden).after)
  ];
}
