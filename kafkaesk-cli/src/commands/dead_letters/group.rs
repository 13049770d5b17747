//! Selects the group: the named one, by its name in the configuration or in Kafka, or the only one that is configured.

use std::collections::BTreeSet;

use kafkaesk_client::{Connection, DeadLetters, settings::nearest};

use crate::{context::Context, errors::Usage};

/// How many groups an error names, at most.
const NAMED: usize = 20;

/// The dead letters of the group that is meant.
///
/// # Errors
/// [`Usage`] if no group is named and the configuration has several or none; an error with the nearest name for an
/// unknown group.
pub(super) async fn find(
    context: &Context,
    connection: &Connection,
    named: Option<&str>,
) -> anyhow::Result<DeadLetters> {
    let settings = connection.settings();
    let whole = |group: &str| format!("{}{group}", settings.group_prefix);
    let known = declared(context)?;
    let group = match named {
        Some(named) if known.contains(named) => whole(named),
        // As the worker's log and Kafka's own tools write it.
        Some(named) if known.iter().any(|group| whole(group) == named) => named.to_owned(),
        Some(named) => {
            let cluster = connection.broker().cluster().await?;
            let topics = cluster.topics.keys();
            let dead: BTreeSet<&str> = topics
                .filter_map(|topic| settings.topic_prefix.dead_group(topic))
                .collect();
            let found = [whole(named), named.to_owned()]
                .into_iter()
                .find(|group| dead.contains(group.as_str()));
            found.ok_or_else(|| unknown(named, &known, &dead, &settings.group_prefix))?
        }
        None => whole(only(&known)?),
    };
    Ok(DeadLetters::of(connection, &group)?)
}

/// The groups of the configuration and of the application, without the group prefix.
fn declared(context: &Context) -> anyhow::Result<BTreeSet<String>> {
    let declared = context.configuration()?.subscriptions.iter();
    let declared = declared.map(|subscription| subscription.group.clone());
    let own = context.app.subscriptions().iter();
    let own = own.filter_map(|subscription| subscription.group_name().map(str::to_owned));
    Ok(declared.chain(own).collect())
}

fn only(known: &BTreeSet<String>) -> Result<&str, Usage> {
    let mut groups = known.iter();
    match (groups.next(), groups.next()) {
        (Some(group), None) => Ok(group),
        (None, _) => Err(Usage(
            "no group is declared under [[subscriptions]]: name one, as in `dead-letters list GROUP`".into(),
        )),
        (Some(_), Some(_)) => Err(Usage(format!(
            "there are several groups, so name one: {}",
            list(known.iter().map(String::as_str))
        ))),
    }
}

fn unknown(
    named: &str,
    known: &BTreeSet<String>,
    dead: &BTreeSet<&str>,
    prefix: &str,
) -> anyhow::Error {
    let short = dead
        .iter()
        .map(|group| group.strip_prefix(prefix).unwrap_or(group));
    let all: BTreeSet<&str> = known.iter().map(String::as_str).chain(short).collect();
    let near = nearest(named, all.iter().copied());
    let near = near.map(|near| format!("; did you mean `{near}`?"));
    let others = match all.is_empty() {
        true => "there is no other group either".to_owned(),
        false => format!("known are: {}", list(all.iter().copied())),
    };
    anyhow::anyhow!(
        "group {named:?} is not declared under [[subscriptions]] and has no topic of dead letters (group prefix {prefix:?}); {others}{}",
        near.unwrap_or_default()
    )
}

fn list<'a>(groups: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = groups.len().saturating_sub(NAMED);
    let mut text = groups.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_group_need_not_be_named_and_several_are_listed() {
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(only(&of(&["a"])).unwrap(), "a");
        assert!(only(&of(&[])).unwrap_err().0.contains("[[subscriptions]]"));
        let several = only(&of(&["b", "a"])).unwrap_err().0;
        assert!(several.ends_with("a, b"), "{several}");
    }

    #[test]
    fn an_unknown_group_is_told_its_nearest_name() {
        let known = ["billing".to_owned()].into();
        let text = unknown("biling", &known, &["live.audit"].into(), "live.").to_string();
        assert!(text.contains("did you mean `billing`?"), "{text}");
        assert!(text.contains("audit, billing"), "{text}");
    }
}
