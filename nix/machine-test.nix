# A NixOS machine with the server, PostgreSQL and the broker, booted: the first request starts the server, a message gets
# into a room, a changed configuration is a reload in the same process, a restart closes no socket. It needs KVM and
# nixpkgs: `nix build .#checks.x86_64-linux.machine`.
{ testers, module }:
testers.runNixOSTest {
  name = "matrix-homeserver";

  nodes.machine =
    { lib, ... }:
    {
      imports = [ module ];
      services.matrix-homeserver = {
        enable = true;
        settings = {
          server_name = "machine.test";
          report_stats = false;
          registration.shared_secret_file = "registration-shared-secret";
        };
        credentials.registration-shared-secret = "/etc/registration-shared-secret";
        database.createLocally = true;
        instances.second = {
          settings = {
            server_name = "second.test";
            report_stats = false;
          };
          egressBroker.enable = false;
          database.createLocally = true;
        };
      };
      # A test's secret is none; a real one does not stand in the store.
      environment.etc.registration-shared-secret.text = "not a secret";

      specialisation.verbose.configuration = {
        services.matrix-homeserver.settings.log.level = lib.mkForce "debug";
      };
    };

  testScript = ''
    import json

    base = "http://localhost:8008/_matrix/client/v3"


    def call(method, path, body=None, token=None):
        command = f"curl --fail --silent --show-error --max-time 60 --request {method} '{base}{path}'"
        if body is not None:
            command += f" --json '{json.dumps(body)}'"
        if token is not None:
            command += f" --header 'Authorization: Bearer {token}'"
        return json.loads(machine.succeed(command))


    def main_pid():
        return machine.succeed("systemctl show --value --property MainPID matrix-homeserver").strip()


    machine.wait_for_unit("sockets.target")
    machine.wait_for_unit("multi-user.target")

    with subtest("the server answers through the socket"):
        assert call("GET", "/../versions")["versions"]
        machine.wait_for_unit("matrix-homeserver.service")

    with subtest("a user sends a message"):
        machine.succeed(
            "printf 'correct horse battery\\n' >/tmp/password",
            "matrix-homeserver register-user --user alice --password-file /tmp/password --no-admin"
            " --shared-secret 'not a secret' http://localhost:8008",
        )
        login = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "alice"},
            "password": "correct horse battery",
        }
        token = call("POST", "/login", login)["access_token"]
        room = call("POST", "/createRoom", {}, token)["room_id"]
        message = {"msgtype": "m.text", "body": "hello"}
        call("PUT", f"/rooms/{room}/send/m.room.message/1", message, token)

    with subtest("the rows are in PostgreSQL, by peer authentication"):
        tables = "runuser -u postgres -- psql --tuples-only --command '\\dt' matrix-homeserver"
        assert "matrix-homeserver" in machine.succeed(tables), "the server's user owns no table"
        machine.fail("test -e /var/lib/matrix-homeserver/homeserver.db")

    with subtest("a changed setting reloads"):
        before = main_pid()
        machine.succeed("/run/booted-system/specialisation/verbose/bin/switch-to-configuration test")
        assert main_pid() == before
        machine.succeed("journalctl --unit matrix-homeserver.service | grep log.level")

    with subtest("a restart closes no socket"):
        machine.succeed("systemctl restart matrix-homeserver")
        call("GET", "/account/whoami", token=token)

    with subtest("the exposure is that of the units"):
        machine.succeed("systemd-analyze security --threshold=2 matrix-homeserver.service")
        machine.succeed("systemd-analyze security --threshold=11 matrix-homeserver@second.service")

    with subtest("an instance answers at its own socket"):
        machine.succeed(
            "curl --fail --max-time 60 --unix-socket /run/matrix-homeserver-second.sock"
            " http://localhost/_matrix/client/versions"
        )
  '';
}
