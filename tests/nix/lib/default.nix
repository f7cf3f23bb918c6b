# As much of nixpkgs' library as nix/ uses, under the same names and with the same meaning, so that the module is tested
# on a machine that has no nixpkgs. The tests take a real one instead where NIXPKGS_LIB names it.
let
  lists = import ./lists.nix;
  properties = import ./properties.nix { inherit lib; };
  types = import ./types.nix { inherit lib; };
  modules = import ./modules.nix { inherit lib; };

  lib =
    lists
    // properties
    // modules
    // {
      inherit (types) mkOptionType;
      inherit types;

      mkOption = declaration: declaration // { _type = "option"; };
      mkEnableOption =
        what:
        lib.mkOption {
          default = false;
          type = types.bool;
          description = "Whether to enable ${what}.";
        };
      literalExpression = text: {
        _type = "literalExpression";
        inherit text;
      };

      throwIfNot =
        holds: message: value:
        if holds then value else throw message;
      versionAtLeast = version: least: builtins.compareVersions version least >= 0;
      getExe =
        package:
        "${package}/bin/${package.meta.mainProgram or (throw "the package has no meta.mainProgram")}";
      getExe' = package: name: "${package}/bin/${name}";
      licenses.asl20.spdxId = "Apache-2.0";
    };
in
lib
