//! Real clients: two people chat through matrix-nio and through matrix-js-sdk, on both engines. `tests/clients/install`
//! installs the clients. With their Python, small runs of the programs that kill the server and that compare what it
//! tells with a model.

use std::{path::PathBuf, process::Output, time::Duration};

use store::testing::Cluster;
use tests::harness::{Database, Server, Setup, find_binary};
use tokio::process::Command;

/// How long a chat may take on a busy machine.
const CHAT_TIMEOUT: Duration = Duration::from_mins(3);

/// A person's password, given by the harness.
struct Person {
    user_id: String,
    password: String,
}

/// Where `tests/clients/install` puts the clients.
fn folder() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = manifest.join("../target/clients");
    assert!(folder.join("installed").exists(), "no clients: run tests/clients/install");
    folder
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

async fn run(command: &mut Command) -> Output {
    let running = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(CHAT_TIMEOUT, running).await.expect("it ends in time");
    output.expect("the program can be started")
}

fn check(output: &Output, server: &Server) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{}", output.status, server.log());
}

/// Starts a server with two people, and lets a program drive them.
async fn chat(database: Database, program: PathBuf, script: PathBuf) {
    let server = Server::start(Setup { database, ..Setup::default() }).await;
    let mut people = Vec::new();
    for name in ["alice", "bob"] {
        let user = server.register_user(name).await;
        people.push(Person { user_id: user.user_id, password: user.password });
    }
    let mut command = Command::new(program);
    command.arg(script).arg(format!("http://{}", server.address())).current_dir(folder());
    for person in &people {
        command.arg(&person.user_id).arg(&person.password);
    }
    check(&run(&mut command).await, &server);
}

fn postgresql() -> Database {
    Database::Postgresql(Cluster::shared().create_database())
}

async fn nio(database: Database) {
    chat(database, folder().join("venv/bin/python"), script("clients/nio_chat.py")).await;
}

async fn js(database: Database) {
    chat(database, PathBuf::from("node"), script("clients/js_chat.mjs")).await;
}

#[tokio::test]
async fn matrix_nio_on_sqlite() {
    nio(Database::Sqlite).await;
}

#[tokio::test]
async fn matrix_js_sdk_on_sqlite() {
    js(Database::Sqlite).await;
}

#[tokio::test]
async fn matrix_nio_on_postgresql() {
    nio(postgresql()).await;
}

#[tokio::test]
async fn matrix_js_sdk_on_postgresql() {
    js(postgresql()).await;
}

/// Runs a program that starts the server itself.
async fn drive(program: &str, options: &[&str]) {
    let mut command = Command::new(folder().join("venv/bin/python"));
    command.arg(script(program)).arg("--binary").arg(find_binary()).args(options);
    let output = run(&mut command).await;
    let found = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{found}\n{said}", output.status);
}

/// A few rounds of what is run in hundreds by hand: the server, or `PostgreSQL` under it, is killed under six.
async fn kill(engine: &str, victim: &str, rounds: u32) {
    let rounds = rounds.to_string();
    drive("durability/kill.py", &["--engine", engine, "--victim", victim, "--rounds", &rounds])
        .await;
}

#[tokio::test]
async fn killed_server_keeps_what_it_acknowledged_on_sqlite() {
    kill("sqlite", "server", 3).await;
}

#[tokio::test]
async fn killed_server_keeps_what_it_acknowledged_on_postgresql() {
    kill("postgresql", "server", 3).await;
}

#[tokio::test]
async fn killed_postgresql_keeps_what_was_acknowledged() {
    kill("postgresql", "postgresql", 3).await;
}

/// A short run of what is run longer by hand. A seed leads to the same deeds in the same order each time.
async fn model(engine: &str, seed: &str) {
    drive("model/run.py", &["--engine", engine, "--seed", seed, "--steps", "120"]).await;
}

#[tokio::test]
async fn random_deeds_are_told_as_the_model_has_them_on_sqlite() {
    model("sqlite", "12").await;
}

#[tokio::test]
async fn random_deeds_are_told_as_the_model_has_them_on_postgresql() {
    model("postgresql", "13").await;
}
