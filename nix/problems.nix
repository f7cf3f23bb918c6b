# What an evaluation can already refuse: configurations that would leak a secret, or that the server would not start with.
{ lib }:
let
  inherit (builtins)
    any
    attrNames
    attrValues
    filter
    isAttrs
    isList
    match
    ;

  inherit (import ./sample.nix) secretKeys;

  # The secrets that stand in a value.
  secretsIn =
    value:
    if isAttrs value then
      filter (key: lib.elem key secretKeys && value.${key} != null) (attrNames value)
      ++ lib.concatMap secretsIn (attrValues value)
    else if isList value then
      lib.concatMap secretsIn value
    else
      [ ];

  isInStore = path: lib.hasPrefix "${builtins.storeDir}/" path;

  # postgresql://[USER[:PASSWORD]@]HOST…
  isRemoteDatabase =
    url: url != null && match "postgres(ql)?://([^/?]*@)?[^/?@]+([/?].*)?" url != null;

  needsNetwork = bind: !(lib.hasPrefix "passed:" bind || lib.hasPrefix "unix:" bind);

  # Names of instances stand in those of units and directories; the broker and the commands' socket have such names, too.
  isInstanceName =
    name:
    match "[a-zA-Z0-9][a-zA-Z0-9_-]{0,39}" name != null
    && !lib.elem name [
      "admin"
      "egress"
    ];
in
cfg:
let
  inherit (cfg) instance settings sockets;
  here = "services.matrix-homeserver" + lib.optionalString (instance != null) ".instances.${instance}";
  secrets = secretsIn settings;
  listeners = settings.listeners or [ ];
  isNamed = socket: lib.elem "passed:${socket}" (lib.concatMap (item: item.bind or [ ]) listeners);
in
{
  assertions = [
    {
      assertion = !any isInStore (attrValues cfg.credentials);
      message = "${here}.credentials: a path lies in the store, where everybody can read the secret.";
    }
    {
      assertion = secrets == [ ];
      message =
        "${here}.settings: ${toString secrets} would lie in the store, where everybody can read it. "
        + "Use the key with _file and ${here}.credentials.";
    }
    {
      assertion = instance == null || isInstanceName instance;
      message =
        "${here}: the name of an instance is up to 40 letters, digits, dashes and underscores, "
        + "and neither admin nor egress.";
    }
    {
      assertion = instance == null || !cfg.egressBroker.enable || !(settings ? egress);
      message =
        "${here}.settings.egress: all instances share one broker; "
        + "it takes services.matrix-homeserver.settings.egress.";
    }
    {
      assertion = isNamed "client" && isNamed "federation" == sockets.federation.enable;
      message =
        "${here}.settings.listeners: the server does not start unless they name each socket that it is passed, "
        + "and no other; passed:client always, and passed:federation with sockets.federation.enable.";
    }
    {
      assertion = sockets.client.listen != [ ];
      message = "${here}.sockets.client.listen must name at least one address.";
    }
    {
      assertion = !sockets.federation.enable || sockets.federation.listener ? tls;
      message = "${here}.sockets.federation.listener.tls: other servers speak TLS only.";
    }
    {
      assertion = !sockets.federation.enable || sockets.federation.listen != [ ];
      message = "${here}.sockets.federation.listen must name at least one address.";
    }
    {
      assertion = !sockets.metrics.enable || sockets.metrics.listen != [ ];
      message = "${here}.sockets.metrics.listen must name at least one address.";
    }
    {
      assertion = !(cfg.egressBroker.enable && isRemoteDatabase settings.database.url);
      message =
        "${here}.settings.database.url: the server has no network while egressBroker.enable is true, "
        + "and reaches PostgreSQL by a unix socket only.";
    }
    {
      assertion =
        !(cfg.egressBroker.enable && any (item: any needsNetwork (item.bind or [ "" ])) listeners);
      message =
        "${here}.settings.listeners: the server has no network while egressBroker.enable is true; "
        + "use sockets, passed:NAME or unix:/PATH.";
    }
  ];
}
