# services.matrix-homeserver: the server and its instances, put into NixOS. server.nix has the options, realize.nix what
# comes of them, shared.nix what they have in common.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;

  server = import ./server.nix { inherit pkgs; };
  shared = import ./shared.nix { inherit lib; };
  cfg = config.services.matrix-homeserver;

  enabled =
    lib.optional cfg.enable cfg
    ++ builtins.filter (instance: instance.enable) (builtins.attrValues cfg.instances);
  isUsed = enabled != [ ];
  hasBroker = builtins.any (server: server.egressBroker.enable) enabled;
  broker = "matrix-homeserver-egress";

  realized = map (import ./realize.nix { inherit lib pkgs; }) enabled;
  each = part: map (one: one.${part}) realized;
  all = part: lib.concatLists (each part);

  databases = all "databases";
  owner = "matrix-homeserver";
  # NixOS gives a database to the user of its name. An instance's belongs to the user that all of them share.
  given = builtins.filter (name: name != owner) databases;
  hosts = all "virtualHosts";
  users = lib.filterAttrs (name: _: name != broker || hasBroker) shared.users;
in
{
  options.services.matrix-homeserver = mkOption {
    default = { };
    description = "Matrix homeservers.";
    type = types.submodule {
      imports = [ server ];
      options = {
        enable = mkEnableOption "matrix-homeserver, a Matrix homeserver";
        instances = mkOption {
          default = { };
          description = ''
            Further servers on this machine, `matrix-homeserver@NAME.service`, each with configuration, state and
            credentials of its own, called `matrix-homeserver-NAME`.
          '';
          type = types.attrsOf (
            types.submodule (
              { name, ... }:
              {
                imports = [ server ];
                options.enable = mkOption {
                  type = types.bool;
                  default = true;
                  description = "Whether this instance runs.";
                };
                config.instance = name;
              }
            )
          );
        };
      };
    };
  };

  config = {
    assertions = all "assertions";

    environment.etc = mkMerge (
      each "etc"
      # What `journalctl --catalog` says of the server's messages.
      ++ [ (mkIf isUsed { "systemd/catalog/matrix-homeserver.catalog".source = shared.catalog; }) ]
    );
    environment.systemPackages = lib.unique (map (server: server.package) enabled);

    systemd.services = mkMerge (
      each "services"
      ++ [
        (mkIf hasBroker {
          ${broker} = mkMerge [
            (shared.service (lib.getExe cfg.package))
            {
              # It reads the configuration of the server itself.
              reloadTriggers = lib.optionals cfg.enable (builtins.head realized).reloadTriggers;
              stopIfChanged = false;
            }
          ];
        })
        (mkIf (given != [ ]) {
          postgresql-setup.serviceConfig.ExecStartPost = map (
            name:
            "${lib.getExe' config.services.postgresql.package "psql"} "
            + "--command 'ALTER DATABASE \"${name}\" OWNER TO \"${owner}\"'"
          ) given;
        })
      ]
    );
    systemd.sockets = mkMerge (each "sockets" ++ [ (mkIf hasBroker { ${broker} = shared.socket; }) ]);
    systemd.tmpfiles.rules = lib.optionals isUsed shared.tmpfiles;

    users.users = mkIf isUsed users;
    users.groups = mkIf isUsed (builtins.mapAttrs (_: _: { }) users);

    networking.firewall.allowedTCPPorts = all "ports";

    services.postgresql = mkIf (databases != [ ]) {
      enable = true;
      ensureDatabases = databases;
      ensureUsers = [
        {
          name = owner;
          ensureDBOwnership = lib.elem owner databases;
        }
      ];
    };

    services.nginx = mkIf (hosts != [ ]) {
      enable = true;
      virtualHosts = mkMerge hosts;
    };
  };
}
