//! Input: `KAFKAESK_*` variables. Output: their values as text; the setting gives them a type. An unknown variable is a
//! warning, unless Kubernetes sets it for a Service named kafkaesk, or scripts use it for the path of a program.

use std::sync::Arc;

use figment::{Metadata, value::Dict};

use super::{
    Origin, SettingsError,
    context::Context,
    keys::{FILE_ONLY, KEYS, VARIABLE_PREFIX, variable_of},
    node::Node,
};
use crate::nearest;

/// Names the configuration file.
pub(super) const CONFIG: &str = "KAFKAESK_CONFIG";
/// Names the profile.
pub(super) const PROFILE: &str = "KAFKAESK_PROFILE";

pub(super) fn read(
    context: &Arc<Context>,
    warnings: &mut Vec<String>,
) -> Result<Node, SettingsError> {
    let mut table = Dict::new();
    let variables = || KEYS.iter().map(|key| (variable_of(key), *key));
    for name in context.variables.keys() {
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        match variables().find(|(variable, _)| variable == name) {
            Some((_, key)) if FILE_ONLY.contains(&key) => warnings.push(format!(
                "environment {name} is ignored: `{key}` can only be set in the configuration file"
            )),
            Some((_, key)) => {
                let text = context.variable(name)?.unwrap_or_default();
                table.insert(key.to_owned(), text.into());
            }
            None if is_of_others(name, rest) => {}
            None => {
                let known: Vec<_> = variables().map(|(variable, _)| variable).collect();
                let near = nearest(name, known.iter().map(String::as_str))
                    .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                warnings.push(format!(
                    "unknown environment variable {name} is ignored{near}"
                ));
            }
        }
    }
    let place = |key: &&str| Origin::environment(&variable_of(key)).to_string();
    let layer = Metadata::named("environment")
        .interpolater(move |_, keys| keys.first().map(place).unwrap_or_default());
    Ok(Node::root(context, layer, table))
}

/// Whether scripts use such a name for a program or its path: `KAFKAESK_CLI`, `KAFKAESK_BIN_DIR`. No setting ends with
/// these words.
fn names_a_program(rest: &str) -> bool {
    const ENDS: [&str; 12] = [
        "CLI", "BIN", "BINARY", "EXE", "PROGRAM", "PATH", "DIR", "HOME", "ROOT", "IMAGE",
        "VERSION", "TAG",
    ];
    let end = rest.rsplit('_').next().unwrap_or_default();
    ENDS.contains(&end)
}

/// Kubernetes' service links (`…_SERVICE_HOST`, `…_PORT_9092_TCP_ADDR`, …, for the Service kafkaesk and for any whose
/// name begins with it), variables of the tests, and those that are read elsewhere.
fn is_of_others(name: &str, rest: &str) -> bool {
    let service_link = rest == "PORT"
        || rest.ends_with("_PORT")
        || rest.starts_with("PORT_")
        || rest.contains("_PORT_")
        || rest.starts_with("SERVICE_")
        || rest.ends_with("_SERVICE_HOST");
    service_link
        || rest.starts_with("TEST_")
        || name == CONFIG
        || name == PROFILE
        || names_a_program(rest)
}
