# Lists, sets and strings.
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    elem
    filter
    foldl'
    genList
    isAttrs
    length
    listToAttrs
    ;
in
rec {
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    listToAttrs
    mapAttrs
    ;

  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  optionalString = condition: text: if condition then text else "";

  unique = foldl' (found: value: if elem value found then found else found ++ [ value ]) [ ];
  reverseList =
    values:
    let
      count = length values;
    in
    genList (index: builtins.elemAt values (count - 1 - index)) count;

  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: make: listToAttrs (map (name: nameValuePair name (make name)) names);
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  mapAttrs' = make: set: listToAttrs (mapAttrsToList make set);
  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: nameValuePair name set.${name}) (filter (name: keep name set.${name}) (attrNames set))
    );
  # Into sets, not into lists.
  filterAttrsRecursive =
    keep: set:
    builtins.mapAttrs (
      _: value: if isAttrs value then filterAttrsRecursive keep value else value
    ) (filterAttrs keep set);
  # The second set wins where one of two values is no set.
  recursiveUpdate =
    below: above:
    below
    // builtins.mapAttrs (
      name: value:
      if isAttrs value && isAttrs (below.${name} or null) then
        recursiveUpdate below.${name} value
      else
        value
    ) above;
  setAttrByPath =
    path: value:
    if path == [ ] then value else { ${builtins.head path} = setAttrByPath (builtins.tail path) value; };

  hasPrefix =
    prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  toInt =
    text:
    let
      digits = builtins.match "0*([0-9]+)" text;
    in
    if digits == null then
      throw "${text} is no whole number"
    else
      builtins.fromJSON (builtins.head digits);
}
