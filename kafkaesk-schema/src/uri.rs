//! URI references. Input: the text of a `$ref` or an `$id`. Output: a form that every library reads alike.
//!
//! Generators write type names into references without escapes: `#/definitions/Page<Reading>`. RFC 3986 does not allow
//! that, but the meaning is clear. Resolves nothing.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The characters that a URI reference must escape, except `%`.
const ILLEGAL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// The same within a fragment that is a name.
const IN_NAME: &AsciiSet = &ILLEGAL.add(b'#');
/// The same within one segment of a JSON pointer that stands in a fragment.
const IN_FRAGMENT: &AsciiSet = &ILLEGAL.add(b'#').add(b'%');

/// The same within a path.
const IN_PATH: &AsciiSet = &IN_FRAGMENT.add(b'?').add(b'/');

/// The URI reference that a text means. A fragment that begins with `/` is a JSON pointer: `%` with two hexadecimal
/// digits stands for a byte, `~0` for `~`, `~1` for `/`, and everything else for itself. `None` when its bytes are not
/// UTF-8.
pub(crate) fn reference(text: &str) -> Option<Cow<'_, str>> {
    let Some((before, fragment)) = text.split_once('#') else {
        return Some(escaped(text, ILLEGAL));
    };
    let before = escaped(before, ILLEGAL);
    let fragment = if fragment.starts_with('/') {
        Cow::Owned(pointer(&percent_decode_str(fragment).decode_utf8().ok()?))
    } else {
        escaped(fragment, IN_NAME)
    };
    let uri = format!("{before}#{fragment}");
    Some(if uri == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(uri)
    })
}

/// A file's name as the path of a URI.
pub(crate) fn path(name: &str) -> String {
    utf8_percent_encode(name, IN_PATH).to_string()
}

/// A JSON pointer as a fragment.
fn pointer(decoded: &str) -> String {
    let mut fragment = String::with_capacity(decoded.len());
    for segment in decoded.split('/').skip(1) {
        fragment.push('/');
        let name = segment_name(segment).replace('~', "~0").replace('/', "~1");
        fragment.extend(utf8_percent_encode(&name, IN_FRAGMENT));
    }
    fragment
}

/// The name in a segment of a JSON pointer. A `~` not followed by `0` or `1` stands for itself.
pub(crate) fn segment_name(segment: &str) -> Cow<'_, str> {
    if !segment.contains('~') {
        return Cow::Borrowed(segment);
    }
    let mut name = String::with_capacity(segment.len());
    let mut rest = segment.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('~', Some('0')) => {
                rest.next();
                name.push('~');
            }
            ('~', Some('1')) => {
                rest.next();
                name.push('/');
            }
            (other, _) => name.push(other),
        }
    }
    Cow::Owned(name)
}

/// Percent-encodes what is in the set, and a `%` that no two hexadecimal digits follow.
fn escaped<'t>(text: &'t str, set: &'static AsciiSet) -> Cow<'t, str> {
    let encoded: Cow<'t, str> = utf8_percent_encode(text, set).into();
    if !has_bare_percent(&encoded) {
        return encoded;
    }
    let mut out = String::with_capacity(encoded.len() + 8);
    for (at, c) in encoded.char_indices() {
        out.push(c);
        if c == '%' && !is_escape(&encoded[at..]) {
            out.push_str("25");
        }
    }
    Cow::Owned(out)
}

fn has_bare_percent(text: &str) -> bool {
    text.match_indices('%')
        .any(|(at, _)| !is_escape(&text[at..]))
}

/// Whether a text that begins with `%` goes on with two hexadecimal digits.
fn is_escape(text: &str) -> bool {
    let digits = text.as_bytes().get(1..3);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_that_begins_with_a_slash_is_a_json_pointer() {
        for (text, wanted) in [
            ("#/a/b", "#/a/b"),
            ("#/a/Page<Reading>", "#/a/Page%3CReading%3E"),
            ("#/a/Page%3CReading%3E", "#/a/Page%3CReading%3E"),
            ("#/a/Page%3cReading%3e", "#/a/Page%3CReading%3E"),
            ("#/a/Meter Reading", "#/a/Meter%20Reading"),
            ("#/a/Zähler", "#/a/Z%C3%A4hler"),
            ("#/a/Z%C3%A4hler", "#/a/Z%C3%A4hler"),
            ("#/a/A|B[«x»]", "#/a/A%7CB%5B%C2%ABx%C2%BB%5D"),
            ("#/a/100%", "#/a/100%25"),
            ("#/a/100%25", "#/a/100%25"),
            ("#/a/%zz", "#/a/%25zz"),
            ("#/a/x~1y", "#/a/x~1y"),
            ("#/a/x%7E1y", "#/a/x~1y"),
            ("#/a/~~1", "#/a/~0~1"),
            ("#/a/~2", "#/a/~02"),
            ("#/a/\"q\"\\", "#/a/%22q%22%5C"),
            ("#/a/x#y", "#/a/x%23y"),
            ("#/a%2Fb", "#/a/b"),
            ("other.json#/a/<", "other.json#/a/%3C"),
            ("my file.json", "my%20file.json"),
            ("#name", "#name"),
            ("#Page<Reading>", "#Page%3CReading%3E"),
            ("#/$defs/a", "#/$defs/a"),
            ("", ""),
            ("#", "#"),
        ] {
            assert_eq!(reference(text).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(reference("#/a/%FF"), None);
    }

    #[test]
    fn a_normal_reference_stays_as_it_is() {
        for text in ["#/a/Page<Reading>", "a b#/~~1%", "#/%C3%A4"] {
            let once = reference(text).unwrap().into_owned();
            assert_eq!(reference(&once).as_deref(), Some(&*once));
        }
    }
}
