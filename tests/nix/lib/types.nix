# The types of options: what values they take, and what several definitions of one option make together. A definition is
# { value = …; }.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    ;

  at = builtins.concatStringsSep ".";
  values = map (definition: definition.value);

  mkOptionType =
    {
      name,
      check ? (_: true),
      merge ? mergeOne,
      emptyValue ? { },
    }:
    {
      _type = "option-type";
      inherit
        name
        check
        merge
        emptyValue
        ;
    };

  mergeOne =
    location: definitions:
    if length definitions == 1 then
      (head definitions).value
    else
      throw "The option ${at location} is defined several times.";

  mergeEqual =
    location: definitions:
    if all (value: value == (head definitions).value) (values definitions) then
      (head definitions).value
    else
      throw "The option ${at location} has conflicting definitions.";

  scalar =
    name: check:
    mkOptionType {
      inherit name check;
      merge = mergeEqual;
    };
in
rec {
  inherit mkOptionType;

  bool = scalar "boolean" isBool;
  int = scalar "integer" isInt;
  float = scalar "float" isFloat;
  str = scalar "string" isString;
  path = scalar "path" (
    value: isPath value || (isString value && lib.hasPrefix "/" value)
  );
  package = mkOptionType {
    name = "package";
    check = value: (value.type or "") == "derivation";
  };
  unspecified = mkOptionType { name = "unspecified"; };

  nullOr =
    type:
    mkOptionType {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge =
        location: definitions:
        let
          nulls = builtins.filter (value: value == null) (values definitions);
        in
        if nulls == [ ] then
          type.merge location definitions
        else if length nulls == length definitions then
          null
        else
          throw "The option ${at location} is defined both null and not null.";
      emptyValue.value = null;
    };

  either =
    first: second:
    mkOptionType {
      name = "${first.name} or ${second.name}";
      check = value: first.check value || second.check value;
      merge =
        location: definitions:
        if all first.check (values definitions) then
          first.merge location definitions
        else if all second.check (values definitions) then
          second.merge location definitions
        else
          mergeOne location definitions;
    };
  oneOf = types: builtins.foldl' either (head types) (builtins.tail types);

  listOf =
    type:
    mkOptionType {
      name = "list of ${type.name}";
      check = isList;
      merge =
        location: definitions:
        concatMap (
          definition:
          let
            merged = map (value: lib.mergeDefinitions location type [ { inherit value; } ]) definition.value;
          in
          map (one: one.mergedValue) (builtins.filter (one: one.isDefined) merged)
        ) definitions;
      emptyValue.value = [ ];
    };

  attrsOf =
    type:
    mkOptionType {
      name = "attribute set of ${type.name}";
      check = isAttrs;
      merge =
        location: definitions:
        let
          sets = concatMap (definition: lib.pushDownProperties definition.value) definitions;
          names = lib.unique (concatMap attrNames sets);
          merged = lib.genAttrs names (
            name:
            lib.mergeDefinitions (location ++ [ name ]) type (
              concatMap (set: lib.optional (set ? ${name}) { value = set.${name}; }) sets
            )
          );
        in
        builtins.mapAttrs (_: one: one.mergedValue) (lib.filterAttrs (_: one: one.isDefined) merged);
      emptyValue.value = { };
    };

  # Each definition is a module that says values only, unless it is a function.
  submodule =
    declared:
    mkOptionType {
      name = "submodule";
      check = value: isAttrs value || isFunction value || isPath value;
      merge =
        location: definitions:
        (lib.evalModules {
          modules =
            (if isList declared then declared else [ declared ])
            ++ map (value: if isAttrs value then { config = value; } else value) (values definitions);
          specialArgs.name = lib.head (lib.reverseList location);
          prefix = location;
        }).config;
      emptyValue.value = { };
    };
}
