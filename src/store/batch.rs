//! Tables that are written row by row and often. `SQLite` takes each row at once through a prepared
//! statement; `PostgreSQL` gathers the rows of a group and takes them in one statement of `unnest`
//! arrays per table.
//!
//! Invariant: whatever a change reads it sees its own rows. Before a statement runs, the gathered
//! rows of those tables that its text names are written; so no table is filled by a view, trigger
//! or foreign key.

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// BIGINT.
    Int,
    /// BYTES.
    Bytes,
}

/// What happens to a row whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The change fails. On `PostgreSQL` it may do so only after the work has returned, so this is
    /// for keys that are new by construction; ask first, or use `execute`, where the answer
    /// matters.
    Fail,
    /// The old row stays.
    Ignore,
    /// The columns behind the key are replaced.
    Replace,
    /// The row must be there, and its first column behind the key must hold what the row's last
    /// value says, which is no column of the table; the other columns behind the key are replaced.
    /// Otherwise the change fails with [`crate::Error::Moved`], on `PostgreSQL` perhaps only after
    /// the work has returned. So a row moves on from a state that the change was made from, without
    /// asking first. Both values are integers, as is the key, of one column.
    Advance,
}

/// How rows get into one table. Meant for a `static`.
#[derive(Debug)]
pub struct Batch {
    /// Name of the table: lower-case letters, digits and `_`.
    pub table: &'static str,
    /// The columns of a row in order, those of the key first.
    pub columns: &'static [(&'static str, Kind)],
    /// How many of the columns make the primary key (or a unique one).
    pub key_columns: usize,
    /// What happens to a row whose key is there already.
    pub conflict: Conflict,
}

impl Batch {
    /// The end of an INSERT statement that treats conflicts.
    pub(crate) fn on_conflict(&self) -> String {
        let names = |columns: &[(&'static str, Kind)]| {
            columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let (key, rest) = self.columns.split_at(self.key_columns);
        match self.conflict {
            Conflict::Fail | Conflict::Advance => String::new(),
            Conflict::Replace if !rest.is_empty() => {
                let sets = rest.iter().map(|(name, _)| format!("{name} = excluded.{name}"));
                let sets = sets.collect::<Vec<_>>().join(", ");
                format!(" ON CONFLICT ({}) DO UPDATE SET {sets}", names(key))
            }
            Conflict::Ignore | Conflict::Replace => {
                format!(" ON CONFLICT ({}) DO NOTHING", names(key))
            }
        }
    }

    /// The table's columns behind the key that are replaced by [`Conflict::Advance`].
    pub(crate) fn advanced(&self) -> &'static [(&'static str, Kind)] {
        &self.columns[self.key_columns..self.columns.len() - 1]
    }

    /// The names of all columns, separated by commas.
    pub(crate) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}
