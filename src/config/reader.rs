//! Takes keys out of a merged tree, one typed call for each. A key that nobody asked for is
//! unknown; a key that was asked for is listed with its value and origin. So what is documented,
//! checked and shown cannot differ from what is read.
//!
//! Invariant: a wrong value becomes a problem and its default; whoever reads never stops at the
//! first error, and the result is thrown away when there was one.

use std::{
    cell::RefCell,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use crate::{
    nearest::nearest,
    problem::Problem,
    secret::{Secret, SecretPlaces},
    setting::{Setting, quote},
    tree::{Node, Origin, Table, Value},
};

/// What a listing writes instead of a secret.
pub(crate) const MASK: &str = "***";

/// What puts a changed value of a key in force. Each section says it where it reads the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A reload.
    Reload,
    /// A restart alone.
    Restart,
}

/// One key as it is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The table's header without brackets; empty at the top.
    pub table: String,
    /// Which one of an array of tables.
    pub item: Option<usize>,
    /// The key within the table.
    pub key: &'static str,
    /// The value as TOML, secrets masked; none when it is not set and has no default.
    pub value: Option<String>,
    /// Where it was set; none for a default.
    pub origin: Option<Origin>,
    /// What puts a change in force.
    pub effect: Effect,
    /// What the value hides: the secret itself, or the one in the file that the value names.
    secret: Option<Secret>,
}

impl Entry {
    /// Whether both have the same value, secrets included.
    pub fn has_value_of(&self, other: &Self) -> bool {
        (&self.value, &self.secret) == (&other.value, &other.secret)
    }

    /// Table and key, as an error names them.
    pub fn path(&self) -> String {
        join(&self.table, self.key)
    }
}

/// An unknown key, kept until all known ones are there to be suggested.
struct Unknown {
    table: String,
    key: String,
    origin: Origin,
}

/// What the readers of one configuration share.
pub(crate) struct Context {
    pub(crate) places: SecretPlaces,
    files: RefCell<Vec<PathBuf>>,
    encrypted: RefCell<Vec<PathBuf>>,
    problems: RefCell<Vec<Problem>>,
    entries: RefCell<Vec<Entry>>,
    unknown: RefCell<Vec<Unknown>>,
}

impl Context {
    pub(crate) fn new(places: SecretPlaces) -> Self {
        Self {
            places,
            files: RefCell::default(),
            encrypted: RefCell::default(),
            problems: RefCell::default(),
            entries: RefCell::default(),
            unknown: RefCell::default(),
        }
    }

    /// Everything that was found, with suggestions for unknown keys.
    pub(crate) fn finish(self) -> Found {
        let entries = self.entries.into_inner();
        let mut problems = self.problems.into_inner();
        for unknown in self.unknown.into_inner() {
            problems.push(describe(&unknown, &entries));
        }
        // As somebody goes through the files to mend them.
        problems.sort_by(|left, right| place(left).cmp(&place(right)));
        let (files, encrypted) = (self.files.into_inner(), self.encrypted.into_inner());
        Found { entries, files, encrypted, problems }
    }
}

/// What came of the reading.
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// The files of secrets.
    pub(crate) files: Vec<PathBuf>,
    /// Those that are encrypted credentials.
    pub(crate) encrypted: Vec<PathBuf>,
    pub(crate) problems: Vec<Problem>,
}

fn place(problem: &Problem) -> Option<(&Path, usize)> {
    problem.origin.as_ref().map(|origin| (origin.file.path.as_path(), origin.line))
}

fn describe(unknown: &Unknown, entries: &[Entry]) -> Problem {
    let path = join(&unknown.table, &unknown.key);
    let depth = if unknown.table.is_empty() { 0 } else { unknown.table.len() + 1 };
    // Neighbours in the same table, tables among them, come before keys of the same name elsewhere.
    let paths: Vec<String> = entries.iter().map(Entry::path).collect();
    let inside = paths.iter().filter(|known| {
        depth == 0 || known.get(..depth).is_some_and(|head| head == format!("{}.", unknown.table))
    });
    let neighbours = inside.filter_map(|known| known.get(depth..)?.split('.').next());
    let elsewhere = || {
        let same = |known: &&String| known.rsplit('.').next() == Some(&unknown.key);
        paths.iter().find(same).cloned()
    };
    let suggestion = nearest(&unknown.key, neighbours)
        .map(|key| join(&unknown.table, key))
        .or_else(elsewhere)
        .map(|key| format!("; did you mean `{key}`?"))
        .unwrap_or_default();
    Problem::at(&unknown.origin, format!("unknown key `{path}`{suggestion}"))
}

fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// Reads one table.
pub(crate) struct Reader<'a> {
    context: &'a Context,
    table: Option<&'a Table>,
    origin: Option<&'a Origin>,
    path: String,
    item: Option<usize>,
    effect: Effect,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// The top of the tree.
    pub(crate) fn new(context: &'a Context, table: &'a Table) -> Self {
        Self {
            context,
            table: Some(table),
            origin: None,
            path: String::new(),
            item: None,
            effect: Effect::Reload,
            known: Vec::new(),
        }
    }

    /// Changes of the keys that are read from here on take a restart.
    pub(crate) fn fixed(&mut self) {
        self.effect = Effect::Restart;
    }

    /// Changes of the keys that are read from here on take a reload only, as from the beginning.
    pub(crate) fn reloadable(&mut self) {
        self.effect = Effect::Reload;
    }

    /// Whether the files have this table.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether a key is an array without anything in it.
    pub(crate) fn is_empty_array(&self, key: &str) -> bool {
        self.node(key).is_some_and(|node| node.value == Value::Array(Vec::new()))
    }

    /// The places of secrets and other files.
    pub(crate) fn places(&self) -> &'a SecretPlaces {
        &self.context.places
    }

    /// A key that need not be there.
    pub(crate) fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        let node = self.take(key);
        let value = node.and_then(|node| self.parse(key, node));
        self.list(key, value.as_ref().map(T::show), node);
        value
    }

    /// A key with a default.
    pub(crate) fn or<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        let node = self.take(key);
        let value = node.and_then(|node| self.parse(key, node)).unwrap_or(default);
        self.list(key, Some(value.show()), node);
        value
    }

    /// A key with a default and bounds.
    pub(crate) fn within<T: Setting + PartialOrd>(
        &mut self,
        key: &'static str,
        default: T,
        bounds: RangeInclusive<T>,
    ) -> T {
        let value = self.or(key, default);
        if !bounds.contains(&value) {
            let (least, most) = (bounds.start().show(), bounds.end().show());
            self.refuse(key, &format!("must lie between {least} and {most}"));
        }
        value
    }

    /// A key that must be there; `why` tells what to do when it is not.
    pub(crate) fn required<T: Setting>(&mut self, key: &'static str, why: &str) -> Option<T> {
        let value = self.optional(key);
        if value.is_none() && self.node(key).is_none() {
            let reason = format!("`{}` is missing; {why}", join(&self.path, key));
            let origin = self.origin.cloned();
            self.context.problems.borrow_mut().push(Problem { origin, reason });
        }
        value
    }

    /// A secret, in the file itself or in one that `file_key` names.
    pub(crate) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        let inline = self.take(key);
        let text: Option<String> = inline.and_then(|node| self.parse(key, node));
        self.list(key, text.as_ref().map(|_| quote(MASK)), inline);
        if let Some(node) = inline {
            self.protect(key, &node.origin, file_key);
        }
        let name: Option<String> = self.optional(file_key);
        if inline.is_some() && name.is_some() {
            self.refuse(file_key, &format!("cannot stand beside `{key}`"));
        }
        if let Some(name) = &name {
            let file = self.file(name);
            self.context.files.borrow_mut().push(file);
        }
        let from_file = name.map(|name| {
            self.places().read(&name).unwrap_or_else(|reason| {
                self.refuse(file_key, &reason);
                Secret::unknown()
            })
        });
        let key = if text.is_some() { key } else { file_key };
        let secret = text.map(Secret::new).or(from_file);
        self.conceal(key, secret.clone());
        secret
    }

    /// The file that a key names by `name`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let file = self.places().resolve(name);
        if self.places().is_encrypted(&file) {
            self.context.encrypted.borrow_mut().push(file.clone());
        }
        file
    }

    /// Notes the secret behind a listed key, so that a change of it can be told.
    pub(crate) fn conceal(&self, key: &str, secret: Option<Secret>) {
        let mut entries = self.context.entries.borrow_mut();
        let ours = entries.iter_mut().rev().find(|entry| {
            (entry.key, entry.item, entry.table.as_str()) == (key, self.item, self.path.as_str())
        });
        if let Some(entry) = ours {
            entry.secret = secret;
        }
    }

    /// Refuses a secret in a file that everybody can read.
    pub(crate) fn protect(&self, key: &str, origin: &Origin, instead: &str) {
        if origin.file.world_readable {
            let file = origin.file.path.display();
            self.refuse(
                key,
                &format!(
                    "holds a secret, but every user can read {file}; use `{instead}` or chmod o-r"
                ),
            );
        }
    }

    /// A table below this one.
    pub(crate) fn section(&mut self, key: &'static str) -> Reader<'a> {
        let node = self.take(key);
        let table = node.and_then(|node| match &node.value {
            Value::Table(table) => Some(table),
            other => {
                self.refuse(key, &format!("expects a table, not {}", other.kind()));
                None
            }
        });
        self.below(key, table, node, self.item)
    }

    /// The tables of an array; one of defaults when there is no such key.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Reader<'a>> {
        let Some(node) = self.take(key) else {
            return vec![self.below(key, None, None, Some(0))];
        };
        let Value::Array(items) = &node.value else {
            let reason = format!("expects tables `[[{key}]]`, not {}", node.value.kind());
            self.refuse(key, &reason);
            return Vec::new();
        };
        let mut readers = Vec::with_capacity(items.len());
        for (number, item) in items.iter().enumerate() {
            match &item.value {
                Value::Table(table) => {
                    readers.push(self.below(key, Some(table), Some(item), Some(number)));
                }
                other => {
                    let reason = format!("`{key}` expects tables, not {}", other.kind());
                    self.context.problems.borrow_mut().push(Problem::at(&item.origin, reason));
                }
            }
        }
        readers
    }

    fn below(
        &self,
        key: &str,
        table: Option<&'a Table>,
        node: Option<&'a Node>,
        item: Option<usize>,
    ) -> Reader<'a> {
        Reader {
            context: self.context,
            table,
            origin: node.map(|node| &node.origin),
            path: join(&self.path, key),
            item,
            effect: self.effect,
            known: Vec::new(),
        }
    }

    /// Lists a key that was read by other means than the calls above.
    pub(crate) fn list(&mut self, key: &'static str, value: Option<String>, node: Option<&Node>) {
        self.context.entries.borrow_mut().push(Entry {
            table: self.path.clone(),
            item: self.item,
            key,
            value,
            origin: node.map(|node| node.origin.clone()),
            effect: self.effect,
            secret: None,
        });
    }

    /// The raw node of a key, which counts as known from now on.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.node(key)
    }

    fn node(&self, key: &str) -> Option<&'a Node> {
        self.table?.get(key)
    }

    /// Reads a node; a wrong one becomes a problem.
    pub(crate) fn parse<T: Setting>(&self, key: &str, node: &Node) -> Option<T> {
        match T::parse(node) {
            Ok(value) => Some(value),
            Err(fault) => {
                let reason = format!("`{}` {}", join(&self.path, key), fault.reason);
                self.context.problems.borrow_mut().push(Problem::at(&fault.origin, reason));
                None
            }
        }
    }

    /// Says that a key's value cannot be; `reason` goes on after the key's name.
    pub(crate) fn refuse(&self, key: &str, reason: &str) {
        let origin = self.node(key).map(|node| &node.origin).or(self.origin).cloned();
        let reason = format!("`{}` {reason}", join(&self.path, key));
        self.context.problems.borrow_mut().push(Problem { origin, reason });
    }
}

impl Drop for Reader<'_> {
    /// Whatever nobody asked for is unknown; here, so that no section can forget to say so.
    fn drop(&mut self) {
        let Some(table) = self.table else { return };
        for (key, node) in table {
            if !self.known.contains(&key.as_str()) {
                self.context.unknown.borrow_mut().push(Unknown {
                    table: self.path.clone(),
                    key: key.clone(),
                    origin: node.origin.clone(),
                });
            }
        }
    }
}
