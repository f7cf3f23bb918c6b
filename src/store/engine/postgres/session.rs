//! One session with the server, driven by the thread that owns it: statements can be sent without
//! waiting for the answers of those before them.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_util::TryStreamExt as _;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Statement, types::ToSql};

use super::{
    codec::{PostgresRow, translate_error},
    gather::{self, Rows, Taken},
};
use crate::{
    batch::Batch,
    dialect::{Dialect, writes},
    engine::EachRow,
    error::Error,
    value::{Row, Value},
};

type Answer = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>>>>;

/// The greatest number of statements that are kept for whole groups, one for each set of tables
/// that a group writes to.
const MOST_GROUPS: usize = 200;

/// A session.
pub(super) struct Session {
    runtime: Runtime,
    client: Arc<Client>,
    /// Prepared statements by the address of their text.
    statements: HashMap<(usize, usize), Prepared>,
    /// Statements that write gathered rows, by the address of the description.
    inserts: HashMap<usize, Statement>,
    /// Statements that write a whole group, by the addresses of its last statement and of the
    /// descriptions.
    groups: HashMap<Vec<usize>, Statement>,
    /// Answers that nobody has waited for yet, in the order of their statements.
    answers: Vec<Answer>,
}

#[derive(Clone)]
pub(super) struct Prepared {
    statement: Statement,
    /// Whether it may change rows.
    pub(super) writes: bool,
}

/// How a statement went.
pub(super) struct Ran {
    pub(super) changed: u64,
    /// What failed, if something did.
    pub(super) failure: Option<Failure>,
}

pub(super) enum Failure {
    /// The server or the connection.
    Server(Error),
    /// Whoever looked at the rows.
    Reader(Error),
}

impl Session {
    pub(super) fn new(runtime: Runtime, client: Client) -> Self {
        Self {
            runtime,
            client: Arc::new(client),
            statements: HashMap::new(),
            inserts: HashMap::new(),
            groups: HashMap::new(),
            answers: Vec::new(),
        }
    }

