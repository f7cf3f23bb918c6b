//! Addresses as libpq reads them: sockets, users by default, encryption and certificates.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::table;
use crate::{
    OpenError, Settings, Store,
    testing::{Cluster, Directory},
};

async fn opens(url: &str) -> Result<(), OpenError> {
    let store = Store::open(Settings::new(url)).await?;
    table::create(&store).await;
    assert!(table::numbers(&store).await.is_empty());
    let sql = "SELECT CAST(ssl AS INTEGER) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let encrypted = store.read(move |snapshot| snapshot.query_one(sql, &[], |row| row.flag(0)));
    assert_eq!(encrypted.await.unwrap(), url.contains("sslmode=") && !url.contains("disable"));
    store.close().await;
    Ok(())
}

fn certificate(name: &str) -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

#[tokio::test]
async fn encryption_is_what_the_address_asks_for() {
    let (pem, key) = certificate("localhost");
    let cluster = Cluster::start_encrypted(pem.clone(), key);
    let directory = Directory::new("certificates");
    let (good, wrong) = (directory.path().join("good"), directory.path().join("wrong"));
    std::fs::write(&good, pem).unwrap();
    std::fs::write(&wrong, certificate("localhost").0).unwrap();
    cluster.run_sql("CREATE DATABASE test");
    let url = format!("postgresql://postgres@localhost:{}/test", cluster.port());
    let with = |mode: &str| format!("{url}?sslmode={mode}");
    let rooted = |mode: &str, root: &std::path::Path| {
        format!("{url}?sslmode={mode}&sslrootcert={}", root.display())
    };
    opens(&with("disable")).await.unwrap();
    opens(&with("prefer")).await.unwrap();
    opens(&with("require")).await.unwrap();
    opens(&rooted("require", &good)).await.unwrap();
    opens(&rooted("verify-full", &good)).await.unwrap();
    // By number the server is not who its certificate says.
    let by_number = rooted("verify-full", &good).replace("localhost", "127.0.0.1");
    for refused in [
        with("verify-full"),
        rooted("verify-full", &wrong),
        rooted("verify-ca", &wrong),
        rooted("require", &wrong),
        by_number,
        rooted("verify-full", directory.path()),
    ] {
        let error = opens(&refused).await.unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_user_that_is_not_named_is_who_we_are() {
    let cluster = Cluster::shared();
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
    if user != "postgres" {
        cluster.run_sql(&format!("CREATE ROLE \"{user}\" LOGIN SUPERUSER"));
    }
    let url = cluster.create_database().replace("postgres@", "");
    opens(&url).await.unwrap();
    let missing = cluster.url("nowhere");
    let error = opens(&missing).await.unwrap_err();
    assert!(error.to_string().contains("\"nowhere\" does not exist"), "{error}");
}
