//! In-place depth: bounds the chain of schemas that apply to the same value, since each takes stack.
//!
//! The nesting of the data bounds the steps into it. Steps at the same value are bounded only by the schema, and a
//! `$ref` that leads back to itself at the same value never ends.

use crate::{
    DocumentError,
    keywords::is_in_place,
    references::{Schema, Schemas},
};
use serde_json::Value;

/// The longest chain of schemas that may apply to one value.
pub(crate) const MAX_STEPS: usize = 200;

/// The largest number of schemas that may apply to one value, each counted as often as it is reached. If each schema of
/// a chain has two references to the next one, the number doubles with each link.
pub(crate) const MAX_WORK: u64 = 100_000;

/// The cost of applying a schema to one value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InPlaceCost {
    /// The length of the longest chain of schemas.
    pub(crate) steps: usize,
    /// The number of schemas that apply, each counted as often as it is reached.
    pub(crate) work: u64,
}

/// The longest chain and the most work at one value. Refuses a cycle, a chain longer than [`MAX_STEPS`], and more work
/// than [`MAX_WORK`].
pub(crate) fn most(schemas: &Schemas<'_>) -> Result<InPlaceCost, DocumentError> {
    let mut ways = Ways {
        schemas,
        states: vec![State::Unknown; schemas.all.len()],
    };
    let mut most = InPlaceCost::default();
    for number in 0..schemas.all.len() {
        let (steps, work) = ways.from(number, 0)?;
        most.steps = most.steps.max(steps);
        most.work = most.work.max(work);
    }
    Ok(most)
}

#[derive(Clone, Copy)]
enum State {
    Unknown,
    /// On the way that is being followed.
    Open,
    Known {
        steps: usize,
        work: u64,
    },
}

struct Ways<'s, 'd> {
    schemas: &'s Schemas<'d>,
    states: Vec<State>,
}

impl Ways<'_, '_> {
    /// The longest chain from here, and the number of schemas that are reached.
    fn from(&mut self, number: usize, depth: usize) -> Result<(usize, u64), DocumentError> {
        let schema = &self.schemas.all[number];
        match self.states[number] {
            State::Known { steps, work } => return Ok((steps, work)),
            State::Open => return Err(endless(schema, "it leads back to itself".to_owned())),
            State::Unknown if depth > MAX_STEPS => return Err(too_long(schema)),
            State::Unknown => {}
        }
        self.states[number] = State::Open;
        let (mut longest, mut work) = (0, 1_u64);
        for next in self.next(schema) {
            let (steps, more) = self.from(next, depth + 1)?;
            longest = longest.max(1 + steps);
            work = work.saturating_add(more);
        }
        // A dynamic reference does not prove a cycle: see below.
        for reference in schema.references.iter().filter(|it| !it.is_static()) {
            if let Some(target) = reference.target
                && !matches!(self.states[target], State::Open)
            {
                let (steps, more) = self.from(target, depth + 1)?;
                longest = longest.max(1 + steps);
                work = work.saturating_add(more);
            }
        }
        if longest > MAX_STEPS {
            return Err(too_long(schema));
        }
        if work > MAX_WORK {
            return Err(endless(
                schema,
                format!(
                    "more than {MAX_WORK} schemas apply to one value, counted as often as they are reached"
                ),
            ));
        }
        self.states[number] = State::Known {
            steps: longest,
            work,
        };
        Ok((longest, work))
    }

    /// The schemas that certainly apply to the same value next.
    fn next(&self, schema: &Schema<'_>) -> Vec<usize> {
        let mut next: Vec<usize> = schema
            .references
            .iter()
            .filter(|reference| reference.is_static())
            .filter_map(|reference| reference.target)
            .collect();
        if schema.replaced {
            return next;
        }
        for (keyword, value) in schema.members {
            if !is_in_place(keyword) {
                continue;
            }
            let inside: Vec<&Value> = match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(members) if keyword.starts_with("depend") => {
                    members.values().collect()
                }
                schema => vec![schema],
            };
            next.extend(
                inside
                    .into_iter()
                    .filter_map(|value| self.schemas.number_of(value)),
            );
        }
        next
    }
}

fn too_long(schema: &Schema<'_>) -> DocumentError {
    let reason =
        format!("more than {MAX_STEPS} schemas apply to one value, each by the one before");
    endless(schema, reason)
}

fn endless(schema: &Schema<'_>, reason: String) -> DocumentError {
    DocumentError::Endless {
        pointer: schema.pointer.clone(),
        reason,
    }
}
