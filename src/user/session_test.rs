//! Tokens, their cache, refreshing, devices and log-in, on both engines.

use ruma::device_id;
use store::testing::{Database, for_each_engine};

use super::*;
use crate::{
    login::{PasswordLogin, Proven},
    testing::{START_MS, World},
};

fn refreshable() -> NewSession {
    NewSession { refresh_token: true, ..NewSession::default() }
}

fn on_device(id: &str) -> NewSession {
    NewSession { device_id: Some(id.into()), ..NewSession::default() }
}

fn is_unknown<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::UnknownToken { soft_logout: false }))
}

#[tokio::test]
async fn a_known_token_costs_no_database() {
    let database = Database::sqlite();
    let store = database.open().await;
    let world = World::new(store.clone()).await;
    let alice = world.someone("alice").await;
    let unknown = world.authenticate("nobody's").await;
    assert!(is_unknown(&unknown));
    store.close().await;
    // Both answers come from memory: there is no database any more.
    let requester = world.authenticate(&alice.session.tokens.access_token).await.unwrap();
    assert_eq!(requester.user_id(), alice.user_id);
    assert!(is_unknown(&world.authenticate("nobody's").await));
    assert!(matches!(world.authenticate("another").await, Err(Error::Store(_))));
}

#[tokio::test]
async fn no_token_or_password_stands_in_the_database() {
    let database = Database::sqlite();
    let store = database.open().await;
    let world = World::new(store.clone()).await;
    let alice = world.register("alice", Some("a secret password")).await;
    let session = world.sessions.open(&alice.user_id, refreshable()).await.unwrap();
    store.close().await;
    let url = database.settings().url;
    let path = url.strip_prefix("sqlite://").unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes.extend(std::fs::read(format!("{path}-wal")).unwrap_or_default());
    let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    // What is looked for would be found.
    assert!(contains("@alice:example.org"));
    let refresh = session.tokens.refresh_token.unwrap();
    for secret in [&session.tokens.access_token, &refresh, "a secret password"] {
        assert!(!contains(secret));
    }
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let world = world.restarted().await;
        let requester = world.authenticate(&alice.session.tokens.access_token).await.unwrap();
        assert_eq!(requester.device_id(), alice.session.device_id);
        assert_eq!(requester.user(), alice.requester.user());
    })
    .await;
}

