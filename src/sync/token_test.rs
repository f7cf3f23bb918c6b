//! The text of tokens, and what is refused.

use super::*;

const HEAD: Head = Head { position: Position(100), epoch: 0xfeed, ephemeral: 7 };

fn token(position: u64, epoch: u64, ephemeral: u64) -> SyncToken {
    SyncToken { position: Position(position), epoch, ephemeral, typing: TypingShown::Unknown }
}

#[test]
fn text_and_back() {
    for token in
        [token(0, 0, 0), token(72594, 0xdead_beef, 12), token(u64::MAX, u64::MAX, u64::MAX)]
    {
        for typing in [TypingShown::Unknown, TypingShown::Nobody, TypingShown::Followed] {
            let token = SyncToken { typing, ..token };
            assert_eq!(token.to_string().parse(), Ok(token));
        }
    }
    let unknown = token(12, 255, 3);
    assert_eq!(unknown.to_string(), "s1_12_ff_3");
    let nobody = SyncToken { typing: TypingShown::Nobody, ..unknown };
    assert_eq!(nobody.to_string(), "s1_12_ff_3_n");
    let followed = SyncToken { typing: TypingShown::Followed, ..unknown };
    assert_eq!(followed.to_string(), "s1_12_ff_3_f");
}

#[test]
fn malformed_tokens_are_refused() {
    let malformed = [
        "",
        "s1",
        "s1_1_1",
        "s1_1_1_1_1",
        "s1_1_1_1_",
        "s1_1_1_1_N",
        "s1_1_1_1_n_",
        "s1_1_1_1_n_n",
        "s1_1_1_n",
        "s2_1_1_1",
        "s1_-1_1_1",
        "s1_+1_1_1",
        "s1_1_1_",
        "s1__1_1",
        "s1_1_g_1",
        "s1_f_1_1",
        "s1_99999999999999999999_1_1",
        "t34-23535_0_0",
        "s72594_4483_1934",
        "null",
        "\u{0}",
        "s1_١_1_1",
    ];
    for text in malformed {
        assert_eq!(text.parse::<SyncToken>(), Err(TokenError::Malformed), "{text}");
    }
    assert_eq!("1".repeat(10_000).parse::<SyncToken>(), Err(TokenError::Malformed));
}

#[test]
fn the_future_is_refused() {
    assert!(SyncToken::parse("s1_100_feed_7", HEAD).is_ok());
    assert_eq!(SyncToken::parse("s1_101_feed_7", HEAD), Err(TokenError::Future));
    assert_eq!(SyncToken::parse("s1_101_1_0", HEAD), Err(TokenError::Future));
    assert_eq!(SyncToken::parse("s1_100_feed_8", HEAD), Err(TokenError::Future));
    // Another run of the process may have counted further.
    assert!(SyncToken::parse("s1_100_beef_800", HEAD).is_ok());
}

#[test]
fn another_epoch_knows_nothing_ephemeral() {
    assert_eq!(token(1, HEAD.epoch, 5).ephemeral_in(HEAD.epoch), Some(5));
    assert_eq!(token(1, 1, 5).ephemeral_in(HEAD.epoch), None);
}
