# What can be said about a definition: that it holds under a condition, that it is several, that it is stronger or weaker
# than others.
{ lib }:
let
  inherit (builtins) concatMap filter mapAttrs;
  kind = value: value._type or "";
  ordinary = 100;
  priorityOf = value: if kind value == "override" then value.priority else ordinary;
in
rec {
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkForce = mkOverride 50;
  mkDefault = mkOverride 1000;
  # A default in an option's declaration.
  mkOptionDefault = mkOverride 1500;

  # Sets whose values carry what was said about the whole, so that a set's names are known before any condition is.
  pushDownProperties =
    value:
    if kind value == "merge" then
      concatMap pushDownProperties value.contents
    else if kind value == "if" then
      map (mapAttrs (_: mkIf value.condition)) (pushDownProperties value.content)
    else if kind value == "override" then
      map (mapAttrs (_: mkOverride value.priority)) (pushDownProperties value.content)
    else
      [ value ];

  # The values that hold.
  dischargeProperties =
    value:
    if kind value == "merge" then
      concatMap dischargeProperties value.contents
    else if kind value == "if" then
      if builtins.isBool value.condition then
        lib.optionals value.condition (dischargeProperties value.content)
      else
        throw "the condition of mkIf is no boolean"
    else
      [ value ];

  # The strongest of them, bare.
  strongest =
    values:
    let
      least = builtins.foldl' (found: value: if priorityOf value < found then priorityOf value else found) 9999 values;
      bare = value: if kind value == "override" then value.content else value;
    in
    map bare (filter (value: priorityOf value == least) values);
}
