//! The store's SQL is written once. It keeps to what `SQLite` and `PostgreSQL` share: parameters
//! `$1`, `$2`, …, `ON CONFLICT … DO UPDATE`, `RETURNING`, common table expressions, recursive ones
//! too, window functions.
//!
//! Words that are replaced for each engine (they are written in upper case, and nowhere else):
//!
//! | written | `SQLite` | `PostgreSQL` |
//! |---|---|---|
//! | `BIGINT` | `INTEGER` | `BIGINT` |
//! | `BYTES` as a type | `BLOB` | `BYTEA` |
//! | `BYTES('m.room.member')` | `x'6d2e…'` | `'\x6d2e…'::bytea` |
//! | `WITHOUT ROWID` | `WITHOUT ROWID` | nothing |
//! | `IN_INTS($1)` | `IN (SELECT value FROM rarray(?1))` | `= ANY($1::bigint[])` |
//! | `IN_BYTES($1)` | the same | `= ANY($1::bytea[])` |
//! | `EACH_INTS($1)` | `(SELECT value FROM rarray(?1))` | `(SELECT unnest($1…) AS value)` |
//! | `EACH_BYTES($1)` | the same | the same |
//! | `DATABASE_BYTES` | pages times their size | `pg_database_size(…)` |
//! | `$1` | `?1` | `$1` |
//!
//! So: `WHERE number IN_INTS($1)`, or `FROM EACH_INTS($1) AS wanted JOIN event ON event.number =
//! wanted.value`.
//!
//! Traps: a text literal is never equal to a BYTES column on `SQLite`, so write `BYTES('…')` or a
//! parameter; `sum()` of BIGINT is NUMERIC on `PostgreSQL`, so write `CAST(sum(x) AS BIGINT)`; the
//! parameter of a bare `SELECT $1` has no type there, so write `CAST($1 AS BIGINT)`; `NULL` sorts
//! first on one engine and last on the other; no statement may contain `$` in a literal.

/// One of the two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The embedded database.
    Sqlite,
    /// The database server.
    Postgres,
}

/// What the whole database takes, by the engine's own count.
const SQLITE_SIZE: &str =
    "(SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size())";
const POSTGRES_SIZE: &str = "pg_database_size(current_database())";

const LIST_WORDS: [&str; 4] = ["IN_INTS", "IN_BYTES", "EACH_INTS", "EACH_BYTES"];

impl Dialect {
    /// The text that this engine understands.
    pub(crate) fn translate(self, sql: &str) -> String {
        let mut out = String::with_capacity(sql.len() + 32);
        let mut rest = sql;
        while let Some(start) = rest.find(is_word) {
            out.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            rest = self.word(word, rest, &mut out);
        }
        out.push_str(rest);
        out
    }

    /// Writes the translation of a word, and gives back what is left of the text behind it.
    fn word<'t>(self, word: &str, behind: &'t str, out: &mut String) -> &'t str {
        if LIST_WORDS.contains(&word)
            && let Some((parameter, behind)) = argument(behind)
        {
            out.push_str(&self.list(word, parameter));
            return behind;
        }
        match (self, word) {
            (_, "BYTES") => {
                if let Some((literal, behind)) = argument(behind) {
                    out.push_str(&self.literal(literal));
                    return behind;
                }
                out.push_str(if self == Self::Sqlite { "BLOB" } else { "BYTEA" });
            }
            (Self::Sqlite, "DATABASE_BYTES") => out.push_str(SQLITE_SIZE),
            (Self::Postgres, "DATABASE_BYTES") => out.push_str(POSTGRES_SIZE),
            (Self::Sqlite, "BIGINT") => out.push_str("INTEGER"),
            (Self::Sqlite, word) if word.starts_with('$') => {
                out.push('?');
                out.push_str(&word[1..]);
            }
            (Self::Postgres, "WITHOUT") if behind.starts_with(" ROWID") => {
                return &behind[" ROWID".len()..];
            }
            _ => out.push_str(word),
        }
        behind
    }

    fn list(self, word: &str, parameter: &str) -> String {
        let number = parameter.trim_start_matches('$');
        let kind = if word.ends_with("INTS") { "bigint" } else { "bytea" };
        match (self, word.starts_with("IN_")) {
            (Self::Sqlite, true) => format!("IN (SELECT value FROM rarray(?{number}))"),
            (Self::Sqlite, false) => format!("(SELECT value FROM rarray(?{number}))"),
            (Self::Postgres, true) => format!("= ANY(${number}::{kind}[])"),
            (Self::Postgres, false) => format!("(SELECT unnest(${number}::{kind}[]) AS value)"),
        }
    }

    fn literal(self, quoted: &str) -> String {
        use std::fmt::Write as _;

        let mut hex = String::new();
        for byte in quoted.trim_matches('\'').bytes() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        match self {
            Self::Sqlite => format!("x'{hex}'"),
            Self::Postgres => format!("'\\x{hex}'::bytea"),
        }
    }
}

/// Whether a statement may change rows: everything may that is no plain query.
pub(crate) fn writes(sql: &str) -> bool {
    let mut words = sql.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    !matches!(first, "SELECT" | "WITH" | "VALUES" | "PRAGMA")
        || words.any(|word| matches!(word, "INSERT" | "UPDATE" | "DELETE"))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// What stands in the parentheses that a text opens with, and the text behind them.
fn argument(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('(')?.split_once(')')
}

#[cfg(test)]
mod tests {
    use super::{Dialect, writes};

    #[test]
    fn queries_and_changes_are_told_apart() {
        assert!(!writes("SELECT a FROM t WHERE updated = $1"));
        assert!(!writes("  WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x"));
        assert!(writes("INSERT INTO t VALUES ($1) RETURNING a"));
        assert!(writes("WITH x AS (SELECT 1) DELETE FROM t"));
    }

    #[test]
    fn both_engines_get_their_words() {
        let sql = "SELECT a FROM t WHERE a IN_INTS($2) AND type = BYTES('m.x') AND b = $1";
        assert_eq!(
            Dialect::Sqlite.translate(sql),
            "SELECT a FROM t WHERE a IN (SELECT value FROM rarray(?2)) AND type = x'6d2e78' \
             AND b = ?1"
        );
        assert_eq!(
            Dialect::Postgres.translate(sql),
            "SELECT a FROM t WHERE a = ANY($2::bigint[]) AND type = '\\x6d2e78'::bytea AND b = $1"
        );
    }

    #[test]
    fn types_of_columns() {
        let sql = "CREATE TABLE t (a BIGINT PRIMARY KEY, b BYTES NOT NULL) WITHOUT ROWID;";
        assert_eq!(
            Dialect::Sqlite.translate(sql),
            "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB NOT NULL) WITHOUT ROWID;"
        );
        assert_eq!(
            Dialect::Postgres.translate(sql),
            "CREATE TABLE t (a BIGINT PRIMARY KEY, b BYTEA NOT NULL) ;"
        );
    }

    #[test]
    fn lists_as_tables() {
        let sql = "FROM EACH_BYTES($1) AS w";
        assert_eq!(Dialect::Sqlite.translate(sql), "FROM (SELECT value FROM rarray(?1)) AS w");
        assert_eq!(
            Dialect::Postgres.translate(sql),
            "FROM (SELECT unnest($1::bytea[]) AS value) AS w"
        );
    }
}
