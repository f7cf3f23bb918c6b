//! One configuration file: TOML in, a tree with origins out. Syntax errors are all reported, not
//! only the first.

use std::{io::Read, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    problem::Problem,
    regular,
    tree::{Node, Origin, SourceFile, Table, Value},
};

/// Permission bit of reading for everybody.
const WORLD_READABLE: u32 = 0o004;

/// Reads a file. What could be understood is returned even when there are problems, so that those
/// of other files are found too.
pub(crate) fn read(path: &Path, problems: &mut Vec<Problem>) -> Table {
    match open(path) {
        Ok((file, text)) => parse(file, &text, problems),
        Err(reason) => {
            problems.push(Problem::nowhere(format!("cannot read {}: {reason}", path.display())));
            Table::new()
        }
    }
}

fn open(path: &Path) -> Result<(SourceFile, String), String> {
    if regular::is_null(path) {
        return Ok((SourceFile { path: path.to_owned(), world_readable: true }, String::new()));
    }
    let (mut file, metadata) = regular::open_regular(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let world_readable = metadata.permissions().mode() & WORLD_READABLE != 0;
    Ok((SourceFile { path: path.to_owned(), world_readable }, text))
}

/// Parses the text of `file`.
pub(crate) fn parse(file: SourceFile, text: &str, problems: &mut Vec<Problem>) -> Table {
    let lines = Lines { file: Arc::new(file), starts: line_starts(text) };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let reason = error.message().replace('\n', ", ");
        problems.push(Problem::at(&lines.origin(offset), reason));
    }
    lines.table(table.into_inner())
}

/// Byte offsets at which lines begin.
fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(breaks.map(|(offset, _)| offset + 1)).collect()
}

struct Lines {
    file: Arc<SourceFile>,
    starts: Vec<usize>,
}

impl Lines {
    fn origin(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|start| *start <= offset);
        Origin { file: self.file.clone(), line }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        table
            .into_iter()
            .map(|(key, value)| {
                // The key's own line: an array or a string may go on over many.
                let origin = self.origin(key.span().start);
                (key.into_inner().into_owned(), Node { origin, value: self.value(value) })
            })
            .collect()
    }

    fn value(&self, value: Spanned<DeValue<'_>>) -> Value {
        match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Float(f64::INFINITY), Value::Integer),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| {
                        let origin = self.origin(item.span().start);
                        Node { origin, value: self.value(item) }
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}
