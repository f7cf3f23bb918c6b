//! What the pages for people have in common: their frame, their style, and what a browser may do
//! with them.
//!
//! Invariant: whatever somebody else wrote is escaped before it stands in a page, and no page runs
//! or loads anything but the style and the script that are its own.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

use crate::{error::ApiError, reply::Outcome};

const STYLE: &str = "
body { font-family: sans-serif; line-height: 1.5; max-width: 36rem; margin: 4rem auto; \
padding: 0 1rem; color: #222; background: #fff }
a { color: #06c }
label, button { display: block; margin: 1rem 0 }
input { display: block; box-sizing: border-box; width: 100%; max-width: 20rem; font: inherit }
button { font: inherit; padding: .2rem 1rem }
.wrong { color: #b00 }
[hidden] { display: none }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } \
a { color: #6af } .wrong { color: #f88 } }
";

/// What every page is sent with.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // Some pages have a secret in their address.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// A page for people.
pub(crate) struct Page<'a> {
    pub(crate) status: StatusCode,
    /// A text.
    pub(crate) title: &'a str,
    /// HTML.
    pub(crate) body: &'a str,
    /// Runs once the body is there.
    pub(crate) script: Option<&'a str>,
}

impl Page<'_> {
    /// The answer that is this page.
    pub(crate) fn reply(&self) -> Outcome {
        let mut response = Response::new(Body::from(self.html()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(HEADERS);
        let policy = HeaderValue::try_from(self.policy()).map_err(ApiError::internal)?;
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    }

    fn html(&self) -> String {
        let (title, body) = (escape(self.title), self.body);
        let script = self.script.map(|script| format!("<script>{script}</script>\n"));
        let script = script.unwrap_or_default();
        format!(
            "<!DOCTYPE html>\n\
             <html lang=\"en\">\n\
             <head>\n\
             <meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n\
             <style>{STYLE}</style>\n\
             </head>\n\
             <body>\n\
             {body}\
             {script}\
             </body>\n\
             </html>\n"
        )
    }

    /// Nothing but the page's own style and script, named by their hashes.
    fn policy(&self) -> String {
        let style = source(STYLE);
        let script = self.script.map_or_else(|| "'none'".to_owned(), source);
        format!(
            "default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
    }
}

fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// A text as HTML, in an attribute's value too.
pub(crate) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_allows_its_own_style_and_script_only() {
        let script = "window.close();";
        let page = Page {
            status: StatusCode::OK,
            title: "<b> & \"c\"",
            body: "<p>Hello.</p>\n",
            script: Some(script),
        };
        let response = page.reply().ok().unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        let html = page.html();
        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        for inline in [style, script] {
            let hash = STANDARD.encode(digest(&SHA256, inline.as_bytes()));
            assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
        }
        assert!(html.contains("<title>&lt;b&gt; &amp; &quot;c&quot;</title>"));
        let without = Page { script: None, ..page };
        assert!(without.policy().contains("script-src 'none'"));
        assert!(!without.html().contains("<script>"));
    }
}
