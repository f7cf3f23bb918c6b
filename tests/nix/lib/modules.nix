# The evaluation of modules: their imports, the options that they declare, and what their definitions come to.
{ lib }:
let
  inherit (builtins)
    all
    attrNames
    concatMap
    filter
    functionArgs
    intersectAttrs
    isAttrs
    isFunction
    isPath
    ;

  at = builtins.concatStringsSep ".";
  isOption = value: (value._type or "") == "option";

  # What an option's definitions come to.
  mergeDefinitions =
    location: type: definitions:
    let
      holding = concatMap (definition: lib.dischargeProperties definition.value) definitions;
      strongest = map (value: { inherit value; }) (lib.strongest holding);
    in
    {
      isDefined = holding != [ ];
      mergedValue =
        if holding == [ ] then
          type.emptyValue.value or (throw "The option ${at location} is used and not defined.")
        else if all (definition: type.check definition.value) strongest then
          type.merge location strongest
        else
          throw "A definition of the option ${at location} is no ${type.name}.";
    };

  # A module and what it imports, each as { options, config, freeformType }.
  load =
    arguments: module:
    let
      source = if isPath module || builtins.isString module then import module else module;
      formals = functionArgs source;
      plain =
        if !isFunction source then
          source
        else if formals == { } then
          source arguments
        else
          source (intersectAttrs formals arguments);
      isLong = plain ? options || plain ? config;
      values = removeAttrs plain [
        "config"
        "freeformType"
        "imports"
        "options"
      ];
    in
    if isLong && values != { } then
      throw "A module has ${toString (attrNames values)} beside its options and config."
    else
      [
        {
          options = plain.options or { };
          config = if isLong then plain.config or { } else values;
          freeformType = plain.freeformType or null;
        }
      ]
      ++ concatMap (load arguments) (plain.imports or [ ]);

  # The declarations of all modules as one tree.
  declare =
    location: trees:
    lib.genAttrs (lib.unique (concatMap attrNames trees)) (
      name:
      let
        found = map (tree: tree.${name}) (filter (tree: tree ? ${name}) trees);
        here = location ++ [ name ];
      in
      if !lib.elem true (map isOption found) then
        declare here found
      else if builtins.length found == 1 then
        builtins.head found
      else
        throw "The option ${at here} is declared twice."
    );

  # The values of the declared options, and the definitions that are for none, each with its place.
  define =
    location: tree: sets:
    let
      valuesOf = name: map (set: set.${name}) (filter (set: set ? ${name}) sets);
      one =
        name: declared:
        let
          here = location ++ [ name ];
        in
        if isOption declared then
          {
            value =
              (mergeDefinitions here declared.type (
                map (value: { inherit value; }) (
                  valuesOf name ++ lib.optional (declared ? default) (lib.mkOptionDefault declared.default)
                )
              )).mergedValue;
            unmatched = [ ];
          }
        else
          define here declared (concatMap lib.pushDownProperties (valuesOf name));
      declared = builtins.mapAttrs one tree;
    in
    {
      value = builtins.mapAttrs (_: part: part.value) declared;
      unmatched =
        concatMap (part: part.unmatched) (builtins.attrValues declared)
        ++ concatMap (
          set:
          map (name: {
            path = location ++ [ name ];
            value = set.${name};
          }) (filter (name: !(tree ? ${name})) (attrNames set))
        ) sets;
    };

  # Definitions that no option is declared for, by the type that takes them.
  takeFreely =
    prefix: type: unmatched:
    let
      depth = builtins.length prefix;
      below = path: builtins.genList (index: builtins.elemAt path (depth + index)) (builtins.length path - depth);
      definitions = map (one: { value = lib.setAttrByPath (below one.path) one.value; }) unmatched;
    in
    if unmatched == [ ] then
      { }
    else if type == null then
      throw "The option ${at (builtins.head unmatched).path} does not exist."
    else
      (mergeDefinitions prefix type definitions).mergedValue;
in
{
  inherit mergeDefinitions;

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      arguments = {
        inherit lib config;
      } // specialArgs;
      loaded = concatMap (load arguments) modules;
      freeformTypes = filter (type: type != null) (map (module: module.freeformType) loaded);
      defined = define prefix (declare prefix (map (module: module.options) loaded)) (
        concatMap (module: lib.pushDownProperties module.config) loaded
      );
      free = takeFreely prefix (
        if freeformTypes == [ ] then null else builtins.head freeformTypes
      ) defined.unmatched;
      config = if isAttrs free then lib.recursiveUpdate free defined.value else defined.value;
    in
    {
      inherit config;
    };
}
