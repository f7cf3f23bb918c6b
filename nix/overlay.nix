# Adds the package to nixpkgs.
final: _previous: { matrix-homeserver = final.callPackage ./package.nix { }; }