#[tokio::test]
async fn logout_ends_one_session_or_all() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let others = [
            world.sessions.open(&alice.user_id, on_device("ONE")).await.unwrap(),
            world.sessions.open(&alice.user_id, on_device("TWO")).await.unwrap(),
        ];
        let one = world.authenticate(&others[0].tokens.access_token).await.unwrap();
        world.sessions.logout(&one).await.unwrap();
        assert!(is_unknown(&world.authenticate(&others[0].tokens.access_token).await));
        assert!(world.authenticate(&others[1].tokens.access_token).await.is_ok());
        assert_eq!(world.sessions.list_devices(&alice.user_id).await.unwrap().len(), 2);
        world.sessions.logout_all(&alice.requester).await.unwrap();
        assert!(is_unknown(&world.authenticate(&others[1].tokens.access_token).await));
        assert!(is_unknown(&world.authenticate(&alice.session.tokens.access_token).await));
        assert!(world.sessions.list_devices(&alice.user_id).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_device_has_one_session() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let first = NewSession {
            initial_device_display_name: Some("Phone".to_owned()),
            ..on_device("PHONE")
        };
        let first = world.sessions.open(&alice.user_id, first).await.unwrap();
        assert!(world.authenticate(&first.tokens.access_token).await.is_ok());
        let second = NewSession {
            initial_device_display_name: Some("Other".to_owned()),
            ..on_device("PHONE")
        };
        let second = world.sessions.open(&alice.user_id, second).await.unwrap();
        assert!(is_unknown(&world.authenticate(&first.tokens.access_token).await));
        assert!(world.authenticate(&second.tokens.access_token).await.is_ok());
        let phone = device_id!("PHONE");
        let device = world.sessions.find_device(&alice.user_id, phone).await.unwrap().unwrap();
        assert_eq!(device.display_name.as_deref(), Some("Phone"));
        let refused = world.sessions.open(&alice.user_id, on_device(&"x".repeat(256))).await;
        assert!(matches!(refused, Err(Error::InvalidParam(_))));
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_is_a_soft_logout() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let session = world.sessions.open(&alice.user_id, refreshable()).await.unwrap();
        assert_eq!(session.tokens.expires_in_ms, Some(300_000));
        assert!(world.authenticate(&session.tokens.access_token).await.is_ok());
        world.clock.advance(300_000);
        for world in [&world, &world.restarted().await] {
            let answer = world.authenticate(&session.tokens.access_token).await;
            assert!(matches!(answer, Err(Error::UnknownToken { soft_logout: true })));
        }
        assert!(world.authenticate(&alice.session.tokens.access_token).await.is_ok());
        world.sessions.soft_logout(&alice.user_id, &alice.session.device_id).await.unwrap();
        let answer = world.authenticate(&alice.session.tokens.access_token).await;
        assert!(matches!(answer, Err(Error::UnknownToken { soft_logout: true })));
        assert_eq!(world.sessions.list_devices(&alice.user_id).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_works_until_the_new_tokens_are_used() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let old = world.sessions.open(&alice.user_id, refreshable()).await.unwrap().tokens;
        assert!(world.authenticate(&old.access_token).await.is_ok());
        let old_refresh = old.refresh_token.unwrap();

        // The answer got lost: the client asks again, and what it never saw ends.
        let lost = world.sessions.refresh(&old_refresh).await.unwrap();
        let new = world.sessions.refresh(&old_refresh).await.unwrap();
        assert!(is_unknown(&world.sessions.refresh(&lost.refresh_token.unwrap()).await));
        assert!(is_unknown(&world.authenticate(&lost.access_token).await));
        assert!(world.authenticate(&old.access_token).await.is_ok());

        // The first use of the new access token ends the old pair.
        assert!(world.authenticate(&new.access_token).await.is_ok());
        assert!(is_unknown(&world.authenticate(&old.access_token).await));
        assert!(is_unknown(&world.sessions.refresh(&old_refresh).await));
        assert!(world.authenticate(&new.access_token).await.is_ok());

        // So does the first use of the new refresh token.
        let third = world.sessions.refresh(&new.refresh_token.clone().unwrap()).await.unwrap();
        let fourth = world.sessions.refresh(&third.refresh_token.unwrap()).await.unwrap();
        assert!(is_unknown(&world.sessions.refresh(&new.refresh_token.unwrap()).await));
        assert!(is_unknown(&world.authenticate(&new.access_token).await));
        assert!(world.authenticate(&third.access_token).await.is_ok());
        assert!(world.authenticate(&fourth.access_token).await.is_ok());
        assert!(is_unknown(&world.authenticate(&third.access_token).await));
        let requester = world.authenticate(&fourth.access_token).await.unwrap();
        world.sessions.logout(&requester).await.unwrap();
        assert!(is_unknown(&world.sessions.refresh(&fourth.refresh_token.unwrap()).await));
    })
    .await;
}

#[tokio::test]
async fn a_refresh_token_can_expire() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        world.set(|settings| settings.sessions.refresh_token_lifetime_ms = Some(1000));
        let alice = world.someone("alice").await;
        let tokens = world.sessions.open(&alice.user_id, refreshable()).await.unwrap().tokens;
        world.clock.advance(1000);
        let answer = world.sessions.refresh(&tokens.refresh_token.unwrap()).await;
        assert!(matches!(answer, Err(Error::UnknownToken { soft_logout: true })));
    })
    .await;
}

