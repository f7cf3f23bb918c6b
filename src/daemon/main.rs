//! The matrix-homeserver binary: the server, and the commands that administrate it.

mod admin;
mod certificates;
mod cli;
mod egress;
mod failure;
mod health;
mod http_client;
mod identity;
mod journal;
mod listen;
mod logging;
mod message;
mod metrics;
mod notify;
mod process_id;
mod reload;
mod resolve_names;
mod resolver;
mod sandbox;
mod schema_steps;
mod serve;
mod settings;
mod signals;
mod signing_key;
mod state;
mod status;
mod storage;
mod system;
mod tls_probe;
mod verdict;
mod watchdog;
mod wire;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Spends less processor time on a delivery than the system's allocator, at equal memory.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Lines without a level count as information in the journal, see sd-daemon(3).
            let level = if logging::leads_to_journal() { "<3>" } else { "" };
            for line in failure.message.lines() {
                eprintln!("{level}matrix-homeserver: {line}");
            }
            ExitCode::from(failure.status)
        }
    }
}
