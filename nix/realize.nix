# What one server is made of: its units from systemd/, its configuration file, its users, its place in PostgreSQL, nginx
# and the firewall. Nothing here is an option; module.nix puts it where it belongs.
{ lib, pkgs }:
cfg:
let
  inherit (builtins) head match readFile;
  inherit (lib)
    concatMap
    hasPrefix
    mkDefault
    mkMerge
    optional
    optionalAttrs
    optionals
    ;

  units = import ./units.nix { inherit lib; };
  problems = import ./problems.nix { inherit lib; };
  inherit (cfg) sockets nginx settings;

  base = "matrix-homeserver";
  isInstance = cfg.instance != null;
  name = base + lib.optionalString isInstance "-${cfg.instance}";
  program = lib.getExe cfg.package;
  path = if isInstance then "${name}/homeserver.toml" else "${name}/conf.d/50-nixos.toml";
  file = (pkgs.formats.toml { }).generate "${name}.toml" (
    lib.filterAttrsRecursive (_: value: value != null) settings
  );

  # An instance is made from the templates; where there is none, the plain unit is bent to it.
  template = lib.optionalString isInstance "@";
  unit = if isInstance then "${base}@${cfg.instance}" else base;
  bent = {
    "/usr/bin/${base}" = program;
  }
  // optionalAttrs isInstance {
    "/etc/${base}/" = "/etc/${name}/";
    "Service=${base}.service" = "Service=${unit}.service";
    "WantedBy=sockets.target ${base}.service" = "WantedBy=sockets.target ${unit}.service";
  };
  bend = builtins.replaceStrings (builtins.attrNames bent) (builtins.attrValues bent);
  text = file: bend (readFile (../systemd + "/${file}"));

  withoutBroker =
    if cfg.egressBroker.enable then "" else text "without-egress-broker.conf";

  socket =
    file: name: definition:
    lib.nameValuePair name (mkMerge [
      (units.socket (units.read (text file)))
      definition
    ]);

  # A changed configuration is a reload; a restart where a reload does not cover what has changed. A restart leaves the
  # sockets open; NixOS' default would close them in between.
  gently = {
    reloadTriggers = [ file ];
    restartTriggers = [ fixed ];
    stopIfChanged = false;
  };
  fixed = builtins.hashString "sha256" (builtins.toJSON ((import ./sample.nix).fixed settings));

  instanced = part: part + lib.optionalString isInstance "@${cfg.instance}";
  federation = instanced "${base}-federation";
  metrics = instanced "${base}-metrics";
  # Sockets that the unit does not know to be enabled here.
  moreSockets =
    optional sockets.federation.enable "${federation}.socket"
    ++ optional sockets.metrics.enable "${metrics}.socket";
  database = optional cfg.database.createLocally "postgresql.target";

  # ADDRESS:PORT or PORT, null for the rest.
  tcp =
    listen:
    let
      parts = match "((\\[[^]]*]|[^:/]*):)?([0-9]+)" listen;
      host = builtins.elemAt parts 1;
    in
    if parts == null then
      null
    else
      {
        host = if host == null then "" else host;
        port = lib.toInt (builtins.elemAt parts 2);
      };
  isLoopback = host: hasPrefix "127." host || host == "[::1]" || host == "localhost";
  isWildcard = host: host == "" || host == "0.0.0.0" || host == "[::]";
  openPorts =
    listens:
    concatMap (
      listen:
      let
        address = tcp listen;
      in
      optional (address != null && !isLoopback address.host) address.port
    ) listens;

  upstream =
    let
      listen = head sockets.client.listen;
      address = tcp listen;
      host = if isWildcard address.host then "127.0.0.1" else address.host;
    in
    if address == null then "http://unix:${listen}" else "http://${host}:${toString address.port}";

  # The server answers these by its own configuration, so that they follow a reload.
  proxied = {
    proxyPass = upstream;
    recommendedProxySettings = mkDefault true;
  };
  encrypted = {
    forceSSL = mkDefault true;
    enableACME = mkDefault true;
  };
  serverHost = head (match "(\\[.*]|[^:]*)(:[0-9]+)?" settings.server_name);
  # Sizes and times are the server's to limit: uploads, and long polls.
  api = proxied // {
    extraConfig = ''
      client_max_body_size 0;
      proxy_read_timeout 10m;
    '';
  };
in
{
  inherit (problems cfg) assertions;
  inherit (gently) reloadTriggers;

  etc.${path}.source = file;

  services.${unit} = mkMerge [
    (units.service (units.readWith (text "${base}${template}.service") withoutBroker))
    gently
    {
      requires = moreSockets;
      # The server waits for a database that is away, and need not go down with it.
      wants = database;
      after = moreSockets ++ database;
    }
    (lib.mkIf (cfg.credentials != { }) {
      serviceConfig.LoadCredential = lib.mapAttrsToList (
        credential: source: "${base}.${credential}:${source}"
      ) cfg.credentials;
    })
  ];

  sockets = builtins.listToAttrs (
    [ (socket "${base}${template}.socket" unit { listenStreams = sockets.client.listen; }) ]
    ++ optional (!isInstance) (socket "${base}-admin.socket" "${base}-admin" { })
    ++ optional sockets.federation.enable (
      socket "${base}-federation.socket" federation { listenStreams = sockets.federation.listen; }
    )
    ++ optional sockets.metrics.enable (
      socket "${base}-metrics.socket" metrics { listenStreams = sockets.metrics.listen; }
    )
  );

  databases = optional cfg.database.createLocally name;

  ports = optionals cfg.openFirewall (
    openPorts sockets.client.listen
    ++ optionals sockets.federation.enable (openPorts sockets.federation.listen)
    ++ optionals nginx.enable [
      80
      443
    ]
  );

  virtualHosts = optionals nginx.enable (
    [
      {
        ${nginx.hostName} = encrypted // {
          locations."/_matrix/" = api;
          locations."/_synapse/client/" = api;
        };
      }
    ]
    ++ optional nginx.wellKnown {
      ${serverHost} = encrypted // {
        locations."= /.well-known/matrix/server" = proxied;
        locations."= /.well-known/matrix/client" = proxied;
        locations."= /.well-known/matrix/support" = proxied;
      };
    }
  );
}
