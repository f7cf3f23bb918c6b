//! The page that a browser shows who opens the server's own address.

use axum::http::StatusCode;

use crate::{
    extract::Call,
    page::{Page, escape},
    reply::Outcome,
};

/// `GET /`.
pub(crate) async fn page(call: Call) -> Outcome {
    let title = call.state.server_name.as_str();
    Page { status: StatusCode::OK, title, body: &body(title), script: None }.reply()
}

fn body(server_name: &str) -> String {
    let server_name = escape(server_name);
    format!(
        "<h1>It works: {server_name}</h1>\n\
         <p>A Matrix homeserver runs here. To use it, open a\n\
         <a href=\"https://matrix.org/ecosystem/clients/\">Matrix client</a> and log in with\n\
         <code>{server_name}</code> as the homeserver.</p>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_the_server() {
        assert!(body("example.org").contains("<code>example.org</code>"));
    }
}
