//! Registration, password change, deactivation and the administrator's list, on both engines.

use ruma::user_id;
use store::testing::for_each_engine;

use super::*;
use crate::{WeakPassword, login::PasswordLogin, testing::World};

fn named(username: &str) -> Registration {
    Registration { username: Some(username.to_owned()), ..Registration::default() }
}

fn login(user: &str, password: &str) -> PasswordLogin {
    PasswordLogin { user: user.to_owned(), password: password.to_owned() }
}

#[tokio::test]
async fn a_name_is_given_once() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.accounts.register(named("Alice")).await.unwrap();
        assert_eq!(alice.user_id, "@alice:example.org");
        assert!(alice.session.is_none());
        let again = world.accounts.register(named("alice")).await;
        assert!(matches!(again, Err(Error::UserInUse)));
        let available = world.accounts.check_available("alice").await;
        assert!(matches!(available, Err(Error::UserInUse)));
        assert_eq!(world.accounts.check_available("bob").await.unwrap(), "@bob:example.org");
        let shouted = world.accounts.check_available("Bob").await;
        assert!(matches!(shouted, Err(Error::InvalidUsername(_))));
        let bad = world.accounts.register(named("al ice")).await;
        assert!(matches!(bad, Err(Error::InvalidUsername(_))));
        let profile = world.profiles.find(&alice.user_id).await.unwrap().unwrap();
        assert_eq!(profile["displayname"], "alice");
    })
    .await;
}

#[tokio::test]
async fn a_name_is_generated_where_none_is_wished() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let one = world.accounts.register(Registration::default()).await.unwrap();
        let two = world.accounts.register(Registration::default()).await.unwrap();
        assert_ne!(one.user_id, two.user_id);
    })
    .await;
}

#[tokio::test]
async fn two_at_once_get_one_account() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let (one, two) =
            tokio::join!(world.accounts.register(named("x")), world.accounts.register(named("x")));
        assert!(one.is_ok() != two.is_ok());
        assert!(matches!(one.and(two), Err(Error::UserInUse)));
    })
    .await;
}

#[tokio::test]
async fn guests_come_only_where_they_may() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let refused = world.accounts.register_guest(NewSession::default()).await;
        assert!(matches!(refused, Err(Error::GuestAccessForbidden)));
        world.set(|settings| settings.registration.guests = true);
        let guest = world.accounts.register_guest(NewSession::default()).await.unwrap();
        let token = guest.session.unwrap().tokens.access_token;
        let requester = world.authenticate(&token).await.unwrap();
        assert!(requester.is_guest());
        assert!(world.accounts.refuse_guest(&requester).is_err());
    })
    .await;
}

#[tokio::test]
async fn a_weak_password_makes_no_account() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        world.set(|settings| settings.passwords.minimum_length = 8);
        let registration = Registration { password: Some("short".to_owned()), ..named("alice") };
        let refused = world.accounts.register(registration).await;
        assert!(matches!(refused, Err(Error::WeakPassword(WeakPassword::TooShort))));
        let refused = world.accounts.check_registration(Some("Bob"), Some("short")).await;
        assert!(matches!(refused, Err(Error::WeakPassword(_))));
        assert!(world.accounts.check_available("alice").await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_registration_token_is_used_up_with_the_account() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let token = world.registration_tokens.create(None, Some(1), None).await.unwrap().token;
        let with_token =
            |name: &str| Registration { registration_token: Some(token.clone()), ..named(name) };
        world.accounts.register(with_token("alice")).await.unwrap();
        let refused = world.accounts.register(with_token("bob")).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))));
        // Nothing of the refused registration stays.
        assert!(world.accounts.check_available("bob").await.is_ok());
        let token = world.registration_tokens.find(&token).await.unwrap().unwrap();
        assert_eq!((token.completed, token.pending), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.register("alice", Some("old")).await;
        let second =
            world.sessions.login(login("alice", "old"), NewSession::default()).await.unwrap();
        let keep = &alice.session.device_id;
        world
            .accounts
            .change_password(&alice.user_id, "new".to_owned(), true, Some(keep))
            .await
            .unwrap();
        assert!(world.authenticate(&alice.session.tokens.access_token).await.is_ok());
        let ended = world.authenticate(&second.tokens.access_token).await;
        assert!(matches!(ended, Err(Error::UnknownToken { soft_logout: false })));
        let old = world.sessions.login(login("alice", "old"), NewSession::default()).await;
        assert!(matches!(old, Err(Error::BadCredentials(_))));
        assert!(world.sessions.login(login("alice", "new"), NewSession::default()).await.is_ok());
        let unknown = user_id!("@nobody:example.org");
        let refused = world.accounts.change_password(unknown, "x".to_owned(), false, None).await;
        assert!(matches!(refused, Err(Error::UnknownUser(_))));
    })
    .await;
}

