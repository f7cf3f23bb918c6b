//! Hashes verify, other passwords do not, imported bcrypt hashes count as outdated, and the line is
//! bounded.

use std::sync::Arc;

use proto::clock::Random;

use super::*;

struct Zeros;

impl Random for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn passwords() -> Passwords {
    Passwords::new(1, Arc::new(Zeros))
}

#[tokio::test]
async fn own_hashes_verify() {
    let passwords = passwords();
    let hash = passwords.hash("pässword".to_owned()).await.unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    let right = passwords.verify("pässword".to_owned(), Some(hash.clone()), None).await.unwrap();
    assert_eq!(right, Verdict::Right);
    let wrong = passwords.verify("password".to_owned(), Some(hash), None).await.unwrap();
    assert_eq!(wrong, Verdict::Wrong);
    assert_eq!(passwords.verify("any".to_owned(), None, None).await.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn hashes_with_other_parameters_are_outdated() {
    let params = Params::new(64, 1, 1, None).unwrap();
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(b"secret", &[3; 16])
        .unwrap();
    let verdict = passwords().verify("secret".to_owned(), Some(hash.to_string()), None).await;
    assert_eq!(verdict.unwrap(), Verdict::Outdated);
}

#[tokio::test]
async fn synapse_hashes_verify_with_pepper() {
    let hash = bcrypt::hash("secretpepper", 4).unwrap();
    let passwords = passwords();
    let verify = |pepper: Option<&str>| {
        passwords.verify("secret".to_owned(), Some(hash.clone()), pepper.map(Arc::from))
    };
    assert_eq!(verify(Some("pepper")).await.unwrap(), Verdict::Outdated);
    assert_eq!(verify(None).await.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn a_broken_hash_is_an_error_and_no_entry() {
    let answer = passwords().verify("x".to_owned(), Some("nonsense".to_owned()), None).await;
    assert!(matches!(answer, Err(PasswordError::Hash(_))));
}

#[tokio::test]
async fn the_line_is_bounded() {
    let passwords = passwords();
    passwords.waiting.store(MAX_WAITING, Ordering::Relaxed);
    let answer = passwords.hash("x".to_owned()).await;
    assert!(matches!(answer, Err(PasswordError::Busy)));
    assert_eq!(passwords.waiting.load(Ordering::Relaxed), MAX_WAITING);
}

#[test]
fn the_policy_names_what_lacks() {
    let policy = PasswordSettings {
        minimum_length: 4,
        require_digit: true,
        require_symbol: true,
        require_lowercase: true,
        require_uppercase: true,
        ..PasswordSettings::default()
    };
    for (password, lack) in [
        ("a", WeakPassword::TooShort),
        ("aaaa", WeakPassword::NoDigit),
        ("aaa1", WeakPassword::NoSymbol),
        ("AA1!", WeakPassword::NoLowercase),
        ("aa1!", WeakPassword::NoUppercase),
    ] {
        assert_eq!(check_policy(password, &policy), Err(lack), "{password}");
    }
    assert_eq!(check_policy("aA1!", &policy), Ok(()));
    assert_eq!(check_policy(&"x".repeat(513), &policy), Err(WeakPassword::TooLong));
    assert_eq!(check_policy("", &PasswordSettings::default()), Err(WeakPassword::TooShort));
}
