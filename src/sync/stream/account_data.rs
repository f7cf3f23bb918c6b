//! Account data (client-server API, "Client Config"), global and of rooms.
//!
//! Invariant: of each entry only the newest content is told, and to those who may have had it a
//! removal as `{}` (MSC3391).

use std::{collections::HashMap, sync::Arc};

use proto::number::RoomNumber;
use serde_json::value::RawValue;
use store::{
    Change,
    user::account_data::{self, AccountDataRow},
};
use user::default_push_rules;

use super::{Found, Look, Source};
use crate::answer::AccountDatum;

/// Push rules are account data that every user has.
const PUSH_RULES: &str = "m.push_rules";

/// Entries by room, the global ones under none.
pub(crate) type Entries = HashMap<Option<RoomNumber>, Vec<AccountDatum>>;

/// What changed since the token, or everything in an initial sync.
pub(crate) fn changed(look: &Look, source: &mut Source<'_, '_>) -> Found<Entries> {
    let (user, upto) = (look.requester.user(), look.next.position);
    let rows = match (&look.news, look.since) {
        (Some(_), Some(_)) => in_memory(look),
        (None, Some(since)) => {
            let changed =
                account_data::list_changed(source.snapshot()?, user, since.position, upto)?;
            changed.into_iter().map(entry).collect()
        }
        (_, None) => {
            let all = account_data::list(source.snapshot()?, user, upto)?;
            let mut rows = all.into_iter().map(entry).collect::<Vec<_>>();
            let has_rules =
                rows.iter().any(|(room, datum)| room.is_none() && &*datum.kind == PUSH_RULES);
            if !has_rules {
                let rules = Arc::from(default_push_rules(look.requester.user_id()));
                rows.push((None, datum(&Arc::from(PUSH_RULES), Some(rules))));
            }
            rows
        }
    };
    let mut entries = Entries::new();
    for (room, datum) in rows {
        if is_wanted(look, room, &datum) {
            entries.entry(room).or_default().push(datum);
        }
    }
    Ok(entries)
}

/// Everything in a room that the client does not know.
pub(crate) fn in_room(
    look: &Look,
    source: &mut Source<'_, '_>,
    room: RoomNumber,
) -> Found<Vec<AccountDatum>> {
    let (user, upto) = (look.requester.user(), look.next.position);
    let rows = account_data::list_in_room(source.snapshot()?, user, room, upto)?;
    let data = rows.into_iter().map(|row| entry(row).1);
    Ok(data.filter(|datum| is_wanted(look, Some(room), datum)).collect())
}

fn is_wanted(look: &Look, room: Option<RoomNumber>, datum: &AccountDatum) -> bool {
    let filter = match room {
        Some(_) => &look.filter.room_account_data,
        None => &look.filter.account_data,
    };
    filter.matches_type(&datum.kind)
        && filter.matches_sender(look.requester.user_id())
        && filter.matches_content(&datum.content)
}

/// The newest of each entry, in the order of their last changes.
fn in_memory(look: &Look) -> Vec<(Option<RoomNumber>, AccountDatum)> {
    let mut newest: Vec<(Option<RoomNumber>, AccountDatum)> = Vec::new();
    for record in look.news.iter().flat_map(|news| &news.own) {
        let Change::AccountData(change) = &record.change else { continue };
        newest.retain(|(room, datum)| *room != change.room || datum.kind != change.data_type);
        let content = change.content.clone();
        newest.push((change.room, datum(&change.data_type, content)));
    }
    newest
}

fn entry(row: AccountDataRow) -> (Option<RoomNumber>, AccountDatum) {
    (row.room, datum(&row.data_type, row.content))
}

fn datum(kind: &Arc<str>, content: Option<Arc<RawValue>>) -> AccountDatum {
    let content = content.unwrap_or_else(|| {
        Arc::from(RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"))
    });
    AccountDatum { kind: Arc::clone(kind), content }
}
