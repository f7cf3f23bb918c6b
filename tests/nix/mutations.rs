//! Mistakes that are put into a copy of the sources one at a time: each has to fail the check that is there for it.

use std::{
    sync::Mutex,
    thread::{available_parallelism, scope},
};

use crate::{evaluate::Evaluation, failures, tree::Tree};

/// A mistake: in this file, this instead of that, seen by this check.
struct Mutation {
    file: &'static str,
    before: &'static str,
    after: &'static str,
    check: &'static str,
}

const fn mutation(
    file: &'static str,
    before: &'static str,
    after: &'static str,
    check: &'static str,
) -> Mutation {
    Mutation { file, before, after, check }
}

const UNITS: &str = "nix/units.nix";
const SERVER: &str = "nix/server.nix";
const REALIZE: &str = "nix/realize.nix";
const PROBLEMS: &str = "nix/problems.nix";
const SAMPLE: &str = "nix/sample.nix";
const SHARED: &str = "nix/shared.nix";
const MODULE: &str = "nix/module.nix";
const PACKAGE: &str = "nix/package.nix";
const FLAKE: &str = "flake.nix";
const LOCK: &str = "flake.lock";

const PLAIN: &str = "units-of-plain-are-those-of-systemd";

#[rustfmt::skip]
const MUTATIONS: [Mutation; 112] = [
    // The units.
    mutation(UNITS, "wantedBy = allWords (unit.Install.WantedBy or [ ]);", "", PLAIN),
    mutation(UNITS, "environment = variables (unit.Service.Environment or [ ]);", "", PLAIN),
    mutation(UNITS, "(removeAttrs (unit.Service or { }) [ \"Environment\" ])", "(removeAttrs (unit.Service or { }) [ \"Environment\" \"ProtectSystem\" ])", PLAIN),
    mutation(UNITS, "Wants = \"wants\";", "Wants = \"requires\";", PLAIN),
    mutation(UNITS, "head (section.Description or [ \"\" ])", "\"Matrix\"", PLAIN),
    mutation(UNITS, "then head values else values", "then head values else [ (head values) ]", PLAIN),
    mutation(UNITS, "before ++ [ value ]", "[ value ]", PLAIN),
    mutation(UNITS, "readInto (readInto { } text) dropIn", "readInto (readInto { } dropIn) text", "units-of-without-broker-are-those-of-systemd"),
    mutation(UNITS, "_: values: lib.mkDefault (if", "_: values: (if", "administrators-override-directives"),
    mutation(REALIZE, "(text \"${base}${template}.service\")", "(text \"${base}.service\")", "units-of-instance-without-broker-are-those-of-systemd"),
    mutation(REALIZE, "\"/usr/bin/${base}\" = program;", "\"/usr/bin/${base}\" = \"/bin/${base}\";", PLAIN),
    mutation(REALIZE, "++ optional (!isInstance) (socket \"${base}-admin.socket\" \"${base}-admin\" { })", "", "enabled-is-complete"),
    mutation(SHARED, "[ program ]", "[ \"/bin/false\" ]", PLAIN),
    mutation(SHARED, "elemAt parts 1", "name", "users-are-those-of-sysusers"),
    // On and off.
    mutation(MODULE, "lib.optional cfg.enable cfg", "[ cfg ]", "disabled-is-empty"),
    mutation(MODULE, "systemPackages = lib.unique", "systemPackages = builtins.tail", "enabled-is-complete"),
    mutation(REALIZE, "conf.d/50-nixos.toml", "50-nixos.toml", "enabled-is-complete"),
    mutation(MODULE, "mkIf isUsed users", "users", "disabled-is-empty"),
    mutation(MODULE, "lib.optionals isUsed shared.tmpfiles", "[ ]", "directories-are-those-of-tmpfiles"),
    mutation(SHARED, "isSystemUser = true;", "", "users-are-those-of-sysusers"),
    mutation(SHARED, "catalog = ../systemd/matrix-homeserver.catalog;", "catalog = ../systemd/matrix-homeserver.sysusers;", "catalog-is-that-of-systemd"),
    // The settings.
    mutation(SERVER, "description = \"The part of user ids", "default = \"\"; description = \"The part of user ids", "server-name-is-required"),
    mutation(SERVER, "description = \"Whether statistics", "default = false; description = \"Whether statistics", "report-stats-is-required"),
    mutation(SERVER, "type = types.submodule {\n        freeformType = format.type;", "type = types.submodule {", "settings-are-free"),
    mutation(REALIZE, "value != null) settings", "true) settings", "settings-have-no-null"),
    mutation(SERVER, "sandbox.read_paths = [ builtins.storeDir ];", "", "settings-of-the-least"),
    mutation(SERVER, "config.nginx.enable || builtins.all isOfThisMachine config.sockets.client.listen", "true", "a-proxy-is-believed-where-no-other-can-come"),
    mutation(SERVER, "config.nginx.enable || builtins.all", "builtins.all", "passed-sockets-have-listeners"),
    mutation(SERVER, " ++ optionallyPassed \"metrics\"", "", "passed-sockets-have-listeners"),
    mutation(SERVER, "listeners = mkDefault (", "listeners = (", "own-listeners-replace-ours"),
    // Reload and restart.
    mutation(REALIZE, "reloadTriggers = [ file ];", "reloadTriggers = [ ];", "changed-settings-reload"),
    mutation(REALIZE, "restartTriggers = [ fixed ];", "restartTriggers = [ file ];", "changed-settings-do-not-restart"),
    mutation(REALIZE, "restartTriggers = [ fixed ];", "", "fixed-settings-restart"),
    mutation(SAMPLE, "listener: elem \"tls\" (attrNames listener)", "listener: listener.tls or null", "a-changed-certificate-does-not"),
    mutation(SAMPLE, "isFixed = state.isFixed || says", "isFixed = says", "fixed-settings-are-those-of-the-manual"),
    mutation(REALIZE, "stopIfChanged = false;", "", "restarts-keep-the-sockets"),
    mutation(MODULE, "lib.optionals cfg.enable (builtins.head realized).reloadTriggers", "[ ]", "changed-settings-reload-the-broker"),
    // Secrets.
    mutation(REALIZE, "\"${base}.${credential}:${source}\"", "\"${credential}:${source}\"", "credentials-are-loaded"),
    mutation(REALIZE, "lib.mkIf (cfg.credentials != { })", "lib.mkIf true", "no-credential-no-directive"),
    mutation(PROBLEMS, "!any isInStore", "true || any isInStore", "credentials-in-the-store-are-refused"),
    mutation(PROBLEMS, "assertion = secrets == [ ];", "assertion = true;", "secrets-in-the-store-are-refused"),
    mutation(PROBLEMS, "else if isList value then\n      lib.concatMap secretsIn value", "else if isList value then\n      [ ]", "secrets-in-the-store-are-refused"),
    mutation(PROBLEMS, "filter (key: lib.elem key secretKeys", "filter (key: lib.hasPrefix \"shared_secret\" key", "secret-files-are-not-refused"),
    // Sockets and the firewall.
    mutation(REALIZE, "{ listenStreams = sockets.client.listen; }", "{ }", "client-listens-where-told"),
    mutation(REALIZE, "requires = moreSockets;", "", "optional-sockets-are-required"),
    mutation(REALIZE, "ports = optionals cfg.openFirewall (", "ports = optionals true (", "firewall-stays-closed"),
    mutation(REALIZE, "host == \"[::1]\" || ", "", "firewall-knows-loopback"),
    mutation(REALIZE, "openPorts sockets.client.listen\n", "openPorts [ ]\n", "firewall-opens-what-others-reach"),
    mutation(PROBLEMS, "!sockets.federation.enable || sockets.federation.listener ? tls", "true", "federation-without-tls-is-refused"),
    mutation(PROBLEMS, "isNamed \"client\" && isNamed", "isNamed", "passed-sockets-are-named"),
    mutation(PROBLEMS, " && isNamed \"federation\" == sockets.federation.enable", "", "passed-sockets-are-named"),
    mutation(PROBLEMS, "assertion = sockets.client.listen != [ ];", "assertion = true;", "a-deaf-server-is-refused"),
    // The broker.
    mutation(REALIZE, "(text \"${base}${template}.service\") withoutBroker", "(text \"${base}${template}.service\") \"\"", "no-broker-own-network"),
    mutation(MODULE, "(mkIf hasBroker {\n          ${broker} = mkMerge", "(mkIf isUsed {\n          ${broker} = mkMerge", "no-broker-no-units"),
    mutation(MODULE, "(mkIf hasBroker { ${broker} = shared.socket; })", "(mkIf isUsed { ${broker} = shared.socket; })", "no-broker-no-socket"),
    mutation(MODULE, "name != broker || hasBroker", "true", "no-broker-no-user"),
    mutation(PROBLEMS, "assertion = !(cfg.egressBroker.enable && isRemoteDatabase", "assertion = !(false && isRemoteDatabase", "no-network-no-tcp-database"),
    mutation(PROBLEMS, "(item.bind or [ \"\" ])", "(item.bind or [ ])", "no-network-no-tcp-listener"),
    // PostgreSQL.
    mutation(SERVER, "${name}?host=/run/postgresql\";", "${name}\";", "database-is-made"),
    mutation(MODULE, "ensureDBOwnership = lib.elem owner databases;", "", "database-is-made"),
    mutation(REALIZE, "wants = database;", "", "database-is-waited-for"),
    mutation(MODULE, "OWNER TO \\\"${owner}\\\"", "OWNER TO \\\"${name}\\\"", "instances-have-databases"),
    // nginx.
    mutation(REALIZE, "locations.\"= /.well-known/matrix/server\" = proxied;", "", "nginx-has-the-well-knowns"),
    mutation(REALIZE, "enableACME = mkDefault true;", "", "nginx-encrypts"),
    mutation(SERVER, "well_known.server = mkDefault", "well_known.client = mkDefault", "nginx-is-what-the-well-knowns-say"),
    mutation(REALIZE, "if address == null then \"http://unix:${listen}\"", "if address == null then \"http://${listen}\"", "nginx-reaches-a-unix-socket"),
    mutation(REALIZE, "if isWildcard address.host then", "if false then", "nginx-reaches-every-address"),
    // Instances.
    mutation(MODULE, "config.instance = name;", "", "instances-have-units"),
    mutation(REALIZE, "\"Service=${base}.service\" = \"Service=${unit}.service\";", "", "instances-have-sockets"),
    mutation(REALIZE, "\"WantedBy=sockets.target ${base}.service\" = \"WantedBy=sockets.target ${unit}.service\";", "", "instances-have-sockets"),
    mutation(SERVER, "(mkIf isInstance { state_directory", "(mkIf false { state_directory", "instances-keep-their-state"),
    mutation(PROBLEMS, "assertion = instance == null || isInstanceName instance;", "assertion = true;", "instance-names-are-checked"),
    mutation(PROBLEMS, "assertion = instance == null || !cfg.egressBroker.enable || !(settings ? egress);", "assertion = true;", "instances-share-the-broker"),
    // The package and the flake.
    mutation(PACKAGE, "env = environment;", "env = { };", "package-keeps-the-environment"),
    mutation(PACKAGE, "lib.versionAtLeast rustc.version", "lib.versionAtLeast \"9\"", "package-refuses-an-old-rust"),
    mutation(PACKAGE, "*.sysusers)", "*.users)", "package-installs-everything"),
    mutation(PACKAGE, "install --mode=644 src/daemon/dashboard.json", ": src/daemon/dashboard.json", "package-installs-everything"),
    mutation(PACKAGE, "--zsh <($out/bin/matrix-homeserver completions zsh)", "--zsh <($out/bin/matrix-homeserver completions fish)", "package-completes"),
    mutation(FLAKE, "overlays.default", "overlay.default", "flake-has-its-outputs"),
    mutation(LOCK, "\"ref\": \"nixos-unstable\"", "\"ref\": \"nixos-26.05\"", "lock-is-for-the-input-of-the-flake"),
    // What has no heading of its own above.
    mutation(SERVER, "type = types.str;\n            example = \"example.org\";", "type = types.unspecified;\n            example = \"example.org\";", "a-wrong-type-is-refused"),
    mutation(SERVER, "type = types.bool;\n            example = false;", "type = types.int;\n            example = false;", "the-least-is-enough"),
    mutation(SERVER, "  options = {\n    instance = mkOption", "  freeformType = lib.types.attrsOf lib.types.unspecified;\n  options = {\n    instance = mkOption", "unknown-options-are-refused"),
    mutation(SERVER, "listensAt \"matrix-homeserver-metrics\"", "[ \"127.0.0.1:9999\" ]", "units-of-rich-are-those-of-systemd"),
    mutation(SERVER, "(listensAt \"matrix-homeserver@\")", "(listensAt \"matrix-homeserver\")", "units-of-several-are-those-of-systemd"),
    mutation(SERVER, "[ \"%i\" ] [ config.instance ]", "[ \"%i\" ] [ \"other\" ]", "instances-behind-nginx"),
    mutation(SAMPLE, "isFixed = state.isFixed || says state.comment;", "isFixed = true;", "other-settings-do-not"),
    mutation(MODULE, "hasBroker = builtins.any (server: server.egressBroker.enable) enabled;", "hasBroker = cfg.enable;", "instances-need-no-server"),
    mutation(REALIZE, "federation = instanced \"${base}-federation\";", "federation = \"${base}-federation\";", "instances-need-their-sockets"),
    mutation(REALIZE, "reloadTriggers = [ file ];", "reloadTriggers = [ base ];", "instances-reload-by-their-own"),
    mutation(REALIZE, "++ optional nginx.wellKnown {", "++ optional false {", "nginx-has-both-hosts"),
    mutation(REALIZE, "++ optional nginx.wellKnown {", "++ optional true {", "nginx-without-well-knowns"),
    mutation(REALIZE, "serverHost = head (match \"(\\\\[.*]|[^:]*)(:[0-9]+)?\" settings.server_name);", "serverHost = settings.server_name;", "nginx-hides-the-port-of-the-name"),
    mutation(REALIZE, "${serverHost} = encrypted // {", "\"www.${serverHost}\" = encrypted // {", "nginx-on-one-host"),
    mutation(REALIZE, "locations.\"/_matrix/\" = api;", "locations.\"/\" = api;", "nginx-passes-the-api-on"),
    mutation("nix/overlay.nix", "{ matrix-homeserver = final", "{ homeserver = final", "overlay-adds-the-package"),
    mutation("nix/shell.nix", "packages = [", "packages = [ ]; more = [", "shell-has-its-tools"),
    mutation("nix/machine-test.nix", "egressBroker.enable = false;", "egressBroker.enabled = false;", "machine-test-evaluates"),
    mutation(PACKAGE, "../.cargo\n", "", "package-has-its-sources"),
    mutation(PACKAGE, "inherit (manifest) version;", "version = \"0\";", "package-has-the-version"),
    mutation(PACKAGE, "cargoLock.lockFile = ../Cargo.lock;", "cargoLock.lockFile = ../flake.lock;", "package-is-locked"),
    mutation(PACKAGE, "mainProgram = \"matrix-homeserver\";", "mainProgram = \"homeserver\";", "package-names-its-program"),
    mutation(PACKAGE, "installManPage man/*.[1-8]", "installManual man/*.[1-8]", "package-can-be-installed"),
    mutation(PACKAGE, "--replace-quiet /usr/bin/matrix-homeserver", "--replace-quiet /usr/bin/homeserver", "package-knows-its-program"),
    mutation(FLAKE, "package = self.packages", "built = self.packages", "flake-has-checks"),
    mutation(FLAKE, "\"aarch64-linux\"", "\"riscv64-linux\"", "flake-knows-both-systems"),
    mutation(LOCK, "\"nodes\": {", "\"nodes\": { \"more\": { },", "lock-has-one-input"),
    mutation(LOCK, "\"nixpkgs\": \"nixpkgs\"", "\"nixpkgs\": \"more\"", "lock-has-a-root"),
    mutation(LOCK, "\"version\": 7", "\"version\": 6", "lock-has-a-form"),
    mutation(LOCK, "\"rev\": \"6", "\"rev\": \"X", "lock-names-a-commit"),
    mutation(LOCK, "sha256-", "sha1-", "lock-has-a-hash"),
    mutation(LOCK, "\"lastModified\": 17", "\"lastModified\": 7", "lock-has-a-time"),
];

