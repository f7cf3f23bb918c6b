//! Tests of the table against ruma's knowledge of paths, and of its own consistency.

use std::collections::BTreeSet;

use ruma::api::{Metadata, client, path_builder::PathBuilder};

use super::*;
use crate::{Listening, meters::method};

/// Methods and paths with the names of their parameters left out.
fn served() -> BTreeSet<(String, String)> {
    let mut served = BTreeSet::new();
    for route in routes() {
        for path in route.paths() {
            served.insert((method(route.filter).to_owned(), without_names(&path)));
        }
    }
    served
}

fn without_names(path: &str) -> String {
    let segments = path.split('/');
    let segments: Vec<&str> =
        segments.map(|segment| if segment.starts_with('{') { "{}" } else { segment }).collect();
    segments.join("/")
}

#[test]
fn no_route_stands_twice() {
    let mut seen = BTreeSet::new();
    for route in routes() {
        for path in route.paths() {
            let key = (method(route.filter).to_owned(), without_names(&path));
            assert!(seen.insert(key.clone()), "{key:?} stands twice");
        }
    }
}

/// Every path by which ruma knows an endpoint is served, the older and unstable ones too.
fn assert_served<R: Metadata>(served: &BTreeSet<(String, String)>) {
    for path in R::PATH_BUILDER.all_paths() {
        let key = (R::METHOD.to_string(), without_names(path));
        // A path of its own that no client of a released server asks for.
        if path.contains("org.matrix.msc3231") {
            continue;
        }
        assert!(served.contains(&key), "{key:?} is missing");
    }
}

macro_rules! assert_all_served {
    ($($($path:ident)::+),+ $(,)?) => {
        let served = served();
        $(assert_served::<client::$($path)::+::Request>(&served);)+
    };
}

#[test]
fn endpoints_of_accounts_are_served() {
    assert_all_served!(
        discovery::discover_homeserver,
        discovery::discover_support,
        discovery::get_supported_versions,
        discovery::get_capabilities::v3,
        voip::get_turn_server_info::v3,
        thirdparty::get_protocols::v3,
        session::get_login_types::v3,
        session::login::v3,
        session::get_login_token::v1,
        session::refresh_token::v3,
        session::logout::v3,
        session::logout_all::v3,
        account::register::v3,
        account::get_username_availability::v3,
        account::check_registration_token_validity::v1,
        account::whoami::v3,
        account::change_password::v3,
        account::deactivate::v3,
        account::get_3pids::v3,
        device::get_devices::v3,
        device::get_device::v3,
        device::update_device::v3,
        device::delete_device::v3,
        device::delete_devices::v3,
        profile::get_profile::v3,
        profile::get_profile_field::v3,
        profile::set_profile_field::v3,
        profile::delete_profile_field::v3,
        user_directory::search_users::v3,
        config::get_global_account_data::v3,
        config::set_global_account_data::v3,
        config::get_room_account_data::v3,
        config::set_room_account_data::v3,
        tag::get_tags::v3,
        tag::create_tag::v3,
        tag::delete_tag::v3,
        filter::create_filter::v3,
        filter::get_filter::v3,
        push::get_pushrules_all::v3,
        push::get_pushrules_global_scope::v3,
        presence::get_presence::v3,
        presence::set_presence::v3,
        sync::sync_events::v3,
    );
}

#[test]
fn endpoints_of_rooms_are_served() {
    assert_all_served!(
        room::create_room::v3,
        membership::join_room_by_id::v3,
        membership::join_room_by_id_or_alias::v3,
        knock::knock_room::v3,
        membership::leave_room::v3,
        membership::forget_room::v3,
        membership::invite_user::v3,
        membership::kick_user::v3,
        membership::ban_user::v3,
        membership::unban_user::v3,
        membership::joined_rooms::v3,
        membership::get_member_events::v3,
        membership::joined_members::v3,
        room::upgrade_room::v3,
        message::send_message_event::v3,
        state::send_state_event::v3,
        redact::redact_event::v3,
        state::get_state_events::v3,
        state::get_state_event_for_key::v3,
        message::get_message_events::v3,
        context::get_context::v3,
        room::get_room_event::v3,
        typing::create_typing_event::v3,
        receipt::create_receipt::v3,
        read_marker::set_read_marker::v3,
        alias::get_alias::v3,
        alias::create_alias::v3,
        alias::delete_alias::v3,
        room::aliases::v3,
        directory::get_room_visibility::v3,
        directory::set_room_visibility::v3,
        directory::get_public_rooms::v3,
        directory::get_public_rooms_filtered::v3,
    );
}

#[test]
fn administrators_listeners_serve_nothing_else() {
    let listening = Listening { client: false, admin: true, ..Listening::CLIENT };
    let served = routes().into_iter().filter(|route| route.surface.is_served(listening));
    let paths: BTreeSet<String> =
        served.flat_map(|route| route.paths().collect::<Vec<_>>()).collect();
    assert_eq!(paths, BTreeSet::from(["/_synapse/admin/v1/register".to_owned()]));
}
