//! JSON writer: strings by RFC 8785's rules, and shortened values for messages.

use std::fmt::Write as _;

use super::Node;

/// Writes a string as RFC 8785 does: the shortest escape, control characters only.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The value as compact JSON, cut after `limit` bytes, for messages. Work is bounded by the limit.
pub(crate) fn brief(node: &Node<'_>, limit: usize) -> String {
    let mut out = String::new();
    write_brief(&mut out, node, limit);
    crate::bounded(&mut out, limit);
    out
}

fn write_brief(out: &mut String, node: &Node<'_>, limit: usize) {
    if out.len() > limit {
        return;
    }
    match node {
        Node::Null => out.push_str("null"),
        Node::Bool(true) => out.push_str("true"),
        Node::Bool(false) => out.push_str("false"),
        Node::Number(number) => out.push_str(number.text()),
        Node::String(text) => write_brief_string(out, text, limit),
        Node::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if out.len() > limit {
                    return;
                }
                if at > 0 {
                    out.push(',');
                }
                write_brief(out, item, limit);
            }
            out.push(']');
        }
        Node::Object(object) => {
            out.push('{');
            for (at, member) in object.members().iter().enumerate() {
                if out.len() > limit {
                    return;
                }
                if at > 0 {
                    out.push(',');
                }
                write_brief_string(out, &member.key, limit);
                out.push(':');
                write_brief(out, &member.value, limit);
            }
            out.push('}');
        }
    }
}

fn write_brief_string(out: &mut String, text: &str, limit: usize) {
    let mut end = text.len().min(limit + 1);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    write_string(out, &text[..end]);
}