/// Why a mutation went unseen.
fn judge(mutation: &Mutation, unchanged: &Evaluation) -> Option<String> {
    let tree = Tree::copied();
    tree.replace(mutation.file, mutation.before, mutation.after);
    let is_seen = if unchanged.check_names().any(|name| name == mutation.check) {
        Evaluation::check_fails(&tree, mutation.check)
    } else {
        let found = failures(&tree).unwrap_or_default();
        found.iter().any(|failure| failure.check == mutation.check)
    };
    (!is_seen).then(|| describe(mutation))
}

fn describe(mutation: &Mutation) -> String {
    let Mutation { file, before, after, check } = mutation;
    format!("{check} misses {after:?} for {before:?} in {file}")
}

/// Puts every mistake in, as many at a time as there are processors.
pub(crate) fn run() {
    let unchanged = Evaluation::of(&Tree::of_sources()).expect("an evaluation");
    let unproven: Vec<&str> = unchanged
        .check_names()
        .filter(|name| MUTATIONS.iter().all(|one| one.check != *name))
        .collect();
    assert!(unproven.is_empty(), "nothing shows that these can fail: {unproven:?}");
    let next = Mutex::new(MUTATIONS.iter());
    let unseen = Mutex::new(Vec::new());
    let work = || {
        loop {
            let mutation = next.lock().expect("no other has failed").next();
            let Some(mutation) = mutation else { break };
            if let Some(reason) = judge(mutation, &unchanged) {
                unseen.lock().expect("no other has failed").push(reason);
            }
        }
    };
    let workers = available_parallelism().map_or(1, std::num::NonZero::get);
    scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let unseen = unseen.into_inner().expect("no other has failed");
    assert!(unseen.is_empty(), "{} mistakes are not seen:\n{}", unseen.len(), unseen.join("\n"));
}