#[tokio::test]
async fn devices_are_seen_late_and_in_batches() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        world.clock.advance(61_000);
        let seen =
            Seen { address: Some([192, 0, 2, 7].into()), user_agent: Some("Client/1".to_owned()) };
        let token = &alice.session.tokens.access_token;
        world.sessions.authenticate(token, &seen).await.unwrap();
        let read = async |world: &World| {
            let devices = world.sessions.list_devices(&alice.user_id).await.unwrap();
            (devices[0].last_seen_ts, devices[0].last_seen_ip.clone())
        };
        let now = (Some(START_MS + 61_000), Some("192.0.2.7".to_owned()));
        assert_eq!(read(&world).await, now);
        // Not written yet.
        assert_eq!(read(&world.restarted().await).await, (Some(START_MS), None));
        world.sessions.flush_seen().await.unwrap();
        assert_eq!(read(&world.restarted().await).await, now);
        // Within the minute nothing is noted again.
        world.clock.advance(59_000);
        world.sessions.authenticate(token, &Seen::default()).await.unwrap();
        assert_eq!(read(&world).await, now);
    })
    .await;
}

#[tokio::test]
async fn devices_are_renamed_and_deleted() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let bob = world.someone("bob").await;
        let id = &alice.session.device_id;
        let rename = |name: String| world.sessions.rename_device(&alice.user_id, id, Some(name));
        rename("Desk".to_owned()).await.unwrap();
        assert!(matches!(rename("x".repeat(101)).await, Err(Error::InvalidParam(_))));
        let device = world.sessions.find_device(&alice.user_id, id).await.unwrap().unwrap();
        assert_eq!(device.display_name.as_deref(), Some("Desk"));
        let unknown = world.sessions.rename_device(&bob.user_id, id, None).await;
        assert!(matches!(unknown, Err(Error::NotFound(_))));
        let both = vec![id.clone(), "NOBODYS".into()];
        world.sessions.delete_devices(&bob.user_id, both.clone()).await.unwrap();
        assert!(world.authenticate(&alice.session.tokens.access_token).await.is_ok());
        world.sessions.delete_devices(&alice.user_id, both).await.unwrap();
        assert!(is_unknown(&world.authenticate(&alice.session.tokens.access_token).await));
    })
    .await;
}

#[tokio::test]
async fn one_change_ends_a_bounded_number_of_sessions() {
    const MANY: usize = 2500;
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let bob = world.someone("bob").await;
        let user = alice.requester.user();
        let first = world.sessions.open(&alice.user_id, on_device("FIRST")).await.unwrap();
        let many = move |txn: &mut WriteTxn<'_>| {
            for number in 0..MANY {
                let id = format!("D{number}");
                device::insert(txn, user, id.as_str().into(), None, START_MS)?;
            }
            Ok::<_, Error>(())
        };
        world.context.store.write(many).await.unwrap();
        let last = world.sessions.open(&alice.user_id, refreshable()).await.unwrap();
        let own = Some(alice.requester.device_id());
        world.sessions.thin_out(user, own).await.unwrap();
        // As many as a single change is to end, and that of her who asks.
        let count = async || world.sessions.list_devices(&alice.user_id).await.unwrap().len();
        assert_eq!(count().await, 1001);
        assert!(is_unknown(&world.authenticate(&first.tokens.access_token).await));
        assert!(world.authenticate(&last.tokens.access_token).await.is_ok());
        assert!(world.authenticate(&alice.session.tokens.access_token).await.is_ok());
        world.sessions.thin_out(user, own).await.unwrap();
        assert_eq!(count().await, 1001, "few enough");
        world.sessions.logout_all(&alice.requester).await.unwrap();
        assert_eq!(count().await, 0);
        assert!(is_unknown(&world.sessions.refresh(&last.tokens.refresh_token.unwrap()).await));
        assert!(world.authenticate(&bob.session.tokens.access_token).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn many_devices_are_deleted_in_several_changes() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let own = alice.session.device_id.clone();
        let nobodys = |from: usize| (from..from + 150).map(|number| format!("D{number}").into());
        // One more device in each hundred.
        let mut devices = vec![own];
        for _ in 0..2 {
            let session = NewSession::default();
            let opened = world.sessions.open(&alice.user_id, session).await.unwrap();
            devices.extend(nobodys(devices.len()));
            devices.push(opened.device_id);
        }
        assert_eq!(world.sessions.list_devices(&alice.user_id).await.unwrap().len(), 3);
        world.sessions.delete_devices(&alice.user_id, devices).await.unwrap();
        assert_eq!(world.sessions.list_devices(&alice.user_id).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn log_in_by_password() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.register("alice", Some("secret")).await;
        let login = |user: &str, password: &str| {
            let login = PasswordLogin { user: user.to_owned(), password: password.to_owned() };
            let sessions = world.sessions.clone();
            async move { sessions.login(login, NewSession::default()).await }
        };
        for user in ["alice", "@alice:example.org", "Alice"] {
            assert_eq!(login(user, "secret").await.unwrap().user_id, alice.user_id);
        }
        for (user, password) in [
            ("alice", "wrong"),
            ("bob", "secret"),
            ("@alice:elsewhere.org", "secret"),
            ("", ""),
            ("alice", &"x".repeat(600)),
        ] {
            assert!(matches!(login(user, password).await, Err(Error::BadCredentials(_))), "{user}");
        }
        world.set(|settings| settings.passwords.enabled = false);
        assert!(matches!(login("alice", "secret").await, Err(Error::Forbidden(_))));
    })
    .await;
}

