//! The directory's tokens.

use proto::number::RoomNumber;
use store::room::directory::DirectoryPlace;

use super::Since;

#[test]
fn a_token_comes_back_as_it_was() {
    for forward in [true, false] {
        let place = DirectoryPlace { joined: 12, room: RoomNumber(7) };
        let since = Since { forward, place };
        assert_eq!(Since::parse(&since.text()), Some(since));
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for text in ["", "n", "x1_2", "n1", "n1_", "n_1", "naa_1", "ä1_2"] {
        assert_eq!(Since::parse(text), None, "{text}");
    }
}
