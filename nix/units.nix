# Reads the units of systemd/ and says the same in the words of NixOS' options, so that the one source of every directive
# is the file that the Debian package installs, too. Nothing here knows a directive's meaning, save for those that NixOS
# has an option of its own for. systemd.syntax(7), systemd.unit(5).
{ lib }:
let
  inherit (builtins)
    attrNames
    elem
    elemAt
    filter
    foldl'
    head
    isString
    length
    match
    replaceStrings
    split
    ;

  words = text: filter (word: isString word && word != "") (split "[ \t]+" text);

  lines =
    text:
    let
      # A backslash at the end of a line continues it.
      joined = replaceStrings [ "\\\n" ] [ " " ] text;
    in
    filter isString (split "\n" joined);

  # One line more: `section` is the one that we are in, `unit` what was read so far.
  readLine =
    state: line:
    let
      header = match "[[:space:]]*\\[([^]]+)][[:space:]]*" line;
      assignment = match "[[:space:]]*([^#;=[:space:]][^=[:space:]]*)[[:space:]]*=[[:space:]]*(.*)" line;
      text = elemAt assignment 1;
      key = head assignment;
      # Without the blanks at the end.
      value = head (match "(.*[^[:space:]])?[[:space:]]*" text);
      section = state.unit.${state.section} or { };
      assigned = section // {
        ${key} = assign (section.${key} or [ ]) (if value == null then "" else value);
      };
    in
    if header != null then
      state // { section = head header; }
    else if assignment != null then
      state // { unit = state.unit // { ${state.section} = assigned; }; }
    else
      state;

  isSwitch =
    value:
    elem value [
      "yes"
      "no"
      "true"
      "false"
    ];

  # What one assignment more makes of a directive: an empty one forgets those before it, a switch has one value, anything
  # else is said again.
  assign =
    before: value:
    if value == "" || (isSwitch value && length before == 1 && isSwitch (head before)) then
      [ value ]
    else if before == [ "" ] then
      [ value ]
    else
      before ++ [ value ];

  readInto =
    unit: text:
    (foldl' readLine {
      section = "";
      inherit unit;
    } (lines text)).unit;

  # Directives of [Unit] that are options of NixOS' units, where definitions of several modules come together.
  unitOptions = {
    Documentation = "documentation";
    Requires = "requires";
    Requisite = "requisite";
    Wants = "wants";
    BindsTo = "bindsTo";
    PartOf = "partOf";
    Conflicts = "conflicts";
    Before = "before";
    After = "after";
  };

  allWords = values: lib.concatMap words values;

  # A directive that stands once is a value, one that stands several times a list. Whoever defines it elsewhere replaces
  # ours.
  directives = lib.mapAttrs (
    _: values: lib.mkDefault (if length values == 1 then head values else values)
  );

  # NAME=VALUE words as a set.
  variables =
    values:
    lib.listToAttrs (
      map (
        word:
        let
          parts = match "([^=]+)=(.*)" word;
        in
        lib.nameValuePair (head parts) (lib.mkDefault (elemAt parts 1))
      ) (allWords values)
    );

  common =
    unit:
    let
      section = unit.Unit or { };
      isOption = key: unitOptions ? ${key};
    in
    lib.mapAttrs' (key: values: lib.nameValuePair unitOptions.${key} (allWords values)) (
      lib.filterAttrs (key: _: isOption key) section
    )
    // {
      description = lib.mkDefault (head (section.Description or [ "" ]));
      unitConfig = directives (
        removeAttrs section ([ "Description" ] ++ filter isOption (attrNames section))
      );
      # Also= is for systemctl enable; NixOS has no such step.
      wantedBy = allWords (unit.Install.WantedBy or [ ]);
    };
in
{
  # The text of a unit as { Section.Directive = [ value … ]; }.
  read = readInto { };

  # The same with a drop-in over it.
  readWith = text: dropIn: readInto (readInto { } text) dropIn;

  # A definition for systemd.services.NAME.
  service =
    unit:
    common unit
    // {
      environment = variables (unit.Service.Environment or [ ]);
      serviceConfig = directives (removeAttrs (unit.Service or { }) [ "Environment" ]);
    };

  # A definition for systemd.sockets.NAME.
  socket =
    unit:
    common unit
    // {
      listenStreams = lib.mkDefault (unit.Socket.ListenStream or [ ]);
      socketConfig = directives (removeAttrs (unit.Socket or { }) [ "ListenStream" ]);
    };
}
