# What stands around one server: sockets and the firewall, the broker, PostgreSQL, nginx.
{ scenarios, lib, ... }:
let
  inherit (builtins)
    attrNames
    attrValues
    filter
    ;
  # What the units pass to the server, and more.
  beside = more: [ { bind = [ "passed:client" ]; } ] ++ more;
in
with scenarios;
{
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
    (refused { settings.listeners = beside [ { bind = [ "127.0.0.1:8008" ]; } ]; })
    # Without an address it is a TCP one.
    (refused { settings.listeners = beside [ { x_forwarded = true; } ]; })
    (refused {
      egressBroker.enable = false;
      settings.listeners = beside [ { bind = [ "127.0.0.1:8008" ]; } ];
    })
  ];
  passed-sockets-are-named = check [ 1 1 1 0 ] [
    (refused { settings.listeners = [ { bind = [ "unix:/run/x.sock" ]; } ]; })
    (refused { settings.listeners = beside [ { bind = [ "passed:federation" ]; } ]; })
    (refused {
      settings.listeners = beside [ ];
      sockets.federation.enable = true;
      sockets.federation.listener.tls = { };
    })
    (refused { settings.listeners = beside [ { bind = [ "unix:/run/x.sock" ]; } ]; })
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
}
