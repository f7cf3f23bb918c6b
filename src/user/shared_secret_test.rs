//! The nonce protocol, checked against a MAC that Python's hmac computed.

use store::testing::for_each_engine;

use super::*;
use crate::testing::World;

fn registration(nonce: &str) -> SharedSecretRegistration {
    SharedSecretRegistration {
        nonce: nonce.to_owned(),
        username: "Alice".to_owned(),
        displayname: Some("Alice A".to_owned()),
        password: "sécret".to_owned(),
        admin: true,
        user_type: None,
        mac: String::new(),
        login: Some(NewSession::default()),
    }
}

#[test]
fn the_mac_is_synapses() {
    let mac = compute_mac("secret", &registration("nonce"));
    assert_eq!(mac, "57b698fa1852a4148df468c45b13bc3cc3097f44");
    let typed =
        SharedSecretRegistration { user_type: Some("support".to_owned()), ..registration("nonce") };
    assert_eq!(compute_mac("secret", &typed), "ba93bc4474d435341ed6c618cfd3b7fd6dcf8d7f");
}

#[tokio::test]
async fn the_right_mac_makes_an_account_once() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let shared = &world.shared_secret;
        let mut wanted = registration(&shared.issue_nonce().unwrap());
        wanted.mac = compute_mac("wrong", &wanted);
        assert!(matches!(shared.register(wanted.clone()).await, Err(Error::BadCredentials(_))));
        // A nonce is used up whatever came of it.
        wanted.mac = compute_mac("secret", &wanted);
        assert!(matches!(shared.register(wanted.clone()).await, Err(Error::InvalidParam(_))));

        wanted.nonce = shared.issue_nonce().unwrap();
        wanted.mac = compute_mac("secret", &wanted).to_uppercase();
        let registered = shared.register(wanted).await.unwrap();
        assert_eq!(registered.user_id, "@alice:example.org");
        let token = registered.session.unwrap().tokens.access_token;
        assert!(world.authenticate(&token).await.unwrap().is_admin());
        let profile = world.profiles.find(&registered.user_id).await.unwrap().unwrap();
        assert_eq!(profile["displayname"], "Alice A");
    })
    .await;
}

#[tokio::test]
async fn nonces_expire_and_are_bounded() {
    for_each_engine(|store| async move {
        let world = World::new(store).await;
        let shared = &world.shared_secret;
        let mut wanted = registration(&shared.issue_nonce().unwrap());
        wanted.mac = compute_mac("secret", &wanted);
        world.clock.advance(NONCE_LIFETIME_MS);
        assert!(matches!(shared.register(wanted).await, Err(Error::InvalidParam(_))));
        // Who asks for all of them takes them from nobody who comes later.
        let ask = |name: &str| {
            let nonce = shared.issue_nonce().unwrap();
            let wanted =
                SharedSecretRegistration { username: name.to_owned(), ..registration(&nonce) };
            SharedSecretRegistration { mac: compute_mac("secret", &wanted), ..wanted }
        };
        let oldest = ask("oldest");
        world.clock.advance(1);
        for _ in 1..MAX_NONCES {
            shared.issue_nonce().unwrap();
        }
        let newest = ask("newest");
        assert!(matches!(shared.register(oldest).await, Err(Error::InvalidParam(_))));
        shared.register(newest).await.unwrap();
        world.set(|settings| settings.registration.shared_secret = None);
        assert!(matches!(shared.issue_nonce(), Err(Error::RegistrationDisabled)));
    })
    .await;
}
