"""Shows of the administrator's commands, which are no part of the service and see what it sees all the same."""

from shows import CONFIG, PASSWORD, SERVICE, expect

REGISTER = f"/usr/lib/matrix-homeserver/bin/register_new_matrix_user --no-admin --password '{PASSWORD}'"
CHECK = "matrix-homeserver config check --service"


def commands_know_the_services_credentials(world):
    machine = world.machine
    stored, fragment = "/etc/credstore/matrix-homeserver.registration-shared-secret", f"{CONFIG}/conf.d/65-secret.toml"
    machine.write(stored, "a secret for the service", 0o600)
    machine.write(fragment, "[registration]\nshared_secret_file = 'registration-shared-secret'\n")
    # The running service has not been given it, and would refuse the reload.
    check = machine.run(CHECK, check=False)
    reload = machine.run(f"systemctl reload {SERVICE}", check=False)
    expect(check.returncode != 0 and reload.returncode != 0, "a credential is found that the service does not have")
    machine.run(f"systemctl restart {SERVICE}; {CHECK}; matrix-homeserver user list; matrix-homeserver health; "
                f"matrix-homeserver reload; {REGISTER} --user dora")
    machine.run(f"rm {stored} {fragment}; systemctl restart {SERVICE}")


def a_generated_configuration_starts(world):
    machine = world.machine
    machine.run("matrix-homeserver config generate --server-name test.example --report-stats no; "
                f"{CHECK}; systemctl restart {SERVICE}; {REGISTER} --user erin")
    machine.run(f"chmod 600 {CONFIG}/registration-shared-secret")
    check = machine.run(CHECK, check=False)
    expect(check.returncode == 78 and "cannot read it" in check.stderr, "root alone can read a secret:", check.stderr)
    machine.run(f"rm {CONFIG}/homeserver.toml {CONFIG}/registration-shared-secret; systemctl restart {SERVICE}")
