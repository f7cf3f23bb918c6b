# What all servers of the machine share: the broker of outgoing connections, and the users, as systemd/ has them.
{ lib }:
let
  inherit (builtins)
    elemAt
    filter
    isString
    match
    readFile
    split
    ;

  units = import ./units.nix { inherit lib; };
  base = "matrix-homeserver";
  lines =
    file: filter (line: isString line && match "[^#].*" line != null) (split "\n" (readFile file));

  # sysusers.d(5): u NAME ID "DESCRIPTION" [HOME].
  user =
    line:
    let
      parts = match ''u +([^ ]+) +[^ ]+ +"([^"]*)" *([^ ]*)'' line;
      name = elemAt parts 0;
      home = elemAt parts 2;
    in
    lib.nameValuePair name (
      {
        isSystemUser = true;
        group = name;
        description = elemAt parts 1;
      }
      // lib.optionalAttrs (home != "") { inherit home; }
    );
in
{
  users = builtins.listToAttrs (map user (lines ../systemd/matrix-homeserver.sysusers));
  tmpfiles = lines ../systemd/matrix-homeserver.tmpfiles;
  catalog = ../systemd/matrix-homeserver.catalog;

  # The broker, run from this program.
  service =
    program:
    units.service (
      units.read (
        builtins.replaceStrings [ "/usr/bin/${base}" ] [ program ] (
          readFile ../systemd/matrix-homeserver-egress.service
        )
      )
    );
  socket = units.socket (units.read (readFile ../systemd/matrix-homeserver-egress.socket));
}
