//! Keeps the first step of the schema waiting, so that a test can see what happens meanwhile.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

/// A session that holds the row which every step of the schema writes; dropping it lets it go.
#[derive(Debug)]
pub struct SchemaHold(Child);

impl SchemaHold {
    /// Takes hold of an empty `PostgreSQL` database.
    ///
    /// # Panics
    /// If there is no `psql`, or the database is not empty.
    pub fn of(url: &str) -> Self {
        let mut psql = Command::new("psql")
            .args(["-X", "-q", "-t", "-A", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is psql");
        let sql = "CREATE TABLE schema_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
            INSERT INTO schema_version VALUES (1, 0); BEGIN;
            SELECT 'locked' FROM schema_version FOR UPDATE;\n";
        let input = psql.stdin.as_mut().expect("it is a pipe");
        input.write_all(sql.as_bytes()).expect("it listens");
        let mut line = String::new();
        let output = psql.stdout.take().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it answers");
        assert_eq!(line, "locked\n");
        Self(psql)
    }
}

impl Drop for SchemaHold {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // A test that fails has something else to say.
        let _ = self.0.wait();
    }
}
