//! Portable documents. Input: a document with look-around. Output: an equal one in the contract's dialect.
//!
//! Look-around is outside the contract, since linear-time engines lack it. But generators write it, and a user may not
//! be able to change a schema. An expression is refused if no equal form can be proved. Nothing else is changed.

mod rewrite;
mod syntax;

use thiserror::Error;

use crate::{
    Document, DocumentError,
    bundle::walk,
    document::MAX_DOCUMENT_LEVELS,
    draft,
    expression::{At, Expressions},
    json::{Tree, parse, push_segment},
    keywords::SchemaPosition,
};
use rewrite::Test;

/// Why a document cannot be made portable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortableError {
    /// An expression for which no equal form without look-around could be proved.
    #[error("{pointer}: the regular expression {pattern:?} cannot be rewritten: {reason}")]
    Pattern {
        /// JSON pointer of the expression.
        pointer: String,
        /// The expression.
        pattern: String,
        /// What cannot be rewritten.
        reason: String,
    },
    /// The result is not a document.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// One expression, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// JSON pointer of the expression.
    pub pointer: String,
    /// The expression.
    pub before: String,
    /// Its replacement, as JSON Schema on one line.
    pub after: String,
}

/// Returns a document without look-around that accepts exactly the same data, and the list of changes. A document
/// without look-around is returned unchanged.
///
/// # Errors
/// [`PortableError::Pattern`] for the first expression that cannot be proved equal to anything without look-around.
pub fn portable(document: &Document) -> Result<(Document, Vec<Rewritten>), PortableError> {
    let node =
        parse(document.bytes(), MAX_DOCUMENT_LEVELS).map_err(|malformed| DocumentError::Json {
            message: malformed.message,
            at: malformed.at,
        })?;
    let mut tree = Tree::of(&node);
    let traits = Traits {
        ignores_siblings: match tree.get_text("$schema") {
            Some(dialect) => draft::of_uri(&dialect.into(), "")? <= jsonschema::Draft::Draft7,
            None => false,
        },
        goes_by_evaluated: document
            .bytes()
            .windows(UNEVALUATED.len())
            .any(|window| window == UNEVALUATED),
    };
    let (mut all, mut failed) = (Vec::new(), None);
    walk(
        &mut tree,
        SchemaPosition::Schema,
        &mut String::new(),
        &mut |schema, pointer| {
            if failed.is_none() {
                failed = in_schema(schema, pointer, &traits, &mut all).err();
            }
        },
    );
    if let Some(error) = failed {
        return Err(error);
    }
    if all.is_empty() {
        return Ok((document.clone(), all));
    }
    Ok((Document::parse(tree.to_text())?, all))
}

/// Whether an expression has look-around, or may have it: an expression that cannot be parsed does not count as
/// portable.
fn has_look(expression: &str) -> bool {
    let looks = ["(?=", "(?!", "(?<=", "(?<!"];
    looks.iter().any(|look| expression.contains(look))
        && syntax::parse(expression).map_or(true, |all| all.iter().flatten().any(syntax::has_look))
}

const UNEVALUATED: &[u8] = b"unevaluatedProperties";

/// What holds for a whole document.
struct Traits {
    /// Whatever stands beside `$ref` is ignored.
    ignores_siblings: bool,
    /// Some schema depends on which members others have evaluated.
    goes_by_evaluated: bool,
}

fn in_schema(
    schema: &mut Tree,
    pointer: &str,
    traits: &Traits,
    all: &mut Vec<Rewritten>,
) -> Result<(), PortableError> {
    if let Some(pattern) = schema.get_text("pattern").filter(|it| has_look(it)) {
        let (pattern, at) = (pattern.to_owned(), format!("{pointer}/pattern"));
        if traits.ignores_siblings && schema.get("$ref").is_some() {
            schema.remove("pattern");
            all.push(rewritten(at, pattern, &Tree::Object(Vec::new())));
            return Ok(());
        }
        let test = proved(&pattern, &at)?;
        all.push(rewritten(at, pattern, &written(&test)));
        put(schema, test);
    }
    let Some(Tree::Object(patterns)) = schema.get("patternProperties") else {
        return Ok(());
    };
    let names = patterns.iter().map(|(name, _)| name);
    let names: Vec<String> = names.filter(|name| has_look(name)).cloned().collect();
    for name in names {
        let mut at = format!("{pointer}/patternProperties");
        push_segment(&mut at, &name);
        let refused = |reason: &str| PortableError::Pattern {
            pointer: at.clone(),
            pattern: name.clone(),
            reason: reason.to_owned(),
        };
        // Which names count as evaluated would change.
        if schema.get("additionalProperties").is_some() || traits.goes_by_evaluated {
            return Err(refused(
                "additionalProperties or unevaluatedProperties go by the names that it matches",
            ));
        }
        let conditions = names_of(proved(&name, &at)?).ok_or_else(|| {
            refused("names that must match one expression and not another have no keyword")
        })?;
        let Some(value) = without_name(schema, &name) else {
            continue;
        };
        let conditions: Vec<Tree> = conditions
            .into_iter()
            .map(|(expression, negative)| {
                let empty = Tree::Object(Vec::new());
                match negative {
                    true => Tree::object([
                        ("patternProperties", Tree::Object(vec![(expression, empty)])),
                        ("additionalProperties", value.clone()),
                    ]),
                    false => Tree::object([(
                        "patternProperties",
                        Tree::Object(vec![(expression, value.clone())]),
                    )]),
                }
            })
            .collect();
        let shown = Tree::object([("allOf", Tree::Array(conditions.clone()))]);
        all.push(rewritten(at, name, &shown));
        extend(schema, conditions);
    }
    Ok(())
}

