# The package: the program, its man pages and the very files of systemd/, with the path of the program put in. Version,
# least Rust and the build's environment are read from the files that cargo reads.
{
  lib,
  rustPlatform,
  rustc,
  stdenv,
  installShellFiles,
}:
let
  manifest = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).workspace.package;
  # The allocator's settings are compiled in. cargo reads the file, too, if it stands beside the sources; saying it here
  # makes sure.
  environment = (builtins.fromTOML (builtins.readFile ../.cargo/config.toml)).env;
  inherit (lib.fileset) toSource unions;
in
lib.throwIfNot (lib.versionAtLeast rustc.version manifest.rust-version)
  "matrix-homeserver needs Rust ${manifest.rust-version} or newer, and nixpkgs has ${rustc.version}"
  (
    rustPlatform.buildRustPackage {
      pname = "matrix-homeserver";
      inherit (manifest) version;

      src = toSource {
        root = ../.;
        fileset = unions [
          ../.cargo
          ../Cargo.lock
          ../Cargo.toml
          ../man
          ../src
          ../systemd
          ../tests
        ];
      };
      cargoLock.lockFile = ../Cargo.lock;
      env = environment;

      nativeBuildInputs = [ installShellFiles ];

      cargoBuildFlags = [ "--package=matrix-homeserver" ];
      # The rest needs PostgreSQL, clients or a network; tests/run has it all.
      cargoTestFlags = [
        "--package=homeserver-proto"
        "--package=homeserver-config"
      ];

      postInstall = ''
        installManPage man/*.[1-8]

        install -D --mode=644 src/config/sample.toml $out/share/matrix-homeserver/homeserver.toml
        install --mode=644 src/daemon/dashboard.json $out/share/matrix-homeserver
        # Synapse's names for two of the commands, away from the path, where Synapse's own may stand.
        mkdir -p $out/lib/matrix-homeserver/bin
        ln -s $out/bin/matrix-homeserver $out/lib/matrix-homeserver/bin/register_new_matrix_user
        ln -s $out/bin/matrix-homeserver $out/lib/matrix-homeserver/bin/hash_password

        place() {
          install -D --mode=644 "$1" "$2"
          substituteInPlace "$2" --replace-quiet /usr/bin/matrix-homeserver $out/bin/matrix-homeserver
        }
        for file in systemd/*; do
          name=''${file##*/}
          case $name in
            *.service | *.socket) place "$file" "$out/lib/systemd/system/$name" ;;
            *.sysusers) place "$file" "$out/lib/sysusers.d/''${name%.sysusers}.conf" ;;
            *.tmpfiles) place "$file" "$out/lib/tmpfiles.d/''${name%.tmpfiles}.conf" ;;
            *.catalog) place "$file" "$out/lib/systemd/catalog/$name" ;;
            *.conf) place "$file" "$out/share/matrix-homeserver/$name" ;;
          esac
        done
      ''
      # The program writes its completions, if it runs where it is built.
      + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
        installShellCompletion --cmd matrix-homeserver \
          --bash <($out/bin/matrix-homeserver completions bash) \
          --zsh <($out/bin/matrix-homeserver completions zsh) \
          --fish <($out/bin/matrix-homeserver completions fish)
      '';

      meta = {
        description = "Matrix homeserver that behaves like a native part of a systemd machine";
        license = lib.licenses.asl20;
        mainProgram = "matrix-homeserver";
        platforms = [
          "x86_64-linux"
          "aarch64-linux"
        ];
      };
    }
  )
