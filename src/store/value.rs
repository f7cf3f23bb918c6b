//! Parameters and rows: integers, bytes and lists of them are all that the store's SQL knows. Text
//! goes in and comes out as its UTF-8 bytes, because `PostgreSQL`'s TEXT refuses U+0000.

use std::{borrow::Cow, sync::Arc};

use proto::number::{
    EventNumber, Position, RoomNumber, ServerNumber, StateGroup, StateKeyNumber, UserNumber,
};

use crate::error::Error;

/// One parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// SQL's NULL.
    Null,
    /// A BIGINT.
    Int(i64),
    /// BYTES.
    Bytes(&'a [u8]),
    /// A list of BIGINT, for `IN_INTS($n)` and `EACH_INTS($n)`.
    Ints(Cow<'a, [i64]>),
    /// A list of BYTES, for `IN_BYTES($n)` and `EACH_BYTES($n)`.
    BytesList(Vec<&'a [u8]>),
}

/// What can be a parameter.
pub trait ToValue {
    /// The parameter, borrowing from `self`.
    fn to_value(&self) -> Value<'_>;
}

impl ToValue for Value<'_> {
    fn to_value(&self) -> Value<'_> {
        self.clone()
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue + ?Sized> ToValue for Arc<T> {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue + ?Sized> ToValue for Box<T> {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

/// Plain integers: one is a BIGINT, a slice is a list.
macro_rules! integers {
    ($($type:ty => |$value:ident| $int:expr;)*) => {$(
        impl ToValue for $type {
            fn to_value(&self) -> Value<'_> {
                let $value = *self;
                Value::Int($int)
            }
        }

        impl ToValue for [$type] {
            fn to_value(&self) -> Value<'_> {
                Value::Ints(self.iter().map(|&$value| $int).collect())
            }
        }

        impl ToValue for Vec<$type> {
            fn to_value(&self) -> Value<'_> {
                self.as_slice().to_value()
            }
        }

        impl<const N: usize> ToValue for [$type; N] {
            fn to_value(&self) -> Value<'_> {
                self.as_slice().to_value()
            }
        }
    )*};
}

integers! {
    i64 => |value| value;
    i32 => |value| i64::from(value);
    u32 => |value| i64::from(value);
    // Clamped: no count, time or position of ours comes near the bound.
    u64 => |value| i64::try_from(value).unwrap_or(i64::MAX);
    usize => |value| i64::try_from(value).unwrap_or(i64::MAX);
    bool => |value| i64::from(value);
    Position => |value| i64::try_from(value.0).unwrap_or(i64::MAX);
    EventNumber => |value| value.0;
    RoomNumber => |value| value.0;
    UserNumber => |value| value.0;
    ServerNumber => |value| value.0;
    StateKeyNumber => |value| value.0;
    StateGroup => |value| value.0;
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ToValue for bytes::Bytes {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self.as_bytes())
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self.as_bytes())
    }
}

impl ToValue for Cow<'_, str> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self.as_bytes())
    }
}

/// Ruma's identifiers are text.
macro_rules! identifiers {
    ($($borrowed:ty, $owned:ty;)*) => {$(
        impl ToValue for $borrowed {
            fn to_value(&self) -> Value<'_> {
                Value::Bytes(self.as_bytes())
            }
        }

        impl ToValue for $owned {
            fn to_value(&self) -> Value<'_> {
                Value::Bytes(self.as_bytes())
            }
        }
    )*};
}

identifiers! {
    ruma::UserId, ruma::OwnedUserId;
    ruma::RoomId, ruma::OwnedRoomId;
    ruma::EventId, ruma::OwnedEventId;
    ruma::RoomAliasId, ruma::OwnedRoomAliasId;
    ruma::ServerName, ruma::OwnedServerName;
    ruma::DeviceId, ruma::OwnedDeviceId;
    ruma::TransactionId, ruma::OwnedTransactionId;
}

/// Lists of text and bytes.
macro_rules! byte_lists {
    ($($type:ty),* $(,)?) => {$(
        impl ToValue for [$type] {
            fn to_value(&self) -> Value<'_> {
                Value::BytesList(self.iter().map(AsRef::<[u8]>::as_ref).collect())
            }
        }

        impl ToValue for Vec<$type> {
            fn to_value(&self) -> Value<'_> {
                self.as_slice().to_value()
            }
        }
    )*};
}