fn rewritten(pointer: String, before: String, after: &Tree) -> Rewritten {
    Rewritten {
        pointer,
        before,
        after: after.to_line(),
    }
}

fn proved(pattern: &str, pointer: &str) -> Result<Test, PortableError> {
    let refused = |reason| PortableError::Pattern {
        pointer: pointer.to_owned(),
        pattern: pattern.to_owned(),
        reason,
    };
    let test = rewrite::rewrite(pattern).map_err(refused)?;
    check(&test, &mut Expressions::default()).map_err(refused)?;
    Ok(test)
}

/// Every resulting expression is within the contract's dialect.
fn check(test: &Test, expressions: &mut Expressions) -> Result<(), String> {
    match test {
        Test::Always => Ok(()),
        Test::Found(expression) => expressions.take(expression, At::Pattern),
        Test::All(all) | Test::Any(all) => all.iter().try_for_each(|it| check(it, expressions)),
        Test::Not(inside) => check(inside, expressions),
    }
}

/// Selects names: those in which one of these expressions is found, or in which one is not.
fn names_of(test: Test) -> Option<Vec<(String, bool)>> {
    match test {
        Test::Always => Some(vec![(String::new(), false)]),
        Test::Found(expression) => Some(vec![(expression, false)]),
        Test::Not(inside) => match *inside {
            Test::Found(expression) => Some(vec![(expression, true)]),
            _ => None,
        },
        Test::Any(all) => {
            let all: Option<Vec<_>> = all.into_iter().map(names_of).collect();
            all.map(|all| all.into_iter().flatten().collect())
        }
        Test::All(_) => None,
    }
}

fn without_name(schema: &mut Tree, name: &str) -> Option<Tree> {
    let mut patterns = schema.remove("patternProperties")?;
    let value = patterns.remove(name);
    if patterns != Tree::Object(Vec::new()) {
        schema.set("patternProperties", patterns);
    }
    value
}

/// Replaces a schema's `pattern` with a condition.
fn put(schema: &mut Tree, test: Test) {
    let mut conditions = match test {
        Test::All(all) => all,
        other => vec![other],
    };
    let found = conditions
        .iter()
        .position(|it| matches!(it, Test::Found(_)));
    match found.map(|at| conditions.remove(at)) {
        Some(Test::Found(expression)) => schema.set("pattern", Tree::text(expression)),
        _ => {
            schema.remove("pattern");
        }
    }
    let conditions = conditions.iter().filter(|it| **it != Test::Always);
    extend(schema, conditions.map(written).collect());
}

fn extend(schema: &mut Tree, conditions: Vec<Tree>) {
    if conditions.is_empty() {
        return;
    }
    let mut all = match schema.remove("allOf") {
        Some(Tree::Array(all)) => all,
        // Not valid, and it stays so.
        Some(other) => vec![other],
        None => Vec::new(),
    };
    all.extend(conditions);
    schema.set("allOf", Tree::Array(all));
}

/// A condition as a schema, which refuses only strings.
fn written(test: &Test) -> Tree {
    let list = |all: &[Test]| Tree::Array(all.iter().map(written).collect());
    match test {
        Test::Always => Tree::Object(Vec::new()),
        Test::Found(expression) => Tree::object([("pattern", Tree::text(expression))]),
        Test::All(all) => Tree::object([("allOf", list(all))]),
        Test::Any(all) => Tree::object([("anyOf", list(all))]),
        Test::Not(inside) => {
            // A value that is not a string matches every pattern, and must not be refused for it.
            let mut inside = written(inside);
            if let Tree::Object(members) = &mut inside {
                members.insert(0, ("type".to_owned(), Tree::text("string")));
            }
            Tree::object([("not", inside)])
        }
    }
}
