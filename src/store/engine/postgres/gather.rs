//! Rows of a group that wait to be written, one list of columns per table.
//!
//! Invariant: rows before a table's mark belong to earlier changes of the group, those behind it to
//! the running one.

use std::collections::HashSet;

use tokio_postgres::types::ToSql;

use crate::{
    batch::{Batch, Conflict, Kind},
    error::Error,
    value::Value,
};

/// The rows that wait.
#[derive(Default)]
pub(super) struct Gather {
    tables: Vec<Table>,
}

struct Table {
    batch: &'static Batch,
    rows: Rows,
    mark: usize,
}

/// Rows as columns, as `unnest` wants them.
pub(super) struct Rows {
    columns: Vec<Column>,
    length: usize,
}

enum Column {
    Ints(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// Rows taken out to be written.
pub(super) struct Taken {
    pub(super) batch: &'static Batch,
    /// Rows of earlier changes.
    pub(super) earlier: Rows,
    /// Rows of the running change.
    pub(super) own: Rows,
}

impl Gather {
    /// Adds a row.
    pub(super) fn insert(&mut self, batch: &'static Batch, row: &[Value<'_>]) -> Result<(), Error> {
        let known = self.tables.iter().position(|table| std::ptr::eq(table.batch, batch));
        let index = known.unwrap_or_else(|| {
            self.tables.push(Table { batch, rows: Rows::new(batch), mark: 0 });
            self.tables.len() - 1
        });
        self.tables[index].rows.push(batch, row)
    }

    /// Whether rows wait that would be written to the same table in another way: they must be
    /// written first.
    pub(super) fn has_other(&self, batch: &'static Batch) -> bool {
        self.tables.iter().any(|table| {
            table.rows.length > 0
                && table.batch.table == batch.table
                && !std::ptr::eq(table.batch, batch)
        })
    }

    /// A change begins: all rows that are there belong to earlier ones.
    pub(super) fn mark(&mut self) {
        for table in &mut self.tables {
            table.mark = table.rows.length;
        }
    }

    /// Drops the running change's rows.
    pub(super) fn undo(&mut self) {
        for table in &mut self.tables {
            table.rows.truncate(table.mark);
        }
    }

    pub(super) fn clear(&mut self) {
        for table in &mut self.tables {
            table.rows.truncate(0);
            table.mark = 0;
        }
    }

    /// Takes out the rows of those tables that a statement names, or all rows.
    pub(super) fn take(&mut self, sql: Option<&str>) -> Vec<Taken> {
        let named = |table: &&mut Table| {
            table.rows.length > 0 && sql.is_none_or(|sql| names(sql, table.batch.table))
        };
        self.tables.iter_mut().filter(named).map(Table::take).collect()
    }
}

/// Whether a statement names a table.
fn names(sql: &str, table: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    sql.match_indices(table).any(|(start, _)| {
        !is_word(sql[..start].chars().next_back())
            && !is_word(sql[start + table.len()..].chars().next())
    })
}

impl Table {
    fn take(&mut self) -> Taken {
        let own = self.rows.split_off(self.mark);
        let earlier = self.rows.split_off(0);
        self.mark = 0;
        Taken {
            batch: self.batch,
            earlier: earlier.settle(self.batch),
            own: own.settle(self.batch),
        }
    }
}

impl Rows {
    fn new(batch: &Batch) -> Self {
        let columns = batch.columns.iter().map(|(_, kind)| match kind {
            Kind::Int => Column::Ints(Vec::new()),
            Kind::Bytes => Column::Bytes(Vec::new()),
        });
        Self { columns: columns.collect(), length: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn push(&mut self, batch: &Batch, row: &[Value<'_>]) -> Result<(), Error> {
        for (index, value) in row.iter().enumerate() {
            match (&mut self.columns[index], value) {
                (Column::Ints(ints), Value::Int(int)) => ints.push(Some(*int)),
                (Column::Ints(ints), Value::Null) => ints.push(None),
                (Column::Bytes(list), Value::Bytes(bytes)) => list.push(Some(bytes.to_vec())),
                (Column::Bytes(list), Value::Null) => list.push(None),
                _ => {
                    // Without the part that is there, the columns are of one length again.
                    self.truncate(self.length);
                    let (name, kind) = batch.columns[index];
                    let table = batch.table;
                    let text = format!("{table}.{name} is of kind {kind:?}, not {value:?}");
                    return Err(Error::Statement(text));
                }
            }
        }
        self.length += 1;
        Ok(())
    }

    fn truncate(&mut self, length: usize) {
        for column in &mut self.columns {
            match column {
                Column::Ints(ints) => ints.truncate(length),
                Column::Bytes(list) => list.truncate(length),
            }
        }
        self.length = length;
    }

    fn split_off(&mut self, at: usize) -> Self {
        let columns = self.columns.iter_mut().map(|column| match column {
            Column::Ints(ints) => Column::Ints(ints.split_off(at)),
            Column::Bytes(list) => Column::Bytes(list.split_off(at)),
        });
        let split = Self { columns: columns.collect(), length: self.length - at };
        self.length = at;
        split
    }

    /// Of rows with the same key only the last counts where rows are replaced, and one statement
    /// may not meet a row twice.
    fn settle(mut self, batch: &Batch) -> Self {
        if batch.conflict != Conflict::Replace || self.length < 2 {
            return self;
        }
        let keep = {
            let mut seen = HashSet::new();
            let mut keep = vec![true; self.length];
            for row in (0..self.length).rev() {
                let key: Vec<_> = self.columns[..batch.key_columns]
                    .iter()
                    .map(|column| column.key(row))
                    .collect();
                keep[row] = seen.insert(key);
            }
            keep
        };
        if keep.iter().all(|keep| *keep) {
            return self;
        }
        for column in &mut self.columns {
            let mut flags = keep.iter();
            let mut next = || flags.next().copied().unwrap_or(true);
            match column {
                Column::Ints(ints) => ints.retain(|_| next()),
                Column::Bytes(list) => list.retain(|_| next()),
            }
        }
        self.length = keep.iter().filter(|keep| **keep).count();
        self
    }

    /// The rows as parameters of an `unnest` statement.
    pub(super) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let params = self.columns.iter().map(|column| match column {
            Column::Ints(ints) => ints as &(dyn ToSql + Sync),
            Column::Bytes(list) => list as &(dyn ToSql + Sync),
        });
        params.collect()
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Key<'r> {
    Int(Option<i64>),
    Bytes(Option<&'r [u8]>),
}

impl Column {
    fn key(&self, row: usize) -> Key<'_> {
        match self {
            Self::Ints(ints) => Key::Int(ints[row]),
            Self::Bytes(list) => Key::Bytes(list[row].as_deref()),
        }
    }
}

/// The statement that writes a table's rows, from the parameter `$first` on.
pub(super) fn insert_text(batch: &Batch, first: usize) -> String {
    let arrays = batch.columns.iter().enumerate().map(|(index, (_, kind))| {
        let kind = if *kind == Kind::Int { "bigint" } else { "bytea" };
        format!("${}::{kind}[]", index + first)
    });
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let (table, columns) = (batch.table, batch.column_list());
    let conflict = batch.on_conflict();
    format!("INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}){conflict}")
}

/// One statement that does what `last` does with its parameters, and writes the rows of many
/// tables.
pub(super) fn group_text(last: &str, last_parameters: usize, batches: &[&'static Batch]) -> String {
    let mut parts = vec![format!("last AS ({last})")];
    let mut first = last_parameters + 1;
    for (index, batch) in batches.iter().enumerate() {
        parts.push(format!("rows{index} AS ({})", insert_text(batch, first)));
        first += batch.columns.len();
    }
    format!("WITH {} SELECT 1", parts.join(", "))
}

#[cfg(test)]
#[path = "gather_test.rs"]
mod tests;
