# The options of one server: services.matrix-homeserver itself and each of its instances. The defaults that follow from
# other options stand at the end; realize.nix makes units, files and users from the result.
{ pkgs }:
{ config, lib, ... }:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;

  format = pkgs.formats.toml { };
  isInstance = config.instance != null;
  name = "matrix-homeserver" + lib.optionalString isInstance "-${config.instance}";

  # Where the units of systemd/ listen is the default. An instance has to say its own ports.
  units = import ./units.nix { inherit lib; };
  listensAt =
    socket: (units.read (builtins.readFile (../systemd + "/${socket}.socket"))).Socket.ListenStream;
  clientListens =
    if isInstance then
      map (builtins.replaceStrings [ "%i" ] [ config.instance ]) (listensAt "matrix-homeserver@")
    else
      listensAt "matrix-homeserver";

  socketOptions =
    { what, default }:
    {
      listen = mkOption {
        type = types.listOf types.str;
        inherit default;
        example = [
          "127.0.0.1:8008"
          "/run/matrix.sock"
        ];
        description = ''
          Where systemd listens for ${what}, as in `ListenStream=` of {manpage}`systemd.socket(5)`. The sockets
          stay open while the server is restarted, so NixOS does not take up a changed address by itself: stop the
          service and restart the socket for that.
        '';
      };
      listener = mkOption {
        type = types.submodule { freeformType = format.type; };
        default = { };
        example = literalExpression ''
          {
            tls.certificate = "/var/lib/acme/example.org/fullchain.pem";
            tls.private_key = "/var/lib/acme/example.org/key.pem";
          }
        '';
        description = ''
          Further keys of this socket's `[[listeners]]`, see {manpage}`matrix-homeserver.toml(5)`.
        '';
      };
    };

  isOfThisMachine = listen: builtins.match "(/|127\\.|\\[::1]:).*" listen != null;

  # A [[listeners]] that takes the passed socket of this name.
  passed = socket: { bind = [ "passed:${socket}" ]; } // config.sockets.${socket}.listener;
  optionallyPassed = socket: lib.optional config.sockets.${socket}.enable (passed socket);
in
{
  options = {
    instance = mkOption {
      type = types.nullOr types.str;
      default = null;
      internal = true;
      description = "The name of the instance; null for the server itself.";
    };

    package = mkOption {
      type = types.package;
      default = pkgs.matrix-homeserver or (pkgs.callPackage ./package.nix { });
      defaultText = literalExpression "pkgs.matrix-homeserver";
      description = "The package that the units run.";
    };

    settings = mkOption {
      description = ''
        The configuration, see {manpage}`matrix-homeserver.toml(5)`. It stands in the world-readable store:
        secrets belong into files, named by the keys that end in `_file`, see
        {option}`services.matrix-homeserver.credentials`. Null values are left out. A changed setting reloads the
        server, or restarts it where it is one that a reload does not cover.
      '';
      type = types.submodule {
        freeformType = format.type;
        options = {
          server_name = mkOption {
            type = types.str;
            example = "example.org";
            description = "The part of user ids after the colon. It can never be changed.";
          };
          report_stats = mkOption {
            type = types.bool;
            example = false;
            description = "Whether statistics about this server's use may be reported.";
          };
          public_baseurl = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "https://matrix.example.org/";
            description = "Where clients reach the server; null for the server name.";
          };
          database.url = mkOption {
            type = types.nullOr types.str;
            default = null;
            example = "postgresql:///matrix-homeserver?host=/run/postgresql";
            description = "The database; null for the embedded one in the state directory.";
          };
          sandbox.read_paths = mkOption {
            type = types.listOf types.str;
            default = [ ];
            description = "Directories that the sandbox lets the server read besides its own.";
          };
        };
      };
    };

    credentials = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = {
        registration-shared-secret = "/run/secrets/matrix-registration";
      };
      description = ''
        Files that systemd reads as root and hands to the server alone. A setting that ends in `_file` names one by its
        key here, such as `settings.registration.shared_secret_file = "registration-shared-secret"`. The paths
        must not lie in the store. Encrypted credentials, and those in {file}`/etc/credstore`, need no entry:
        everything that is named `${name}.*` there is imported.
      '';
    };

    sockets = {
      client = socketOptions {
        what = "clients and a reverse proxy";
        default = clientListens;
      };
      federation =
        {
          enable = mkEnableOption "a socket for other servers that come without a proxy, by TLS";
        }
        // socketOptions {
          what = "other servers";
          default = if isInstance then [ ] else listensAt "matrix-homeserver-federation";
        };
      metrics =
        {
          enable = mkEnableOption "a socket from which Prometheus reads the metrics";
        }
        // socketOptions {
          what = "Prometheus";
          default = if isInstance then [ ] else listensAt "matrix-homeserver-metrics";
        };
    };

    egressBroker.enable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether a process of its own opens the connections to other servers, so that the server itself runs without
        any network, see {manpage}`matrix-homeserver(7)`. All servers of the machine share it.
      '';
    };

    database.createLocally = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether to run PostgreSQL on this machine with a database for the server, which reaches it by peer
        authentication: there is no password.
      '';
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the firewall lets others reach the sockets for clients and for servers that do not listen on the
        loopback interface, and nginx.
      '';
    };

    nginx = {
      enable = mkEnableOption "nginx as reverse proxy, with the well-known answers of the server name";
      hostName = mkOption {
        type = types.str;
        default = lib.head (builtins.match "(\\[.*]|[^:]*)(:[0-9]+)?" config.settings.server_name);
        defaultText = literalExpression "the host of settings.server_name";
        example = "matrix.example.org";
        description = "The host under which nginx answers clients and other servers.";
      };
      wellKnown = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether nginx answers {file}`/.well-known/matrix/` under the server name. Not if that host is another
          machine, which then has to.
        '';
      };
    };
  };

  config = {
    settings = mkMerge [
      {
        # The configuration and the certificates of the system are links into the store; a reload follows new ones.
        sandbox.read_paths = [ builtins.storeDir ];
        listeners = mkDefault (
          [ (passed "client") ] ++ optionallyPassed "federation" ++ optionallyPassed "metrics"
        );
      }
      # The commands have no state directory of the service manager to go by.
      (mkIf isInstance { state_directory = mkDefault "/var/lib/${name}"; })
      (mkIf config.database.createLocally {
        # The role is the user's, the database the server's.
        database.url = mkDefault "postgresql:///${name}?host=/run/postgresql";
      })
      (mkIf config.nginx.enable {
        public_baseurl = mkDefault "https://${config.nginx.hostName}/";
        well_known.server = mkDefault "${config.nginx.hostName}:443";
      })
    ];

    sockets = {
      client.listener = {
        resources = mkDefault [
          "client"
          "federation"
        ];
        # Where this machine alone connects, a proxy does for the others.
        x_forwarded = mkIf (
          config.nginx.enable || builtins.all isOfThisMachine config.sockets.client.listen
        ) (mkDefault true);
      };
      federation.listener.resources = mkDefault [ "federation" ];
      metrics.listener.resources = mkDefault [ "metrics" ];
    };
  };
}
