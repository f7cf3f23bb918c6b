"""All shows, in the order in which an administrator meets what they show."""

import answers
import beside
import commands
import confinement
import names
import keys
import probes
import shows

ALL = [
    shows.apt_refuses_a_strangers_key,
    shows.apt_refuses_a_tampered_index,
    shows.apt_reads_the_archive,
    shows.prerelease_waits_to_be_asked_for,
    shows.install_without_a_name_is_quiet,
    shows.postgresql_may_be_configured_later,
    shows.install_takes_the_name_from_debconf,
    confinement.units_are_clean_and_closed,
    probes.the_sandbox_is_closed_where_it_should_be,
    probes.the_filter_refuses_what_the_server_never_calls,
    shows.first_request_starts_the_server,
    shows.a_user_sends_a_message,
    shows.reload_applies_a_good_change,
    shows.reload_refuses_a_bad_change,
    confinement.the_broker_connects_where_it_may,
    names.the_broker_resolves_names,
    confinement.without_the_broker_the_server_has_the_network,
    names.the_server_resolves_names_by_itself,
    confinement.secrets_come_as_credentials,
    commands.commands_know_the_services_credentials,
    commands.a_generated_configuration_starts,
    beside.a_socket_opens_when_the_server_starts_again,
    beside.an_instance_runs_beside,
    shows.restarts_and_an_upgrade_lose_nothing,
    beside.an_upgrade_takes_all_along,
    shows.watchdog_is_fed,
    keys.keys_change_as_documented,
    shows.watchdog_restarts_a_stuck_server,
    answers.removal_keeps_data_and_what_was_written,
    answers.reconfigure_asks_and_keeps_edits,
    shows.reconfigure_keeps_edits_and_takes_postgresql,
    shows.postgresql_knows_the_server_by_its_user,
    answers.a_database_with_data_stays,
    shows.autopkgtest_passes,
    shows.purge_leaves_the_data_and_nothing_else,
]