#[tokio::test]
async fn an_imported_hash_is_renewed_at_log_in() {
    for_each_engine(|store| async move {
        let world = World::new(store.clone()).await;
        let alice = world.someone("alice").await;
        let user = alice.requester.user();
        let hash = bcrypt::hash("secret", 4).unwrap();
        store.write(move |txn| account::set_password(txn, user, Some(&hash))).await.unwrap();
        assert!(world.sessions.check_password(&alice.user_id, "secret".to_owned()).await.unwrap());
        assert!(!world.sessions.check_password(&alice.user_id, "other".to_owned()).await.unwrap());
        let stored =
            store.read(move |snapshot| account::find_by_number(snapshot, user)).await.unwrap();
        assert!(stored.unwrap().password_hash.unwrap().starts_with("$argon2id$"));
        assert!(world.sessions.check_password(&alice.user_id, "secret".to_owned()).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn no_session_slips_in_behind_a_new_password() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.register("alice", Some("secret")).await;
        let user = alice.requester.user();
        let account = world.context.store.read(move |snapshot| {
            Ok::<_, Error>(account::find_by_number(snapshot, user)?.unwrap())
        });
        let password_hash = account.await.unwrap().password_hash;
        // What a log-in knows that has verified the old password just now.
        let proven =
            || Proven { user_id: alice.user_id.clone(), password_hash: password_hash.clone() };
        let open = || world.sessions.open_proven(proven(), NewSession::default());
        assert!(open().await.unwrap().is_some());
        world.accounts.change_password(&alice.user_id, "new".to_owned(), true, None).await.unwrap();
        assert!(open().await.unwrap().is_none());
        assert!(world.sessions.list_devices(&alice.user_id).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_login_token_works_once_and_not_for_long() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        let refused = world.sessions.issue_login_token(&alice.requester);
        assert!(matches!(refused, Err(Error::Forbidden(_))));
        world.set(|settings| settings.sessions.login_token_lifetime_ms = Some(120_000));
        let token = world.sessions.issue_login_token(&alice.requester).unwrap().token;
        let login = |token: &str| {
            let (sessions, token) = (world.sessions.clone(), token.to_owned());
            async move { sessions.login_with_token(&token, NewSession::default()).await }
        };
        assert_eq!(login(&token).await.unwrap().user_id, alice.user_id);
        assert!(matches!(login(&token).await, Err(Error::BadCredentials(_))));
        let late = world.sessions.issue_login_token(&alice.requester).unwrap().token;
        world.clock.advance(120_000);
        assert!(matches!(login(&late).await, Err(Error::BadCredentials(_))));
    })
    .await;
}

#[tokio::test]
async fn logout_wins_against_a_slow_reader() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let alice = world.someone("alice").await;
        for round in 0..20 {
            let session =
                world.sessions.open(&alice.user_id, on_device(&round.to_string())).await.unwrap();
            let token = session.tokens.access_token;
            let devices = vec![session.device_id];
            let (_, deleted) = tokio::join!(
                world.authenticate(&token),
                world.sessions.delete_devices(&alice.user_id, devices)
            );
            deleted.unwrap();
            assert!(is_unknown(&world.authenticate(&token).await), "round {round}");
        }
    })
    .await;
}
