//! What stands under `/.well-known/matrix/`.
//!
//! Spec: client-server API, "Server Discovery"; server-server API, "Resolving server names".

use serde_json::{Map, Value, json};

use crate::{
    Contact, Support,
    error::NOT_FOUND,
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /.well-known/matrix/client`.
pub(crate) async fn client(call: Call) -> Outcome {
    match &call.state.settings.load().public_base_url {
        Some(url) => reply::json(&json!({ "m.homeserver": { "base_url": url } })),
        None => Err(NOT_FOUND.with("This server does not say where clients reach it")),
    }
}

/// `GET /.well-known/matrix/server`.
pub(crate) async fn server(call: Call) -> Outcome {
    match &call.state.settings.load().delegated_server {
        Some(server) => reply::json(&json!({ "m.server": server })),
        None => Err(NOT_FOUND.with("This server is not delegated")),
    }
}

/// `GET /.well-known/matrix/support`.
pub(crate) async fn support(call: Call) -> Outcome {
    match &call.state.settings.load().support {
        Some(support) => reply::json(&support_body(support)),
        None => Err(NOT_FOUND.with("This server does not say whom to ask")),
    }
}

fn support_body(support: &Support) -> Value {
    let mut body = Map::new();
    if !support.contacts.is_empty() {
        let contacts: Vec<Value> = support.contacts.iter().map(contact_body).collect();
        body.insert("contacts".to_owned(), contacts.into());
    }
    if let Some(page) = &support.page {
        body.insert("support_page".to_owned(), page.clone().into());
    }
    body.into()
}

fn contact_body(contact: &Contact) -> Value {
    let mut body = Map::new();
    body.insert("role".to_owned(), contact.role.clone().into());
    let fields = [("matrix_id", &contact.matrix_id), ("email_address", &contact.email_address)];
    for (key, value) in fields {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.clone().into());
        }
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_holds_only_what_is_known() {
        let support = Support {
            contacts: vec![Contact {
                role: "m.role.admin".to_owned(),
                matrix_id: Some("@admin:example.org".to_owned()),
                email_address: None,
            }],
            page: None,
        };
        let contact = json!({ "role": "m.role.admin", "matrix_id": "@admin:example.org" });
        assert_eq!(support_body(&support), json!({ "contacts": [contact] }));
    }
}
