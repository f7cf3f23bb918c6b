# What the flake has, and how the package is made.
{ scenarios, lib, root, ... }:
let
  inherit (builtins)
    attrNames
    filter
    fromTOML
    readFile
    ;
in
with scenarios;
{
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
}