#[tokio::test]
async fn the_admin_flag_reaches_open_sessions() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        assert!(!alice.requester.is_admin());
        world.accounts.set_admin(&alice.user_id, true).await.unwrap();
        let requester = world.authenticate(&alice.session.tokens.access_token).await.unwrap();
        assert!(requester.is_admin());
        assert!(world.accounts.find(&alice.user_id).await.unwrap().unwrap().admin);
    })
    .await;
}

#[tokio::test]
async fn the_list_pages_and_searches() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        for name in ["alice", "bob", "carol", "dave"] {
            world.someone(name).await;
        }
        let bob = user_id!("@bob:example.org");
        world.accounts.deactivate(bob, false).await.unwrap();
        let names = |accounts: Vec<Account>| -> Vec<String> {
            accounts.iter().map(|account| account.user_id.localpart().to_owned()).collect()
        };
        let query = AccountQuery { limit: 2, ..AccountQuery::default() };
        let first = world.accounts.list(query.clone()).await.unwrap();
        let after = Some(first[1].user);
        assert_eq!(names(first), ["alice", "carol"]);
        let next = world.accounts.list(AccountQuery { after, ..query.clone() }).await.unwrap();
        assert_eq!(names(next), ["dave"]);
        let all = AccountQuery { deactivated: true, limit: 10, ..query.clone() };
        assert_eq!(names(world.accounts.list(all).await.unwrap()).len(), 4);
        let search = AccountQuery { search: Some("A".to_owned()), limit: 10, ..query };
        let found = world.accounts.list(search).await.unwrap();
        assert_eq!(names(found), ["alice", "carol", "dave"]);
    })
    .await;
}

#[tokio::test]
async fn deactivation_ends_everything() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.register("alice", Some("secret")).await;
        let room = world.room(ruma::room_id!("!r:example.org")).await;
        world.rooms.join(&alice.requester, room);
        world.accounts.deactivate(&alice.user_id, false).await.unwrap();
        assert!(world.rooms.0.lock().joined.is_empty());
        assert!(world.authenticate(&alice.session.tokens.access_token).await.is_err());
        let refused = world.sessions.login(login("alice", "secret"), NewSession::default()).await;
        assert!(matches!(refused, Err(Error::UserDeactivated)));
        let taken = world.accounts.check_available("alice").await;
        assert!(matches!(taken, Err(Error::UserInUse)));
        let account = world.accounts.find(&alice.user_id).await.unwrap().unwrap();
        assert!(account.deactivated && !account.erased && !account.has_password);
        let refused =
            world.accounts.change_password(&alice.user_id, "x".to_owned(), false, None).await;
        assert!(refused.is_err());
        assert!(world.profiles.find_field(&alice.user_id, "displayname").await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn erasure_is_remembered() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        world.accounts.deactivate(&alice.user_id, true).await.unwrap();
        assert!(world.accounts.is_erased(&alice.user_id));
        assert_eq!(world.profiles.find(&alice.user_id).await.unwrap(), None);
        let world = world.restarted().await;
        assert!(world.accounts.is_erased(&alice.user_id));
        assert_eq!(world.profiles.find(&alice.user_id).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_deactivation_goes_on() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let room = world.room(ruma::room_id!("!r:example.org")).await;
        world.rooms.join(&alice.requester, room);
        world.rooms.0.lock().refuse_leaving = true;
        assert!(world.accounts.deactivate(&alice.user_id, false).await.is_err());
        assert!(world.authenticate(&alice.session.tokens.access_token).await.is_err());
        world.rooms.0.lock().refuse_leaving = false;
        let world = world.restarted().await;
        world.accounts.resume_deactivations().await.unwrap();
        assert!(world.rooms.0.lock().joined.is_empty());
    })
    .await;
}
