//! `[support]`: whom users of this server may ask for help, as `/.well-known/matrix/support` tells.
//! Changed by a reload.

use ruma::OwnedUserId;

use crate::{reader::Reader, setting::is_web_address};

/// How to reach somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// A mail address.
    pub email: Option<String>,
    /// A Matrix user.
    pub user: Option<OwnedUserId>,
}

/// The section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// Who runs the server.
    pub admin: Contact,
    /// Whom to tell of weaknesses.
    pub security: Contact,
    /// A page with help.
    pub page: Option<String>,
}

pub(crate) fn read(reader: &mut Reader<'_>) -> Support {
    let admin =
        Contact { email: email(reader, "admin_email"), user: reader.optional("admin_user") };
    let security =
        Contact { email: email(reader, "security_email"), user: reader.optional("security_user") };
    Support { admin, security, page: page(reader) }
}

/// Told as it is written: what stands at its end is the page's own.
fn page(reader: &mut Reader<'_>) -> Option<String> {
    let page: Option<String> = reader.optional("page");
    if page.as_ref().is_some_and(|page| !is_web_address(page)) {
        reader.refuse("page", "expects a URL that begins with https:// or http:// and a host");
    }
    page
}

fn email(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    let email: Option<String> = reader.optional(key);
    if email.as_ref().is_some_and(|email| !email.contains('@')) {
        reader.refuse(key, "expects a mail address");
    }
    email
}
