//! Messages there and back, and what happens to those that are none.

use super::*;

fn target() -> Target {
    Target { host: "server.test".to_owned(), port: 8448 }
}

/// The message without its length, which must be right.
fn body(message: &[u8]) -> &[u8] {
    let length = u16::from_be_bytes([message[0], message[1]]);
    assert_eq!(usize::from(length), message.len() - LENGTH_BYTES);
    &message[LENGTH_BYTES..]
}

fn candidates() -> Vec<Candidate> {
    let fates = [
        Fate::Denied("10.0.0.0/8".parse().unwrap()),
        Fate::Skipped,
        Fate::Failed("no route".to_owned()),
        Fate::Connected,
    ];
    let address = |last: usize| format!("2001:db8::{last}").parse().unwrap();
    let of = |(at, fate)| Candidate { address: address(at), fate };
    fates.into_iter().enumerate().map(of).collect()
}

/// One of each kind.
fn answers() -> Vec<Answer> {
    let address: SocketAddr = "[2001:db8::3]:8448".parse().unwrap();
    let refused = || io::Error::from_raw_os_error(111);
    let host = || target().host;
    let outcomes = [
        Ok(address),
        Err(DialError::Resolve { host: host(), source: io::Error::other("no such näme") }),
        Err(DialError::Resolve { host: host(), source: io::ErrorKind::NotFound.into() }),
        Err(DialError::Denied {
            target: target(),
            address: "::1".parse().unwrap(),
            range: "::1/128".parse().unwrap(),
        }),
        Err(DialError::Connect { target: target(), address, source: refused() }),
        Err(DialError::TimedOut { target: target(), timeout: Duration::from_millis(1500) }),
    ];
    let attempted = |outcome| Answer::Attempted(Attempt { candidates: candidates(), outcome });
    let mut answers: Vec<_> = outcomes.into_iter().map(attempted).collect();
    answers.push(Answer::Refused("nonsense".to_owned()));
    answers
}

#[test]
fn a_request_is_read_as_it_was_written() {
    let request = Request::Connect(target());
    assert_eq!(Request::decode(body(&request.encode())), Ok(request));
}

#[test]
fn the_client_has_the_very_error_of_the_broker() {
    for answer in answers() {
        let read = Answer::decode(body(&answer.encode()), &target()).unwrap();
        match (&answer, &read) {
            (Answer::Refused(written), Answer::Refused(read)) => assert_eq!(written, read),
            (Answer::Attempted(written), Answer::Attempted(read)) => {
                assert_eq!(written.candidates, read.candidates);
                match (&written.outcome, &read.outcome) {
                    (Ok(written), Ok(read)) => assert_eq!(written, read),
                    (Err(written), Err(read)) => {
                        assert_eq!(written.to_string(), read.to_string());
                        let kind = |error: &DialError| match error {
                            DialError::Connect { source, .. }
                            | DialError::Resolve { source, .. } => Some(source.kind()),
                            _ => None,
                        };
                        assert_eq!(kind(written), kind(read), "{written}");
                    }
                    _ => panic!("{written:?} became {read:?}"),
                }
            }
            _ => panic!("{answer:?} became {read:?}"),
        }
    }
}

#[test]
fn what_is_cut_off_or_changed_is_no_message_and_no_panic() {
    let request = Request::Connect(target()).encode();
    let request = body(&request);
    for length in 0..request.len() {
        assert!(Request::decode(&request[..length]).is_err(), "{length}");
    }
    for answer in answers() {
        let bytes = answer.encode();
        let bytes = body(&bytes);
        for length in 0..bytes.len() {
            assert!(Answer::decode(&bytes[..length], &target()).is_err(), "{answer:?} {length}");
        }
        let longer = [bytes, &[0]].concat();
        assert!(Answer::decode(&longer, &target()).is_err(), "{answer:?}");
        for at in 0..bytes.len() {
            for flip in 1..=u8::MAX {
                let mut changed = bytes.to_vec();
                changed[at] ^= flip;
                // Some of them are messages, too.
                let _ = Answer::decode(&changed, &target());
                let _ = Request::decode(&changed);
            }
        }
    }
}

#[test]
fn requests_that_ask_for_nothing_sensible_are_refused() {
    let refused = |host: &str| {
        let target = Target { host: host.to_owned(), port: 1 };
        Request::decode(body(&Request::Connect(target).encode())).unwrap_err().0
    };
    for host in ["", "a b", "a\nb", "a\0b", &"x".repeat(HOST_MAX_BYTES + 1)] {
        assert_eq!(refused(host), "the host is no name and no address", "{host:?}");
    }
    let mut bytes = body(&Request::Connect(target()).encode()).to_vec();
    bytes.push(0);
    assert_eq!(Request::decode(&bytes).unwrap_err().0, "the message is too long");
    bytes.pop();
    bytes[1] = 2;
    assert!(Request::decode(&bytes).unwrap_err().0.contains("this kind of request"));
    bytes[0] = VERSION + 1;
    assert!(Request::decode(&bytes).unwrap_err().0.contains("this version"));
}

#[test]
fn the_longest_messages_fit() {
    let longest = Target { host: "x".repeat(HOST_MAX_BYTES), port: u16::MAX };
    let request = Request::Connect(longest).encode();
    assert!(request.len() <= REQUEST_MAX_BYTES, "{}", request.len());
    let reason = "ö".repeat(1000);
    let candidate = Candidate {
        address: "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap(),
        fate: Fate::Failed(reason.clone()),
    };
    let outcome = Err(DialError::Resolve { host: String::new(), source: io::Error::other(reason) });
    let candidates = vec![candidate; 2 * MAX_CANDIDATES];
    let bytes = Answer::Attempted(Attempt { candidates, outcome }).encode();
    assert!(bytes.len() <= ANSWER_MAX_BYTES, "{}", bytes.len());
    assert!(Answer::decode(body(&bytes), &target()).is_ok());
}
