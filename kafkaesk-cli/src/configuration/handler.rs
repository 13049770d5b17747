//! Reads a subscription's `handler` into exactly one checked kind of handler, or an error with file and line.

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use kafkaesk_client::settings::{REDACTED, Section};

use crate::handlers::{
    exec::{self, ExecSettings},
    http::{self, HttpSettings},
};

/// How long one message may take: bounds of `timeout`.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
/// The kinds, in the order that messages name them.
const KINDS: [&str; 3] = ["http", "exec", "stdout"];

/// What a subscription's messages go to.
#[derive(Clone, Debug)]
pub(crate) enum HandlerSettings {
    /// One POST for each message.
    Http(HttpSettings),
    /// One line to a child process for each message.
    Exec(ExecSettings),
    /// One line of standard output for each message.
    Stdout {
        /// Whether the line says the group and the attempt.
        group: bool,
    },
}

impl HandlerSettings {
    /// Reads the table `handler` of a subscription, or `"stdout"`.
    pub(super) fn read(subscription: &mut Section, group: &str) -> anyhow::Result<Self> {
        if subscription.is_text("handler") {
            return match subscription.required_text("handler")?.as_str() {
                "stdout" => Ok(Self::Stdout { group: false }),
                _ => Err(subscription
                    .error("handler", "write \"stdout\", { http = \"http://…\" } or { exec = [\"python3\", \"audit.py\"] }")
                    .into()),
            };
        }
        let mut section = subscription
            .table("handler")?
            .ok_or_else(|| subscription.missing("handler"))?;
        let given: Vec<&str> = KINDS.into_iter().filter(|kind| section.has(kind)).collect();
        if given.is_empty() {
            // Asked for, so that a misspelt kind is an unknown key with the nearest of these.
            for kind in KINDS {
                section.text(kind)?;
            }
            section.finish()?;
            return Err(subscription.error("handler", one_of("none of them")).into());
        }
        let [kind] = given[..] else {
            return Err(subscription
                .error("handler", one_of(&given.join(" and ")))
                .into());
        };
        let handler = match kind {
            "http" => Self::Http(http(&mut section)?),
            "exec" => Self::Exec(exec(&mut section, group)?),
            _ => {
                if section.boolean("stdout")? != Some(true) {
                    return Err(section.error("stdout", "write `stdout = true`").into());
                }
                Self::Stdout {
                    group: section.boolean("group")?.unwrap_or(false),
                }
            }
        };
        section.finish()?;
        Ok(handler)
    }

    /// How many messages at a time this handler has room for, where that is more than a subscription's default.
    pub(super) fn concurrency(&self) -> Option<u32> {
        const DEFAULT: usize = 32;
        match self {
            Self::Exec(settings) => {
                let places = settings.processes * settings.in_flight;
                (places > DEFAULT).then(|| u32::try_from(places.min(100_000)).unwrap_or(100_000))
            }
            _ => None,
        }
    }

    /// For people: `http://127.0.0.1:8080/orders`, `python3 audit.py`, `stdout`.
    pub(crate) fn shown(&self) -> &str {
        match self {
            Self::Http(settings) => &settings.shown,
            Self::Exec(settings) => &settings.shown,
            Self::Stdout { .. } => "stdout",
        }
    }
}

fn one_of(given: &str) -> String {
    format!(
        "a handler has exactly one of {}; it has {given}",
        KINDS.join(", ")
    )
}

fn http(section: &mut Section) -> anyhow::Result<HttpSettings> {
    let shown = section.shown("http");
    let text = section.required_text("http")?;
    let url: reqwest::Url = text.parse().map_err(|e| {
        section.error(
            "http",
            format!("this is not a URL such as http://127.0.0.1:8080/orders: {e}"),
        )
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(section
            .error("http", "the URL must begin with http: or https:")
            .into());
    }
    let headers = section.text_map("headers")?.unwrap_or_default();
    let headers =
        http::own_headers(&headers).map_err(|problem| section.error("headers", problem))?;
    let trusted = section
        .path("ca")?
        .map_or(Ok(Vec::new()), |path| http::certificates(&path))
        .map_err(|problem| section.error("ca", problem))?;
    Ok(HttpSettings {
        // A URL from a file or a variable may be a secret as a whole.
        shown: if shown == REDACTED {
            shown
        } else {
            http::shown(&url)
        },
        url,
        timeout: section
            .span("timeout", TIMEOUT)?
            .unwrap_or(http::DEFAULT_TIMEOUT),
        headers,
        trusted,
    })
}

fn exec(section: &mut Section, group: &str) -> anyhow::Result<ExecSettings> {
    let shown = section.shown("exec");
    let command = section.texts("exec")?.unwrap_or_default();
    if command.first().is_none_or(String::is_empty) {
        return Err(section
            .error(
                "exec",
                "it names no program; write it as a list such as [\"python3\", \"audit.py\"]",
            )
            .into());
    }
    let processes = section.integer("processes", 1..=exec::MAX_PROCESSES as i64)?;
    let in_flight = section.integer("in-flight", 1..=exec::MAX_IN_FLIGHT as i64)?;
    let environment = section.text_map("env")?.unwrap_or_default();
    if let Some((name, _)) = environment
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
    {
        return Err(section
            .error(
                "env",
                format!("{name:?} cannot be set: a name is not empty and without `=`, and neither name nor value holds NUL"),
            )
            .into());
    }
    Ok(ExecSettings {
        command,
        shown,
        environment,
        withheld: BTreeSet::new(),
        processes: processes.map_or(1, |n| n as usize),
        in_flight: in_flight.map_or(1, |n| n as usize),
        timeout: section
            .span("timeout", TIMEOUT)?
            .unwrap_or(exec::DEFAULT_TIMEOUT),
        directory: section.directory(),
        group: group.to_owned(),
    })
}
