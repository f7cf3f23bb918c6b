//! What is said of a sandbox, and of files that it grants alone.

use super::*;

fn closed(missing: &str) -> Sandbox {
    Sandbox::open(Standing::Closed { abi: 3, missing: missing.to_owned() })
}

#[test]
fn its_standing_is_said_in_few_words() {
    assert_eq!(closed("").status(), "sandbox closed (Landlock ABI 3)");
    assert_eq!(
        closed("TCP ports, device control").status(),
        "sandbox closed (Landlock ABI 3, without TCP ports, device control)"
    );
    let failed = Sandbox::open(Standing::Failed { reason: "no Landlock".to_owned() });
    assert_eq!(failed.status(), "sandbox NOT closed: no Landlock");
    assert_eq!(Sandbox::open(Standing::Off).status(), "sandbox switched off");
}

#[test]
fn a_file_that_was_replaced_is_another_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resolv.conf");
    fs::write(&path, "one").unwrap();
    let alone = Alone::new(path.clone());
    fs::write(&path, "written in place").unwrap();
    assert!(!alone.is_replaced());
    fs::write(directory.path().join("new"), "two").unwrap();
    fs::rename(directory.path().join("new"), &path).unwrap();
    assert!(alone.is_replaced());
    fs::remove_file(&path).unwrap();
    assert!(!alone.is_replaced(), "there is nothing that could be read");
    let missing = Alone::new(path.clone());
    assert!(!missing.is_replaced());
    fs::write(path, "made later").unwrap();
    assert!(missing.is_replaced());
}
