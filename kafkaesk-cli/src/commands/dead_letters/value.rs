//! A value for people: JSON is indented, with every token unchanged; other bytes are shown as far as possible. Checks
//! nothing.

use serde::de::IgnoredAny;

/// At most this many bytes of a value that is not text are shown.
const SHOWN: usize = 4096;

/// The lines of a value.
pub(super) fn lines(value: Option<&[u8]>) -> Vec<String> {
    let Some(value) = value else {
        return vec!["(null)".to_owned()];
    };
    if serde_json::from_slice::<IgnoredAny>(value).is_ok()
        && let Ok(text) = std::str::from_utf8(value)
    {
        return indented(text).lines().map(str::to_owned).collect();
    }
    match std::str::from_utf8(value) {
        Ok("") => vec!["(empty)".to_owned()],
        Ok(text) => text.lines().map(str::to_owned).collect(),
        Err(_) => {
            let more = match value.len() > SHOWN {
                true => format!(" and {} bytes more", value.len() - SHOWN),
                false => String::new(),
            };
            let start = value[..value.len().min(SHOWN)].escape_ascii();
            vec![format!("(no UTF-8) {start}{more}")]
        }
    }
}

/// Valid JSON with line breaks and two spaces for each level. Numbers and strings stay as they are written.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let (mut in_string, mut escaped) = (false, false);
    let mut characters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(c) = characters.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while characters.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match characters.next_if(|c| matches!(c, '}' | ']')) {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_its_tokens_stay() {
        let text = r#" {"a":[1.0e400 ,{}, [ ] ],"b\"{,":"x:y\\","n":12345678901234567890} "#;
        let expected = "{\n  \"a\": [\n    1.0e400,\n    {},\n    []\n  ],\n  \"b\\\"{,\": \"x:y\\\\\",\n  \"n\": 12345678901234567890\n}";
        assert_eq!(lines(Some(text.as_bytes())).join("\n"), expected);
        assert_eq!(lines(Some(b"7")), ["7"]);
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_is() {
        assert_eq!(lines(None), ["(null)"]);
        assert_eq!(lines(Some(b"")), ["(empty)"]);
        assert_eq!(lines(Some(b"{a\nb")), ["{a", "b"]);
        assert_eq!(lines(Some(b"a\xff")), ["(no UTF-8) a\\xff"]);
        let long = lines(Some(&[0xff; SHOWN + 3]));
        assert!(long[0].ends_with(" and 3 bytes more"));
    }
}
