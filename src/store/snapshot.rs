//! A consistent view of the database, held for a bounded time by one closure on one thread.

use proto::number::Position;

use crate::{
    engine::Link,
    error::Error,
    numbers::Fresh,
    shared::Shared,
    value::{Row, Value},
};

const POSITION: &str = "SELECT position FROM counter WHERE id = 1";

/// A consistent view: everything that it reads belongs to the same moment, whatever is committed
/// meanwhile.
pub struct Snapshot<'a> {
    pub(crate) link: &'a mut dyn Link,
    pub(crate) shared: &'a Shared,
    /// Numbers given by the running group; empty for a reader.
    pub(crate) fresh: Fresh,
    position: Option<Position>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(link: &'a mut dyn Link, shared: &'a Shared) -> Self {
        Self { link, shared, fresh: Fresh::default(), position: None }
    }

    /// The newest position that this view contains; every change up to it is in the view, and none
    /// after it.
    ///
    /// Inside a `WriteTxn` it is the newest position before the group.
    pub fn position(&mut self) -> Result<Position, Error> {
        if let Some(position) = self.position {
            return Ok(position);
        }
        let position = self.query_one(POSITION, &[], |row| row.position(0))?;
        self.position = Some(position);
        Ok(position)
    }

    /// Runs a query and maps each of its rows.
    pub fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        mut map: impl FnMut(Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        self.link.query(sql, params, &mut |row| {
            rows.push(map(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs a query and maps its first row, if there is one.
    pub fn query_optional<T>(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        mut map: impl FnMut(Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut found = None;
        self.link.query(sql, params, &mut |row| {
            if found.is_none() {
                found = Some(map(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs a query and maps its first row, which must be there.
    pub fn query_one<T>(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        map: impl FnMut(Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.query_optional(sql, params, map)?
            .ok_or_else(|| Error::Corrupt(format!("no row for: {sql}")))
    }

    /// Runs a query and hands over each of its rows.
    pub fn query_each(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
        mut each: impl FnMut(Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.link.query(sql, params, &mut each)
    }
}
