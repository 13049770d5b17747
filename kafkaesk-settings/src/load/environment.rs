//! Reads `KAFKAESK_*` variables into a layer: values as text, typed by the setting later. An unknown variable is a
//! warning, unless Kubernetes sets it for a Service named kafkaesk, or scripts call a program so.

use std::sync::Arc;

use super::{
    Origin, SettingsError,
    context::Context,
    error::hint,
    keys::{FILE_ONLY, KEYS, VARIABLE_PREFIX, variable_of},
    layers::Layer,
    value::{Data, Value},
};

/// Which configuration file.
pub(super) const CONFIG: &str = "KAFKAESK_CONFIG";
/// Which profile.
pub(super) const PROFILE: &str = "KAFKAESK_PROFILE";

pub(super) fn read(
    context: &Arc<Context>,
    warnings: &mut Vec<String>,
) -> Result<Layer, SettingsError> {
    let mut layer = Layer::default();
    for name in context.variables.keys() {
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        if let Some(key) = KEYS.iter().find(|key| variable_of(key) == *name) {
            if FILE_ONLY.contains(key) {
                warnings.push(format!(
                    "environment {name} is ignored: `{key}` can only be set in the configuration file"
                ));
                continue;
            }
            let Some(text) = context.variable(name)? else {
                continue;
            };
            let origin = Origin::Environment(name.as_str().into());
            let value = Value::new(Data::Untyped(text.to_owned()), origin);
            layer.set(context, key, value)?;
        } else if !is_of_others(name, rest) {
            let known: Vec<String> = KEYS.iter().map(|key| variable_of(key)).collect();
            let near = hint(name, known.iter().map(String::as_str));
            let near = if near.starts_with("; did") {
                near
            } else {
                String::new()
            };
            warnings.push(format!(
                "unknown environment variable {name} is ignored{near}"
            ));
        }
    }
    Ok(layer)
}

/// Whether scripts call a program or its place so: `KAFKAESK_CLI`, `KAFKAESK_BIN_DIR`. No setting of ours ends so.
fn names_a_program(rest: &str) -> bool {
    const ENDS: [&str; 12] = [
        "CLI", "BIN", "BINARY", "EXE", "PROGRAM", "PATH", "DIR", "HOME", "ROOT", "IMAGE",
        "VERSION", "TAG",
    ];
    let end = rest.rsplit('_').next().unwrap_or_default();
    ENDS.contains(&end)
}

/// Kubernetes' service links (`…_SERVICE_HOST`, `…_PORT_9092_TCP_ADDR`, …, for the Service kafkaesk and for any whose
/// name begins so), the tests' own variables, and those that are read elsewhere.
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
