//! Laws of a validation that exceeds its budget.

use super::*;

/// Schemas whose keywords deny, count, choose, or apply twice, with data that breaks them.
const CASES: [(&str, &str); 9] = [
    (
        r##"{"anyOf": [{"type": "number"}, {"properties": {"a": {"$ref": "#"}}, "required": ["a", "b", "c"], "type": "object"}]}"##,
        r#"{"a":{"a":{"a":1,"b":1,"c":1},"b":1,"c":1},"b":1}"#,
    ),
    (
        r#"{"not": {"properties": {"a": {"items": {"type": "integer"}}}}}"#,
        r#"{"a":[1,2,3],"b":{"c":[]}}"#,
    ),
    (
        r#"{"properties": {"a": {"items": {"type": "string"}}}, "allOf": [{"not": {"required": ["z"]}}, {"oneOf": [{"required": ["a"]}, {"maxProperties": 0}]}]}"#,
        r#"{"a":[1,2,3]}"#,
    ),
    (
        r#"{"oneOf": [{"required": ["a"]}, {"required": ["b"]}, {"minProperties": 2}], "properties": {"a": {"const": [1, {"x": 2}]}}}"#,
        r#"{"a":[1,{"x":3}],"b":2}"#,
    ),
    (
        r#"{"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": {"required": ["b", "c"]}, "else": {"required": ["d", "e"]}}"#,
        r#"{"a":1,"b":2}"#,
    ),
    (
        r#"{"contains": {"type": "string"}, "minContains": 2, "uniqueItems": true, "prefixItems": [{"type": "null"}], "items": {"enum": [1, [2]]}}"#,
        r#"[1,[2],[2],"x",{"y":[[]]}]"#,
    ),
    (
        r#"{"allOf": [{"properties": {"a": true}}, {"patternProperties": {"^b": {"maxItems": 1}}}], "unevaluatedProperties": false}"#,
        r#"{"a":1,"b":[1,2],"c":{"d":1}}"#,
    ),
    (
        r#"{"prefixItems": [{"type": "array"}], "unevaluatedItems": {"type": "object"}}"#,
        r#"[1,2,{"a":1},[3]]"#,
    ),
    (
        r#"{"propertyNames": {"maxLength": 1}, "dependentSchemas": {"a": {"required": ["z"]}}, "additionalProperties": {"minProperties": 1}}"#,
        r#"{"a":{},"bb":{"c":1},"d":{}}"#,
    ),
];

#[test]
fn however_small_the_budget_no_verdict_is_wrong_and_no_violation_untrue() {
    for (schema, data) in CASES {
        let document = Document::parse(schema).unwrap();
        let validator = Validator::new(&document).unwrap();
        let (node, _) = parse_measured(data.as_bytes(), MAX_DATA_LEVELS).unwrap();
        let Err(InvalidData::Violations(all)) = validator.check(&node, budget(data.len()), 1)
        else {
            panic!("{data} fits {schema}");
        };
        assert!(all.iter().all(|violation| !violation.rule.is_empty()));
        let mut refused = 0;
        for few in 0..100 {
            match validator.check(&node, few, 1) {
                Err(InvalidData::TooManyWays { .. }) => refused += 1,
                Err(InvalidData::Violations(_)) => {}
                other => panic!("{few} steps for {data}: {other:?}"),
            }
            for found in validator.list(&node, few, 1) {
                assert!(
                    found.rule.is_empty() || all.contains(&found),
                    "{few} steps for {data}: {found}"
                );
            }
        }
        assert!((2..100).contains(&refused), "{refused}: {schema}");
    }
}
