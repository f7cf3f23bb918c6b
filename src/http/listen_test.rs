//! Tests of opening listeners, TCP and unix, and of what goes wrong there.

use std::os::unix::net::UnixStream;

use super::*;
use crate::{Listener, PassedSockets, testing::*};

fn refused(bind: &str) -> String {
    let bind: Bind = bind.parse().unwrap();
    Listener::bind(&bind, &mut PassedSockets::none()).unwrap_err().to_string()
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_port_in_use_is_named() {
    let first = listener("127.0.0.1:0");
    let message = refused(&first.address().to_string());
    assert!(message.contains("in use"), "{message}");
    assert!(message.contains(&first.address().to_string()), "{message}");
}

#[test]
fn a_port_is_free_again_at_once() {
    let first = listener("127.0.0.1:0");
    let address = tcp_address(&first);
    let client = std::net::TcpStream::connect(address).unwrap();
    let crate::socket::Socket::Tcp(socket) = &first.socket else { panic!("no TCP") };
    drop(socket.accept().unwrap());
    drop(client);
    drop(first);
    // One end of that connection is in TIME_WAIT now.
    listener(&address.to_string());
}

#[test]
fn ipv4_and_ipv6_stand_side_by_side() {
    let first = listener("[::]:0");
    let port = tcp_address(&first).port();
    listener(&format!("0.0.0.0:{port}"));
}

#[test]
fn a_foreign_address_is_named() {
    let message = refused("192.0.2.1:8008");
    assert!(message.contains("192.0.2.1:8008") && message.contains("does not have"), "{message}");
}

#[test]
fn permission_says_what_helps() {
    let denied = || io::ErrorKind::PermissionDenied.into();
    let message = Error::listen(&"127.0.0.1:443".parse().unwrap(), denied()).to_string();
    assert!(message.contains("127.0.0.1:443") && message.contains("CAP_NET_BIND"), "{message}");
    let message = Error::listen(&"unix:/run/x.sock".parse().unwrap(), denied()).to_string();
    assert!(message.contains("/run/x.sock") && message.contains("directory"), "{message}");
    let message = Error::listen(&"127.0.0.1:8008".parse().unwrap(), denied()).to_string();
    assert!(message.ends_with("permission denied"), "{message}");
}

#[test]
fn unix_sockets_get_their_mode_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    for mode in ["600", "660", "666", "777"] {
        let path = directory.path().join(mode);
        let _listener = listener(&format!("unix:{}?mode={mode}", path.display()));
        assert_eq!(format!("{:o}", mode_of(&path)), mode);
    }
    let path = directory.path().join("usual");
    let _listener = listener(&format!("unix:{}", path.display()));
    assert_eq!(mode_of(&path), 0o666);
}

#[test]
fn a_stale_unix_socket_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sock");
    // The standard library leaves the file behind, as a killed server does.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _listener = listener(&format!("unix:{}", path.display()));
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_living_unix_socket_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sock");
    let living = UnixListener::bind(&path).unwrap();
    let message = refused(&format!("unix:{}", path.display()));
    assert!(message.contains("in use") && message.contains("x.sock"), "{message}");
    UnixStream::connect(&path).unwrap();
    drop(living);
}

#[test]
fn a_file_is_not_taken_for_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    fs::write(&path, "text").unwrap();
    assert!(refused(&format!("unix:{}", path.display())).contains("no socket"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    let missing = directory.path().join("missing/x.sock");
    let message = refused(&format!("unix:{}", missing.display()));
    assert!(message.contains("directory does not exist"), "{message}");
}

#[test]
fn the_file_goes_with_the_listener_unless_it_is_a_successors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sock");
    let bind = format!("unix:{}", path.display());
    drop(listener(&bind));
    assert!(!path.exists());

    let old = listener(&bind);
    fs::remove_file(&path).unwrap();
    let _new = listener(&bind);
    drop(old);
    assert!(path.exists(), "the successor's socket was removed");
}
