//! Page: what a browser is shown: one HTML file with its style and script inside, and the policy that lets nothing else in.

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{Html, IntoResponse},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

const INDEX: &str = include_str!("index.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The style and the script that are inside, by their hashes, and answers of the service itself.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; connect-src 'self'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).expect("a policy of printable ASCII")
});

static PAGE: LazyLock<String> = LazyLock::new(|| {
    INDEX
        .replace("/*page.css*/", STYLE)
        .replace("/*page.js*/", SCRIPT)
});

/// The page, with its policy.
pub(crate) fn page() -> impl IntoResponse {
    let policy: [(HeaderName, HeaderValue); 1] =
        [(header::CONTENT_SECURITY_POLICY, POLICY.clone())];
    (policy, Html(PAGE.as_str()))
}

/// Whether it is a browser that asks: only those name HTML.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let mut accept = headers.get_all(header::ACCEPT).iter();
    accept.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_no_outside_address_and_sets_no_markup() {
        // The namespace of SVG is a name, and nobody asks for it.
        let page = PAGE.replace("http://www.w3.org/2000/svg", "");
        for foreign in [
            "http:",
            "https:",
            "url(",
            "@import",
            "src=",
            "innerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(!STYLE.contains("</"), "it would end the style");
        assert!(!SCRIPT.contains("</"), "it could end the script");
        assert_eq!(PAGE.matches("<script").count(), 1);
    }

    #[test]
    fn every_element_that_the_script_asks_for_is_there() {
        for part in SCRIPT.split("byId(\"").skip(1) {
            let id = part.split('"').next().unwrap();
            assert!(PAGE.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
