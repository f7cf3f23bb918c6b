# A nixpkgs whose packages are names: what is asked for is there to be looked at, and nothing is built.
{
  lib,
  rustVersion ? "1.97.0",
}:
let
  inherit (builtins) functionArgs hashString intersectAttrs;

  store = name: "${builtins.storeDir}/00000000000000000000000000000000-${name}";
  package = name: arguments: {
    type = "derivation";
    inherit name arguments;
    outPath = store name;
    meta = arguments.meta or { };
    version = arguments.version or "1";
  };

  # What TOML can say.
  value =
    (
      with lib.types;
      oneOf [
        bool
        int
        float
        str
        path
        (attrsOf value)
        (listOf value)
      ]
    )
    // {
      description = "TOML value";
    };

  packages =
    lib.genAttrs
      [
        "cargo"
        "clippy"
        "installShellFiles"
        "nix"
        "nixfmt"
        "nixfmt-tree"
        "nodejs"
        "postgresql"
        "python3"
        "rustfmt"
        "strace"
        "util-linux"
      ]
      (name: package name { })
    // {
      # A fileset is the list of its paths here.
      lib = lib // {
        fileset = {
          toSource = source: source;
          unions = paths: paths;
        };
      };
      rustc = package "rustc" { version = rustVersion; };
      rustPlatform.buildRustPackage = arguments: package arguments.pname arguments;
      stdenv.hostPlatform.system = "x86_64-linux";
      stdenv.buildPlatform.canExecute = _: true;
      mkShell = package "shell";
      runCommand = name: _: _: package name { };
      testers.runNixOSTest = test: package test.name test;
      callPackage =
        source: more:
        let
          make = import source;
        in
        make (intersectAttrs (functionArgs make) packages // more);
      # A changed content is a changed path, as in the store.
      formats.toml = { }: {
        type = value;
        generate =
          name: content:
          package "${hashString "md5" (builtins.toJSON content)}-${name}" { }
          // {
            value = content;
          };
      };
    };
in
packages
