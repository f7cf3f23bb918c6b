//! Rows of a group that wait to be written, one list of columns per table.
//!
//! Invariant: rows before a table's mark belong to earlier changes of the group, those behind it to
//! the running one.

use std::collections::{HashMap, HashSet};

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
        let rows = &mut self.tables[index].rows;
        if batch.conflict == Conflict::Advance && rows.is_behind(row) {
            return Err(Error::Moved);
        }
        rows.push(batch, row)
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

    /// Whether the newest row that waits under the same key leads to another state than the one
    /// that a row expects.
    fn is_behind(&self, row: &[Value<'_>]) -> bool {
        let [Column::Ints(keys), Column::Ints(states), ..] = &self.columns[..] else {
            return false;
        };
        let int = |value: Option<&Value<'_>>| match value {
            Some(Value::Int(int)) => Some(*int),
            _ => None,
        };
        let (key, expected) = (int(row.first()), int(row.last()));
        let newest = keys.iter().rposition(|waiting| *waiting == key);
        newest.is_some_and(|newest| states[newest] != expected)
    }

    /// Has the last row of each key expect what the first one does: those between follow from each
    /// other.
    fn expect_first(&mut self) {
        let (Some(Column::Ints(keys)), Some(Column::Ints(expected))) = self.ends() else { return };
        let mut first = HashMap::new();
        for (key, expected) in keys.iter().zip(expected) {
            *expected = *first.entry(*key).or_insert(*expected);
        }
    }

    /// The columns of the key and of what is expected.
    fn ends(&mut self) -> (Option<&Column>, Option<&mut Column>) {
        match &mut self.columns[..] {
            [first, .., last] => (Some(first), Some(last)),
            _ => (None, None),
        }
    }

    /// Of rows with the same key only the last counts where rows are replaced, and one statement
    /// may not meet a row twice.
    fn settle(mut self, batch: &Batch) -> Self {
        if !matches!(batch.conflict, Conflict::Replace | Conflict::Advance) || self.length < 2 {
            return self;
        }
        if batch.conflict == Conflict::Advance {
            self.expect_first();
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

/// The statement that writes a table's rows.
pub(super) fn insert_text(batch: &Batch) -> String {
    let writes = rows_text(batch, 1);
    if batch.conflict == Conflict::Advance {
        return format!("WITH rows AS ({writes}) SELECT {}", refuse_unless(&[("rows".into(), 1)]));
    }
    writes
}

/// Writes a table's rows, from the parameter `$first` on.
fn rows_text(batch: &Batch, first: usize) -> String {
    let arrays = batch.columns.iter().enumerate().map(|(index, (_, kind))| {
        let kind = if *kind == Kind::Int { "bigint" } else { "bytea" };
        format!("${}::{kind}[]", index + first)
    });
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let (table, columns) = (batch.table, batch.column_list());
    if batch.conflict == Conflict::Advance {
        let (key, _) = batch.columns[0];
        let (state, _) = batch.advanced()[0];
        let (expected, _) = batch.columns[batch.columns.len() - 1];
        let sets = batch.advanced().iter().map(|(name, _)| format!("{name} = new.{name}"));
        let sets = sets.collect::<Vec<_>>().join(", ");
        return format!(
            "UPDATE {table} SET {sets} FROM unnest({arrays}) AS new ({columns}) \
             WHERE {table}.{key} = new.{key} AND {table}.{state} = new.{expected} RETURNING 1"
        );
    }
    let conflict = batch.on_conflict();
    format!("INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}){conflict}")
}

/// An expression that fails unless as many rows were changed as there are in the list of keys, for
/// each of these: a division by zero undoes the statement that meets it, and all before it.
fn refuse_unless(advanced: &[(String, usize)]) -> String {
    let all = advanced.iter().map(|(name, first)| {
        format!("(SELECT count(*) FROM {name}) = cardinality(${first}::bigint[])")
    });
    format!("1 / CASE WHEN {} THEN 1 ELSE 0 END", all.collect::<Vec<_>>().join(" AND "))
}

/// One statement that does what `last` does with its parameters, and writes the rows of many
/// tables.
pub(super) fn group_text(last: &str, last_parameters: usize, batches: &[&'static Batch]) -> String {
    let mut parts = vec![format!("last AS ({last})")];
    let mut advanced = Vec::new();
    let mut first = last_parameters + 1;
    for (index, batch) in batches.iter().enumerate() {
        let name = format!("rows{index}");
        parts.push(format!("{name} AS ({})", rows_text(batch, first)));
        if batch.conflict == Conflict::Advance {
            advanced.push((name, first));
        }
        first += batch.columns.len();
    }
    let check = if advanced.is_empty() { "1".to_owned() } else { refuse_unless(&advanced) };
    format!("WITH {} SELECT {check}", parts.join(", "))
}

#[cfg(test)]
#[path = "gather_test.rs"]
mod tests;
