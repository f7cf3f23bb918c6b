# What several servers on one machine come to.
{ scenarios, lib, ... }:
with scenarios;
{
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
      "systemd/catalog/matrix-homeserver.catalog"
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
    wanted = [
      "sockets.target"
      "matrix-homeserver@second.service"
    ];
    condition = "|/etc/matrix-homeserver-second/homeserver.toml";
    client = [ "/run/matrix-homeserver-%i.sock" ];
  } {
    listen = several.systemd.sockets."matrix-homeserver-federation@second".listenStreams;
    service = several.systemd.sockets."matrix-homeserver-federation@second".socketConfig.Service;
    wanted = several.systemd.sockets."matrix-homeserver-federation@second".wantedBy;
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
    files = [
      "matrix-homeserver-only/homeserver.toml"
      "systemd/catalog/matrix-homeserver.catalog"
    ];
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
}
