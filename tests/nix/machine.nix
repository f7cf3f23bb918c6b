# As much of NixOS as the module writes to: the options, with the types that they have there.
# { lib, root } → configuration → what NixOS would make of it.
{ lib, root }:
let
  inherit (lib) mkOption types;

  option =
    type: default:
    mkOption {
      inherit type default;
      description = "";
    };
  lists = names: lib.genAttrs names (_: option (types.listOf types.str) [ ]);

  # A directive: several definitions come together if one of them is a list, and have to be equal otherwise.
  directive = lib.mkOptionType {
    name = "systemd option";
    merge =
      location: definitions:
      let
        values = map (definition: definition.value) definitions;
        first = builtins.head values;
      in
      if builtins.any builtins.isList values then
        lib.concatMap (value: if builtins.isList value then value else [ value ]) values
      else if builtins.all (value: value == first) values then
        first
      else
        throw "The directive ${toString location} has conflicting definitions.";
  };
  section = option (types.attrsOf directive) { };

  unit = {
    description = option types.str "";
    unitConfig = section;
    reloadTriggers = option (types.listOf types.unspecified) [ ];
    restartTriggers = option (types.listOf types.unspecified) [ ];
  }
  // lists [
    "after"
    "before"
    "bindsTo"
    "conflicts"
    "documentation"
    "partOf"
    "requires"
    "requisite"
    "wantedBy"
    "wants"
  ];
  service = unit // {
    environment = option (types.attrsOf types.str) { };
    serviceConfig = section;
    stopIfChanged = option types.bool true;
  };
  socket = unit // {
    listenStreams = option (types.listOf types.str) [ ];
    socketConfig = section;
  };
  setOf = options: option (types.attrsOf (types.submodule { inherit options; })) { };

  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    environment.etc = setOf {
      source = option (types.nullOr (types.either types.package types.path)) null;
      text = option (types.nullOr types.str) null;
    };
    environment.systemPackages = option (types.listOf types.package) [ ];
    networking.firewall.allowedTCPPorts = option (types.listOf types.int) [ ];
    specialisation = option (types.attrsOf types.unspecified) { };
    systemd.services = setOf service;
    systemd.sockets = setOf socket;
    systemd.tmpfiles.rules = option (types.listOf types.str) [ ];
    users.users = setOf {
      isSystemUser = option types.bool false;
      description = option types.str "";
      home = option types.str "/var/empty";
      group = option types.str "";
    };
    users.groups = setOf { };
    services.postgresql = {
      enable = option types.bool false;
      package = option types.package pkgs.postgresql;
      ensureDatabases = option (types.listOf types.str) [ ];
      ensureUsers = option (types.listOf (
        types.submodule {
          options.name = mkOption { type = types.str; };
          options.ensureDBOwnership = option types.bool false;
        }
      )) [ ];
    };
    services.nginx = {
      enable = option types.bool false;
      virtualHosts = setOf {
        forceSSL = option types.bool false;
        enableACME = option types.bool false;
        locations = setOf {
          proxyPass = option (types.nullOr types.str) null;
          recommendedProxySettings = option types.bool false;
          extraConfig = option types.str "";
        };
      };
    };
  };

  pkgs = import ./nixpkgs.nix { inherit lib; };
in
configuration:
(lib.evalModules {
  modules = [
    { inherit options; }
    (import (root + "/nix/module.nix"))
    configuration
  ];
  specialArgs = { inherit pkgs; };
}).config
