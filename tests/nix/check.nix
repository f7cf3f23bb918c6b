# The checks of checks.nix as a derivation, for `nix flake check`. The comparison of the units with systemd/ is cargo's.
{ lib, runCommand }:
let
  inherit
    (import ./checks.nix {
      inherit lib;
      root = ../..;
    })
    checks
    ;
  failed = lib.filterAttrs (_: check: check.expected != check.actual) checks;
in
if failed == { } then
  runCommand "matrix-homeserver-module" { } "touch $out"
else
  throw "These checks of the module fail: ${builtins.toJSON failed}"
