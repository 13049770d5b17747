//! Schemas that their owners cannot change: in several files, with look-around, of an older draft, and large.

use kafkaesk_client::testing::kafka;

use crate::support::Project;

const INVOICE: &str = r#"{"type": "object", "properties": {"total": {"$ref": "types/money.json"}, "lines": {"items": {"$ref": "types/money.json#/$defs/amount"}}}}"#;
const MONEY: &str = r#"{"$defs": {"amount": {"type": "integer", "minimum": 0}}, "type": "object", "required": ["amount"]}"#;
const PRICE: &str = r#"{"type": "object", "properties": {"amount": {"type": "string", "pattern": "^(?!0\\d)\\d{1,8}(\\.\\d{2})?$"}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_in_several_files_is_stored_as_one_document_and_judges_events() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    project
        .file("schemas/Invoice.1.json", INVOICE)
        .file("schemas/types/money.json", MONEY);
    project.run(&["schema", "push", "schemas"]).succeeds();
    let publish = |data: &str| {
        let arguments = [
            "publish",
            "invoices",
            "--schema",
            "Invoice:1",
            "--data",
            data,
        ];
        project.run(&arguments)
    };
    publish(r#"{"total":{"amount":1},"lines":[1]}"#).succeeds();
    assert_ne!(publish(r#"{"total":{}}"#).status, 0);
    assert_ne!(publish(r#"{"lines":[-1]}"#).status, 0);
    // What is stored, and what bundling writes, is the same schema.
    let stored = project.run(&["schema", "show", "Invoice:1"]).succeeds();
    project.file("stored/Invoice.1.json", stored);
    let bundle = [
        "schema",
        "bundle",
        "schemas/Invoice.1.json",
        "-o",
        "bundled.json",
    ];
    project.run(&bundle).succeeds();
    for file in ["stored/Invoice.1.json", "bundled.json"] {
        let arguments = [
            "schema",
            "push",
            file,
            "--name",
            "Invoice",
            "--version",
            "1",
        ];
        let said = project.run(&arguments).succeeds();
        assert!(said.contains("present"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn look_around_is_refused_with_the_command_that_rewrites_it_and_that_stores_it() {
    let kafka = kafka().await;
    let project = Project::on(&kafka);
    project.file("Price.1.json", PRICE);
    let refused = project.run(&["schema", "push", "Price.1.json"]);
    assert_ne!(refused.status, 0);
    assert!(
        refused.stderr.contains("schema push --portable"),
        "{}",
        refused.stderr
    );
    let listed = project.run(&["schema", "list"]).succeeds();
    assert!(!listed.contains("Price"), "{listed}");
    let pushed = project.run(&["schema", "push", "--portable", "Price.1.json"]);
    assert!(pushed.stderr.contains(r"- ^(?!0\d)"), "{}", pushed.stderr);
    pushed.succeeds();
    for (data, fits) in [("12.50", true), ("0", true), ("01", false), ("1.5", false)] {
        let data = format!(r#"{{"amount":"{data}"}}"#);
        let arguments = ["publish", "prices", "--schema", "Price:1", "--data", &data];
        assert_eq!(project.run(&arguments).status == 0, fits, "{data}");
    }
    let unproved = PRICE.replace("^(?!0", "(?!0");
    project.file("Other.1.json", unproved);
    let refused = project.run(&["schema", "push", "--portable", "Other.1.json"]);
    assert_ne!(refused.status, 0);
    assert!(
        refused.stderr.contains("cannot be proved"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_refused_document_says_what_to_do() {
    let project = Project::new();
    project
        .file("tuple.json", r#"{"items": [{"type": "number"}]}"#)
        .file(
            "near.json",
            r#"{"$schema": "https://json-schema.org/draft-07/schema#"}"#,
        )
        .file("remote.json", r#"{"$ref": "https://example.com/x.json"}"#)
        .file("missing.json", r#"{"$ref": "none.json"}"#)
        .file("greek.json", r#"{"pattern": "\\p{Greek}"}"#);
    for (file, wanted) in [
        (
            "tuple.json",
            r#"add "$schema": "http://json-schema.org/draft-07/schema#""#,
        ),
        (
            "near.json",
            r#"write "http://json-schema.org/draft-07/schema#""#,
        ),
        ("remote.json", "nothing is fetched"),
        ("missing.json", "none.json"),
        ("greek.json", r"write \p{Script=Greek}"),
    ] {
        let refused = project.run(&["schema", "validate", file]);
        assert_ne!(refused.status, 0, "{file}");
        assert!(
            refused.stderr.contains(wanted),
            "{file}: {}",
            refused.stderr
        );
    }
}