byte_lists!(&[u8], Vec<u8>, &str, String, bytes::Bytes);

/// Lists of identifiers, which lend themselves as text only.
macro_rules! identifier_lists {
    ($($type:ty),* $(,)?) => {$(
        impl ToValue for [$type] {
            fn to_value(&self) -> Value<'_> {
                Value::BytesList(self.iter().map(|id| id.as_bytes()).collect())
            }
        }

        impl ToValue for Vec<$type> {
            fn to_value(&self) -> Value<'_> {
                self.as_slice().to_value()
            }
        }
    )*};
}

identifier_lists!(
    ruma::OwnedUserId,
    ruma::OwnedRoomId,
    ruma::OwnedEventId,
    ruma::OwnedServerName,
    ruma::OwnedDeviceId,
    Arc<str>,
);

/// The parameters of a statement, `$1` first: `params![room, "m.room.member", &event_ids]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::ToValue::to_value(&$value)),*] as &[$crate::Value<'_>]
    };
}

/// One row of an answer. Columns are counted from 0.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    columns: &'a dyn Columns,
}

/// What an engine's row can tell.
pub(crate) trait Columns {
    /// An integer, a boolean as 0 or 1, or NULL.
    fn int(&self, column: usize) -> Result<Option<i64>, Error>;
    /// Bytes, or text as its bytes, or NULL.
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Error>;
}

impl<'a> Row<'a> {
    pub(crate) fn new(columns: &'a dyn Columns) -> Self {
        Self { columns }
    }

    /// The integer in a column, if it is not NULL.
    pub fn int_optional(&self, column: usize) -> Result<Option<i64>, Error> {
        self.columns.int(column)
    }

    /// The integer in a column.
    pub fn int(&self, column: usize) -> Result<i64, Error> {
        self.int_optional(column)?.ok_or_else(|| null(column))
    }

    /// The integer in a column, as a number without sign.
    pub fn unsigned(&self, column: usize) -> Result<u64, Error> {
        let int = self.int(column)?;
        u64::try_from(int)
            .map_err(|_| Error::Corrupt(format!("column {column} is negative: {int}")))
    }

    /// Whether the integer in a column is not 0; SQL's truth values too.
    pub fn flag(&self, column: usize) -> Result<bool, Error> {
        self.int(column).map(|int| int != 0)
    }

    /// The position in a column.
    pub fn position(&self, column: usize) -> Result<Position, Error> {
        self.unsigned(column).map(Position)
    }

    /// The number in a column: `row.number::<RoomNumber>(0)`.
    pub fn number<N: From<i64>>(&self, column: usize) -> Result<N, Error> {
        self.int(column).map(N::from)
    }

    /// The number in a column, if it is not NULL.
    pub fn number_optional<N: From<i64>>(&self, column: usize) -> Result<Option<N>, Error> {
        Ok(self.int_optional(column)?.map(N::from))
    }

    /// The bytes in a column, if they are not NULL.
    pub fn bytes_optional(&self, column: usize) -> Result<Option<&'a [u8]>, Error> {
        self.columns.bytes(column)
    }

    /// The bytes in a column.
    pub fn bytes(&self, column: usize) -> Result<&'a [u8], Error> {
        self.bytes_optional(column)?.ok_or_else(|| null(column))
    }

    /// The text in a column, if it is not NULL.
    pub fn text_optional(&self, column: usize) -> Result<Option<&'a str>, Error> {
        self.bytes_optional(column)?.map(|bytes| text(column, bytes)).transpose()
    }

    /// The text in a column.
    pub fn text(&self, column: usize) -> Result<&'a str, Error> {
        text(column, self.bytes(column)?)
    }

    /// The identifier in a column: `row.id::<OwnedUserId>(0)`.
    pub fn id<I>(&self, column: usize) -> Result<I, Error>
    where
        I: for<'t> TryFrom<&'t str>,
    {
        let text = self.text(column)?;
        I::try_from(text)
            .map_err(|_| Error::Corrupt(format!("column {column} is no identifier: {text:?}")))
    }
}

fn null(column: usize) -> Error {
    Error::Corrupt(format!("column {column} is NULL"))
}

fn text(column: usize, bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes)
        .map_err(|error| Error::Corrupt(format!("column {column} is no text: {error}")))
}
