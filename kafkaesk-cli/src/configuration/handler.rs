//! Reads a subscription's `handler` into exactly one checked kind of handler, or an error with file and line.

use std::collections::BTreeSet;

use kafkaesk_client::settings::{REDACTED, Section, Span, Texts, Whole};
use serde::{Deserialize, de::IgnoredAny};

use crate::handlers::{
    exec::{self, ExecSettings},
    http::{self, HttpSettings},
};

/// How long one message may take: from 1 ms to a day.
type Timeout = Span<1, 86_400_000>;
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
    /// Reads the table `handler` of a subscription, or `"stdout"`. `by_hand`: the subscription says `commit = "manual"`.
    pub(super) fn read(subscription: &Section, group: &str, by_hand: bool) -> anyhow::Result<Self> {
        let handler = Self::read_kind(subscription, group, by_hand)?;
        let instead = match &handler {
            Self::Exec(_) => return Ok(handler),
            _ if !by_hand => return Ok(handler),
            Self::Http(_) => "an http handler finishes its message with its answer",
            Self::Stdout { .. } => "a message is done once its line is written",
        };
        let problem = format!(
            "{instead}; leave `commit` out, or use an exec handler, which may answer at any time, or a Rust handler with a `Committer`"
        );
        Err(subscription.error("commit", problem).into())
    }

    fn read_kind(subscription: &Section, group: &str, by_hand: bool) -> anyhow::Result<Self> {
        match subscription.text("handler") {
            Some("stdout") => return Ok(Self::Stdout { group: false }),
            Some(_) => return Err(subscription
                .error("handler", "write \"stdout\", { http = \"http://…\" } or { exec = [\"python3\", \"audit.py\"] }")
                .into()),
            None => {}
        }
        let section = subscription.table("handler")?;
        let given: Vec<&str> = KINDS.into_iter().filter(|kind| section.has(kind)).collect();
        match given[..] {
            ["http"] => Ok(Self::Http(http(&section)?)),
            ["exec"] => Ok(Self::Exec(exec(&section, group, by_hand)?)),
            ["stdout"] => stdout(&section),
            [] => {
                // A misspelt kind is an unknown key, with the nearest of these.
                section.read::<Kinds>()?;
                Err(subscription.error("handler", one_of("none of them")).into())
            }
            _ => {
                let given = given.join(" and ");
                Err(subscription.error("handler", one_of(&given)).into())
            }
        }
    }

    /// The same handler, for batches.
    ///
    /// # Errors
    /// Why it takes none.
    pub(super) fn with_batches(self) -> Result<Self, &'static str> {
        match self {
            Self::Http(settings) => Ok(Self::Http(HttpSettings {
                batches: true,
                ..settings
            })),
            Self::Exec(_) => Err(
                "a child gets its messages one line at a time; raise `in-flight` of its handler, or use `commit = \"manual\"`, so that it may collect them",
            ),
            Self::Stdout { .. } => Err("standard output gets one line for each message"),
        }
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kinds {
    #[serde(rename = "http")]
    _http: Option<IgnoredAny>,
    #[serde(rename = "exec")]
    _exec: Option<IgnoredAny>,
    #[serde(rename = "stdout")]
    _stdout: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stdout {
    stdout: bool,
    #[serde(default)]
    group: bool,
}

fn stdout(section: &Section) -> anyhow::Result<HandlerSettings> {
    let written: Stdout = section.read()?;
    if !written.stdout {
        return Err(section.error("stdout", "write `stdout = true`").into());
    }
    Ok(HandlerSettings::Stdout {
        group: written.group,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    http: String,
    #[serde(default)]
    headers: Texts,
    ca: Option<String>,
    timeout: Option<Timeout>,
}

fn http(section: &Section) -> anyhow::Result<HttpSettings> {
    let written: Http = section.read()?;
    let url: reqwest::Url = written.http.parse().map_err(|e| {
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
    let headers = http::own_headers(&written.headers.0)
        .map_err(|problem| section.error("headers", problem))?;
    let trusted = written
        .ca
        .map_or(Ok(Vec::new()), |path| {
            http::certificates(&section.directory().join(path))
        })
        .map_err(|problem| section.error("ca", problem))?;
    let shown = section.shown("http");
    Ok(HttpSettings {
        // A URL from a file or a variable may be a secret as a whole.
        shown: if shown == REDACTED {
            shown
        } else {
            http::shown(&url)
        },
        url,
        timeout: written.timeout.map_or(http::DEFAULT_TIMEOUT, |span| span.0),
        headers,
        trusted,
        batches: false,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Exec {
    exec: Vec<String>,
    processes: Option<Whole<usize, 1, { exec::MAX_PROCESSES as i64 }>>,
    in_flight: Option<Whole<usize, 1, { exec::MAX_IN_FLIGHT as i64 }>>,
    #[serde(default)]
    env: Texts,
    timeout: Option<Timeout>,
}

fn exec(section: &Section, group: &str, by_hand: bool) -> anyhow::Result<ExecSettings> {
    let written: Exec = section.read()?;
    if written.exec.first().is_none_or(String::is_empty) {
        return Err(section
            .error(
                "exec",
                "it names no program; write it as a list such as [\"python3\", \"audit.py\"]",
            )
            .into());
    }
    let environment = written.env.0;
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
        command: written.exec,
        shown: section.shown("exec"),
        environment,
        withheld: BTreeSet::new(),
        processes: written.processes.map_or(1, |number| number.0),
        // One that answers at any time collects messages first.
        in_flight: match (written.in_flight, by_hand) {
            (Some(Whole(number)), _) => number,
            (None, true) => exec::MAX_IN_FLIGHT,
            (None, false) => 1,
        },
        timeout: written.timeout.map_or(exec::DEFAULT_TIMEOUT, |span| span.0),
        directory: section.directory(),
        group: group.to_owned(),
    })
}
