//! The page that a browser shows who opens the server's own address.

use crate::{
    extract::Call,
    reply::{self, Outcome},
};

/// `GET /`.
pub(crate) async fn page(call: Call) -> Outcome {
    reply::html(page_of(call.state.server_name.as_str()))
}

fn page_of(server_name: &str) -> String {
    // A server name has no character that means anything in HTML.
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{server_name}</title>\n\
         <style>\n\
         body {{ font-family: sans-serif; line-height: 1.5; max-width: 36rem; margin: 4rem auto; \
         padding: 0 1rem; color: #222; background: #fff }}\n\
         a {{ color: #06c }}\n\
         @media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818 }} \
         a {{ color: #6af }} }}\n\
         </style>\n\
         </head>\n\
         <body>\n\
         <h1>It works: {server_name}</h1>\n\
         <p>A Matrix homeserver runs here. To use it, open a\n\
         <a href=\"https://matrix.org/ecosystem/clients/\">Matrix client</a> and log in with\n\
         <code>{server_name}</code> as the homeserver.</p>\n\
         </body>\n\
         </html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_the_server() {
        let page = page_of("example.org");
        assert!(page.starts_with("<!DOCTYPE html>"));
        assert!(page.contains("<code>example.org</code>"));
    }
}