    /// Whether the connection has ended, as far as the operating system knows by now.
    pub(super) fn has_ended(&self) -> bool {
        self.runtime.block_on(async {
            // Once for the news from the operating system, once for the connection to hear them.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        self.client.is_closed()
    }

    /// Has what was sent leave this process, without waiting for its answer.
    pub(super) fn push(&self) {
        self.runtime.block_on(tokio::task::yield_now());
    }

    /// The prepared form of a text.
    pub(super) fn prepare(&mut self, sql: &'static str) -> Result<Prepared, Error> {
        let key = (sql.as_ptr().addr(), sql.len());
        if let Some(prepared) = self.statements.get(&key) {
            return Ok(prepared.clone());
        }
        let text = Dialect::Postgres.translate(sql);
        let statement = self.prepare_text(&text)?;
        let prepared = Prepared { statement, writes: writes(sql) };
        self.statements.insert(key, prepared.clone());
        Ok(prepared)
    }

    fn prepare_text(&mut self, text: &str) -> Result<Statement, Error> {
        let client = Arc::clone(&self.client);
        self.wait_for(client.prepare(text))
    }

    /// Waits for the answer to what was asked now, and to all that was sent before it. If that has
    /// failed, it is the reason of whatever came of this.
    ///
    /// The connection hands over no more while it has too much for somebody who does not listen: to
    /// wait for a later answer alone may be to wait for ever.
    fn wait_for<T>(
        &mut self,
        asked: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let answers = std::mem::take(&mut self.answers);
        let both = async { tokio::join!(biased; asked, settle(answers)) };
        let (outcome, earlier) = self.runtime.block_on(both);
        earlier?;
        outcome.map_err(|error| translate_error(&error))
    }

    /// Runs a statement, hands over its rows, and looks at the answers to what was sent before it.
    pub(super) fn run(
        &mut self,
        prepared: &Prepared,
        params: &[Value<'_>],
        each: EachRow<'_>,
    ) -> Ran {
        let mut ran = Ran { changed: 0, failure: None };
        let answers = std::mem::take(&mut self.answers);
        let client = &self.client;
        self.runtime.block_on(async {
            // The statement is sent before anything is waited for.
            let sending = client.query_raw(&prepared.statement, params);
            let (stream, earlier) = tokio::join!(biased; sending, settle(answers));
            if let Err(error) = earlier {
                ran.failure = Some(Failure::Server(error));
                return;
            }
            let read = async {
                let mut stream = std::pin::pin!(stream?);
                while let Some(row) = stream.try_next().await? {
                    if let Err(error) = each(Row::new(&PostgresRow(&row))) {
                        ran.failure = Some(Failure::Reader(error));
                        return Ok(());
                    }
                }
                ran.changed = stream.rows_affected().unwrap_or(0);
                Ok::<_, tokio_postgres::Error>(())
            };
            if let Err(error) = read.await {
                ran.failure = Some(Failure::Server(translate_error(&error)));
            }
        });
        ran
    }

    /// Sends a command and leaves its answer for later.
    pub(super) fn send(&mut self, command: &'static str) {
        let client = Arc::clone(&self.client);
        self.start(async move { client.batch_execute(command).await });
    }

    /// Sends a statement without rows and leaves its answer for later.
    pub(super) fn send_prepared(&mut self, prepared: &Prepared, ints: &[i64]) {
        let client = Arc::clone(&self.client);
        let statement = prepared.statement.clone();
        let ints = ints.to_vec();
        self.start(async move {
            let stream = client.query_raw(&statement, ints).await?;
            stream.try_for_each(|_| std::future::ready(Ok(()))).await
        });
    }

    /// Sends gathered rows and leaves the answer for later.
    pub(super) fn send_rows(&mut self, batch: &'static Batch, rows: Rows) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let key = std::ptr::from_ref(batch).addr();
        let statement = if let Some(statement) = self.inserts.get(&key) {
            statement.clone()
        } else {
            let text = gather::insert_text(batch);
            let statement = self.prepare_text(&text)?;
            self.inserts.insert(key, statement.clone());
            statement
        };
        let client = Arc::clone(&self.client);
        self.start(async move { client.execute(&statement, &rows.params()).await.map(drop) });
        Ok(())
    }

    /// Writes a whole group by one statement, which is its own transaction.
    pub(super) fn run_group(
        &mut self,
        last: &'static str,
        ints: &[i64],
        taken: &[Taken],
    ) -> Result<(), Error> {
        let batches: Vec<_> = taken.iter().map(|taken| taken.batch).collect();
        let mut key = vec![last.as_ptr().addr()];
        key.extend(batches.iter().map(|batch| std::ptr::from_ref(*batch).addr()));
        let statement = if let Some(statement) = self.groups.get(&key) {
            statement.clone()
        } else {
            if self.groups.len() >= MOST_GROUPS {
                self.groups.clear();
            }
            let last = Dialect::Postgres.translate(last);
            let text = gather::group_text(&last, ints.len(), &batches);
            let statement = self.prepare_text(&text)?;
            self.groups.insert(key, statement.clone());
            statement
        };
        let mut params: Vec<&(dyn ToSql + Sync)> = Vec::new();
        params.extend(ints.iter().map(|int| int as &(dyn ToSql + Sync)));
        params.extend(taken.iter().flat_map(|taken| taken.earlier.params()));
        let client = Arc::clone(&self.client);
        self.wait_for(client.execute(&statement, &params)).map(drop)
    }

    /// Waits for all answers. The first failure is the one that counts: those behind it follow from
    /// it.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        let answers = std::mem::take(&mut self.answers);
        self.runtime.block_on(settle(answers))
    }

    /// Runs texts of many statements.
    pub(super) fn run_script(&mut self, sql: &str) -> Result<(), Error> {
        let client = Arc::clone(&self.client);
        self.wait_for(client.batch_execute(sql))
    }

    /// Polls once, which sends the statement.
    fn start(&mut self, answer: impl Future<Output = Result<(), tokio_postgres::Error>> + 'static) {
        let mut answer: Answer = Box::pin(answer);
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.answers.push(answer),
            // The connection is gone.
            Poll::Ready(outcome) => self.answers.push(Box::pin(std::future::ready(outcome))),
        }
    }
}

async fn settle(answers: Vec<Answer>) -> Result<(), Error> {
    let mut first = Ok(());
    for answer in answers {
        if let Err(error) = answer.await
            && first.is_ok()
        {
            first = Err(translate_error(&error));
        }
    }
    first
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
