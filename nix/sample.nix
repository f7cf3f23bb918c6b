# What the sample configuration says of every key, for it has all of them: which hold a secret, and which a reload does
# not cover.
let
  inherit (builtins)
    attrNames
    elem
    elemAt
    filter
    foldl'
    head
    isAttrs
    isList
    isString
    match
    readFile
    split
    tail
    ;

  words = separator: text: filter isString (split separator text);
  says = text: match ".*Fixed at the start.*" text != null;

  # One line more. `comment` is the last one, over a section or a key, and `isOpen` whether it may go on. It is for all
  # keys that follow it, up to the next.
  readLine =
    state: line:
    let
      comment = match "## ?(.*)" line;
      section = match "#?\\[+([a-z_.]+)]+" line;
      key = match "#?([a-z_]+) = .*" line;
    in
    if comment != null then
      state
      // {
        comment = (if state.isOpen then "${state.comment} " else "") + head comment;
        isOpen = true;
      }
    else if section != null then
      state
      // {
        section = words "[.]" (head section);
        isFixed = says state.comment;
        comment = "";
        isOpen = false;
      }
    else if key != null then
      state
      // {
        keys = state.keys ++ [
          {
            path = state.section ++ key;
            isFixed = state.isFixed || says state.comment;
          }
        ];
        isOpen = false;
      }
    else
      state
      // {
        comment = "";
        isOpen = false;
      };

  inherit
    (foldl' readLine {
      section = [ ];
      isFixed = false;
      comment = "";
      isOpen = false;
      keys = [ ];
    } (words "\n" (readFile ../src/config/sample.toml)))
    keys
    ;

  # What stands at a path, in each item where a list is on the way.
  pick =
    path: value:
    if path == [ ] then
      value
    else if isList value then
      map (pick path) value
    else if isAttrs value && value ? ${head path} then
      pick (tail path) value.${head path}
    else
      null;

  nameOf = path: elemAt path (builtins.length path - 1);
  names = map (key: nameOf key.path) keys;
in
rec {
  # A key with a twin in _file holds a secret.
  secretKeys = filter (name: elem "${name}_file" names) names;

  # The keys that are read at the start alone, as paths.
  fixedKeys = map (key: key.path) (filter (key: key.isFixed) keys);

  # What of these settings takes a restart.
  fixed =
    settings:
    map (path: pick path settings) fixedKeys
    # The manual: a listener that begins or ends to speak TLS.
    ++ [ (map (listener: elem "tls" (attrNames listener)) (settings.listeners or [ ])) ];
}
