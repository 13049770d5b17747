//! Laws of the difference.

use crate::Document;

fn document(text: impl Into<String>) -> Document {
    Document::parse(text.into()).unwrap()
}

#[test]
fn each_pointer_that_differs_has_its_lines() {
    let ours = document(
        r#"{"properties": {"id": {"type": "integer", "title": "x"}, "a/b": {}}, "required": ["id"]}"#,
    );
    let theirs = document(
        r#"{"properties": {"id": {"type": "string"}, "new": true}, "required": ["id", "new"]}"#,
    );
    assert_eq!(
        ours.diff(&theirs),
        [
            "- /properties/a~1b: {}",
            "- /properties/id/type: \"integer\"",
            "+ /properties/id/type: \"string\"",
            "+ /properties/new: true",
            "+ /required/1: \"new\"",
        ]
        .join("\n")
    );
}

#[test]
fn annotations_and_formatting_make_no_difference() {
    let ours = document(r#"{"title": "A", "minimum": 1.0}"#);
    let theirs = document(r#"{ "minimum": 1, "description": "b" }"#);
    assert_eq!(ours.diff(&theirs), "");
}

#[test]
fn a_difference_of_the_root_is_named() {
    assert_eq!(
        document("true").diff(&document("{}")),
        "- (root): true\n+ (root): {}"
    );
}

#[test]
fn lines_and_values_are_bounded() {
    let members: Vec<String> = (0..80).map(|at| format!("\"p{at:02}\": {{}}")).collect();
    let many = document(format!(r#"{{"properties": {{{}}}}}"#, members.join(",")));
    let none = document(r#"{"properties": {}}"#);
    let lines: Vec<String> = many.diff(&none).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 51);
    assert_eq!(lines[50], "… and 30 more");
    let long = document(format!(r#"{{"const": "{}"}}"#, "ü".repeat(5000)));
    assert!(long.diff(&none).lines().all(|line| line.len() < 300));
}
