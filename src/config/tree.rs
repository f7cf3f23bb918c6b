//! The configuration as it stands in the files: a tree of values, each with the file and line that
//! it came from. What the values mean is decided by [`crate::reader`].
//!
//! Invariant: a merged tree holds each key once, with the origin of the file that won.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

/// A configuration file that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its path as it was opened.
    pub(crate) path: PathBuf,
    /// Whether every user of the machine may read it, so that no secret may stand in it.
    pub(crate) world_readable: bool,
}

/// The file and the line that a key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub(crate) file: Arc<SourceFile>,
    pub(crate) line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file.path.display(), self.line)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// A table by key.
pub(crate) type Table = BTreeMap<String, Node>;

/// What TOML can say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, with its article, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Lays `over` on `base`: tables merge, everything else is replaced.
pub(crate) fn merge(base: &mut Table, over: Table) {
    for (key, node) in over {
        match base.get_mut(&key) {
            Some(Node { value: Value::Table(below), .. })
                if matches!(node.value, Value::Table(_)) =>
            {
                if let Value::Table(above) = node.value {
                    merge(below, above);
                }
            }
            _ => {
                base.insert(key, node);
            }
        }
    }
}
