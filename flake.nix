{
  description = "A Matrix homeserver that behaves like a native part of a systemd machine";

  # The package needs Rust 1.95.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (
        pkgs:
        let
          matrix-homeserver = pkgs.callPackage ./nix/package.nix { };
        in
        {
          inherit matrix-homeserver;
          default = matrix-homeserver;
        }
      );

      overlays.default = import ./nix/overlay.nix;

      nixosModules = {
        matrix-homeserver = ./nix/module.nix;
        default = self.nixosModules.matrix-homeserver;
      };

      checks = each (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        # The module, evaluated: cargo runs the same (tests/nix).
        module = pkgs.callPackage ./tests/nix/check.nix { };
        # A booted machine.
        machine = pkgs.callPackage ./nix/machine-test.nix { module = self.nixosModules.default; };
      });

      devShells = each (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { };
      });

      formatter = each (pkgs: pkgs.nixfmt-tree);
    };
}
