//! Redaction: removes secrets from a value before it is shown.

/// The text in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Replaces the user info of every URL in a text: `http://user:secret@host/` becomes `http://[redacted]@host/`.
pub fn without_user_info(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(scheme) = rest.find("://") {
        let (before, after) = rest.split_at(scheme + 3);
        shown.push_str(before);
        let end = after
            .find(|c: char| matches!(c, '/' | '?' | '#' | '"' | '\'' | ',') || c.is_whitespace())
            .unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str(REDACTED);
                shown.push('@');
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = behind;
    }
    shown + rest
}

/// The same, and also removes a URL's query, which may hold secrets too: `http://[redacted]@host/a?…`.
pub fn without_secrets(text: &str) -> String {
    let shown = without_user_info(text);
    match shown.split_once('?') {
        Some((before, _)) if before.contains("://") => format!("{before}?…"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::{without_secrets, without_user_info};

    #[test]
    fn a_urls_query_is_not_shown() {
        assert_eq!(
            without_secrets("https://k:v@x/y?k=v#z"),
            "https://[redacted]@x/y?…"
        );
        assert_eq!(without_secrets("https://x/y"), "https://x/y");
        assert_eq!(without_secrets("orders?"), "orders?");
    }

    #[test]
    fn user_info_is_never_shown() {
        assert_eq!(
            without_user_info("http://me:pa@ss@host:80/a?b=c@d"),
            "http://[redacted]@host:80/a?b=c@d"
        );
        assert_eq!(
            without_user_info("a, https://u@h, b://c"),
            "a, https://[redacted]@h, b://c"
        );
        assert_eq!(without_user_info("me@host"), "me@host");
    }
}
