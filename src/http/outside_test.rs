//! Both ends of the process that resolves names, in one process.

use tokio::{sync::Notify, task::JoinHandle, time::timeout};

use super::*;

/// What anything may take on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Knows some names, and is slow with one until it is told to go on.
#[derive(Clone, Default)]
struct Names(Arc<Notify>);

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> ResolveFuture<'a> {
        Box::pin(async move {
            match host {
                "slow.test" => self.0.notified().await,
                "two.test" => {
                    return Ok(vec!["192.0.2.1".parse().unwrap(), "::2".parse().unwrap()]);
                }
                "none.test" => return Ok(Vec::new()),
                "many.test" => return Ok(vec!["2001:db8::ffff".parse().unwrap(); 1000]),
                _ => return Err(io::Error::other("nobody knows it")),
            }
            Ok(Vec::new())
        })
    }
}

fn begin(names: Names) -> (OutsideResolver, JoinHandle<io::Result<()>>) {
    let (ours, theirs) = BlockingStream::pair().unwrap();
    let answering = tokio::spawn(answer_names(theirs.into(), names));
    (OutsideResolver::new(ours.into()).unwrap(), answering)
}

#[tokio::test]
async fn answers_come_over_as_they_are() {
    let (resolver, answering) = begin(Names::default());
    let found = async |host| resolver.resolve(host).await.map_err(|error| error.to_string());
    assert_eq!(found("two.test").await.unwrap().len(), 2);
    assert_eq!(found("none.test").await, Ok(Vec::new()));
    assert_eq!(found("many.test").await.unwrap().len(), MAX_CANDIDATES);
    assert_eq!(found("unknown.test").await, Err("nobody knows it".to_owned()));
    drop(resolver);
    timeout(PATIENCE, answering).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_slow_name_holds_up_nobody() {
    let names = Names::default();
    let (resolver, _answering) = begin(names.clone());
    let resolver = Arc::new(resolver);
    let slow = tokio::spawn({
        let resolver = Arc::clone(&resolver);
        async move { resolver.resolve("slow.test").await }
    });
    assert_eq!(resolver.resolve("two.test").await.unwrap().len(), 2);
    names.0.notify_one();
    assert!(timeout(PATIENCE, slow).await.unwrap().unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn without_the_other_process_this_one_resolves() {
    let (resolver, answering) = begin(Names::default());
    answering.abort();
    assert!(answering.await.unwrap_err().is_cancelled());
    let found = timeout(PATIENCE, resolver.resolve("localhost")).await.unwrap().unwrap();
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    assert!(resolver.is_missed.load(Relaxed));
}

#[tokio::test]
async fn a_name_that_is_too_long_is_not_asked_for() {
    let (resolver, _answering) = begin(Names::default());
    let longest = "a".repeat(NAME_MAX_BYTES);
    let found = timeout(PATIENCE, resolver.resolve(&longest)).await.unwrap();
    assert_eq!(found.unwrap_err().to_string(), "nobody knows it");
    let longer = longest + "a";
    let found = timeout(PATIENCE, resolver.resolve(&longer)).await.unwrap();
    assert_eq!(found.unwrap_err().to_string(), "the name is too long");
    assert!(!resolver.is_missed.load(Relaxed), "the other process is taken for one that is gone");
}

#[test]
fn a_strange_answer_is_an_error() {
    for answer in ["found 192.0.2.1 and more", "192.0.2.1", "lost", "error "] {
        assert!(parse(answer).is_err(), "{answer}");
    }
}
