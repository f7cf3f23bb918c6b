//! Values, rows and errors between the store and the driver.

use std::{error::Error as StdError, fmt::Write as _};

use bytes::BytesMut;
use tokio_postgres::{
    error::{Severity, SqlState},
    types::{IsNull, ToSql, Type, to_sql_checked},
};

use crate::{
    error::Error,
    value::{Columns, Value},
};

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(int) => int_to_sql(*int, kind, out),
            Value::Bytes(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            Value::Ints(ints) => ints.as_ref().to_sql(kind, out),
            Value::BytesList(list) => list.to_sql(kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        // Looked at where the value is known.
        true
    }

    to_sql_checked!();
}

/// The server wants an integer in the width of the parameter's type.
fn int_to_sql(
    int: i64,
    kind: &Type,
    out: &mut BytesMut,
) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
    match *kind {
        Type::INT8 => int.to_sql(kind, out),
        Type::INT4 => i32::try_from(int)?.to_sql(kind, out),
        Type::INT2 => i16::try_from(int)?.to_sql(kind, out),
        Type::BOOL => (int != 0).to_sql(kind, out),
        _ => Err(format!("an integer cannot be a parameter of type {kind}").into()),
    }
}

/// A row of the driver.
pub(super) struct PostgresRow<'r>(pub(super) &'r tokio_postgres::Row);

impl PostgresRow<'_> {
    fn kind(&self, column: usize) -> Result<&Type, Error> {
        let columns = self.0.columns();
        let found = columns.get(column).map(tokio_postgres::Column::type_);
        found.ok_or_else(|| Error::Corrupt(format!("there is no column {column}")))
    }
}

impl Columns for PostgresRow<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, Error> {
        let kind = self.kind(column)?;
        let int = match *kind {
            Type::INT8 => self.0.try_get::<_, Option<i64>>(column),
            Type::INT4 => self.0.try_get::<_, Option<i32>>(column).map(|int| int.map(i64::from)),
            Type::INT2 => self.0.try_get::<_, Option<i16>>(column).map(|int| int.map(i64::from)),
            Type::BOOL => self.0.try_get::<_, Option<bool>>(column).map(|flag| flag.map(i64::from)),
            _ => {
                return Err(Error::Corrupt(format!("column {column} is {kind}, no integer")));
            }
        };
        int.map_err(|error| Error::Corrupt(error.to_string()))
    }

    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        let bytes = if *self.kind(column)? == Type::BYTEA {
            self.0.try_get::<_, Option<&[u8]>>(column)
        } else {
            self.0.try_get::<_, Option<&str>>(column).map(|text| text.map(str::as_bytes))
        };
        bytes.map_err(|error| Error::Corrupt(error.to_string()))
    }
}

/// The store's error for one of the driver.
pub(super) fn translate_error(error: &tokio_postgres::Error) -> Error {
    let text = describe(error);
    let Some(answer) = error.as_db_error() else {
        // Without an answer of the server it is the connection that failed, unless a value could
        // not be encoded.
        let by_us = error.to_string().starts_with("error serializing")
            || error.to_string().starts_with("error deserializing");
        return if by_us { Error::Statement(text) } else { Error::Lost(text) };
    };
    if matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Error::Lost(text);
    }
    let code = answer.code();
    if *code == SqlState::UNIQUE_VIOLATION {
        return Error::Exists(text);
    }
    // What `gather::refuse_unless` says when a row did not advance.
    if *code == SqlState::DIVISION_BY_ZERO {
        return Error::Moved;
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE {
        return Error::Busy(text);
    }
    if *code == SqlState::QUERY_CANCELED {
        return Error::TooOld;
    }
    if *code == SqlState::DISK_FULL {
        return Error::Full(text);
    }
    // Insufficient resources, system error, internal error.
    match code.code().get(..2) {
        Some("53" | "58" | "XX") => Error::Storage(text),
        Some("08" | "57") => Error::Lost(text),
        _ => Error::Statement(text),
    }
}

/// The driver says little itself; what matters is in its sources.
pub(super) fn describe(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
