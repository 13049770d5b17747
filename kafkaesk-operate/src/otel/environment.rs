//! Environment: the standard `OTEL_*` variables that the SDK does not read itself: whether spans are wanted, where they go, and
//! how they are batched.

use std::time::Duration;

use kafkaesk_client::settings::{OperateSettings, without_secrets};

/// The path of traces behind a collector's address.
const PATH: &str = "/v1/traces";
/// What the variables' standard says.
const QUEUE: usize = 2_048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// How spans wait and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batches {
    /// The most spans that wait.
    pub(super) queue: usize,
    /// The most spans of one request.
    pub(super) size: usize,
    /// How long a span waits for others.
    pub(super) delay: Duration,
}

/// Where spans go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The whole URL.
    pub(super) url: String,
    /// How long one request may take.
    pub(super) timeout: Duration,
    pub(super) batches: Batches,
}

impl Target {
    /// For messages.
    pub(super) fn shown(&self) -> String {
        without_secrets(&self.url)
    }
}

/// The target of these settings and variables; `None` if spans are not wanted.
pub(super) fn target(
    settings: &OperateSettings,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<Target> {
    // An empty variable counts as absent, by the standard.
    let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none");
    if is_off {
        return None;
    }
    let own = settings.otel_endpoint.as_deref().map(with_path);
    let url = own
        .or_else(|| variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(|| {
            let base = variable("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(format!("{}{PATH}", base.trim_end_matches('/')))
        })?;
    let read = |number: &Number| number.read(&variable(number.name)?);
    let size = |number: &Number, default: usize| {
        let given = read(number).and_then(|it| usize::try_from(it).ok());
        given.unwrap_or(default)
    };
    let millis = |number: &Number| read(number).map(Duration::from_millis);
    let queue = size(&MAX_QUEUE_SIZE, QUEUE);
    Some(Target {
        url,
        timeout: millis(&TRACES_TIMEOUT)
            .or_else(|| millis(&COMMON_TIMEOUT))
            .unwrap_or(TIMEOUT),
        batches: Batches {
            queue,
            size: size(&MAX_BATCH_SIZE, BATCH).min(queue),
            delay: millis(&SCHEDULE_DELAY).unwrap_or(DELAY),
        },
    })
}

/// Samplers that the SDK knows. It takes any other word, or a ratio that is missing, for `parentbased_always_on`.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// A variable that is a whole number.
struct Number {
    name: &'static str,
    least: u64,
}

impl Number {
    /// `None` for a text that is not a number, or a smaller one.
    fn read(&self, text: &str) -> Option<u64> {
        let number = text.trim().parse().ok();
        number.filter(|it| *it >= self.least)
    }
}

const MAX_QUEUE_SIZE: Number = Number {
    name: "OTEL_BSP_MAX_QUEUE_SIZE",
    least: 1,
};
const MAX_BATCH_SIZE: Number = Number {
    name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    least: 1,
};
const SCHEDULE_DELAY: Number = Number {
    name: "OTEL_BSP_SCHEDULE_DELAY",
    least: 0,
};
const TRACES_TIMEOUT: Number = Number {
    name: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    least: 0,
};
const COMMON_TIMEOUT: Number = Number {
    name: "OTEL_EXPORTER_OTLP_TIMEOUT",
    least: 0,
};

/// What variables ask for and do not get.
pub(super) fn problems(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let mut problems = Vec::new();
    if let Some(sampler) = variable("OTEL_TRACES_SAMPLER") {
        let ratio = variable("OTEL_TRACES_SAMPLER_ARG").and_then(|it| it.parse::<f64>().ok());
        if !SAMPLERS.contains(&sampler.as_str()) {
            problems.push(format!(
                "OTEL_TRACES_SAMPLER={sampler:?} is not one of {}; every trace is sampled unless its parent is not",
                SAMPLERS.join(", ")
            ));
        } else if sampler.ends_with("ratio") && !ratio.is_some_and(|it| (0.0..=1.0).contains(&it)) {
            problems.push(format!(
                "OTEL_TRACES_SAMPLER={sampler} needs OTEL_TRACES_SAMPLER_ARG, a number from 0 to 1; every trace is sampled"
            ));
        }
    }
    for number in [
        MAX_QUEUE_SIZE,
        MAX_BATCH_SIZE,
        SCHEDULE_DELAY,
        TRACES_TIMEOUT,
        COMMON_TIMEOUT,
    ] {
        if let Some(value) = variable(number.name)
            && number.read(&value).is_none()
        {
            let Number { name, least } = number;
            problems.push(format!(
                "{name}={value:?} is not a whole number from {least} up; its default holds"
            ));
        }
    }
    let protocol = variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
    if let Some(protocol) = protocol.filter(|it| it != "http/protobuf") {
        problems.push(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL={protocol:?} is not spoken here; spans are sent as http/protobuf, to the collector's port for HTTP (4318 by default)"
        ));
    }
    problems
}

/// A collector's address alone is completed; a URL with a path is taken as it is.
fn with_path(endpoint: &str) -> String {
    let authority = endpoint.find("://").map_or(0, |at| at + 3);
    match endpoint[authority..].find(['/', '?']) {
        None => format!("{endpoint}{PATH}"),
        Some(at) if &endpoint[authority + at..] == "/" => {
            format!("{}{PATH}", endpoint.trim_end_matches('/'))
        }
        Some(_) => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Option<Target> {
        let mut settings = OperateSettings::default();
        settings.otel_endpoint = endpoint.map(str::to_owned);
        target(&settings, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn url(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Option<String> {
        of(endpoint, variables).map(|target| target.url)
    }

    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    #[test]
    fn the_setting_beats_the_variable_of_traces_and_that_one_the_common_variable() {
        let (base, whole) = ((BASE, "http://b:4318/"), (WHOLE, "http://w:1/x"));
        assert_eq!(url(None, &[]), None);
        assert_eq!(url(None, &[base]).unwrap(), "http://b:4318/v1/traces");
        assert_eq!(url(None, &[base, whole]).unwrap(), "http://w:1/x");
        let own = url(Some("https://o"), &[base, whole]);
        assert_eq!(own.unwrap(), "https://o/v1/traces");
    }

    #[test]
    fn an_address_alone_is_completed_and_a_path_is_kept() {
        for (given, expected) in [
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("http://c/otlp/v1/traces", "http://c/otlp/v1/traces"),
            ("http://c/?tenant=1", "http://c/?tenant=1"),
        ] {
            assert_eq!(url(Some(given), &[]).unwrap(), expected);
        }
    }

    #[test]
    fn what_switches_off_beats_everything_and_an_empty_variable_counts_for_nothing() {
        let own = Some("http://o");
        assert_eq!(of(own, &[("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(of(own, &[("OTEL_TRACES_EXPORTER", "none")]), None);
        assert!(of(own, &[("OTEL_SDK_DISABLED", "false")]).is_some());
        assert_eq!(of(None, &[(BASE, " "), (WHOLE, "")]), None);
    }

    #[test]
    fn what_a_variable_asks_for_and_does_not_get_is_said() {
        let of = |variables: &[(&str, &str)]| {
            let found = problems(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            found.len()
        };
        let sampler = "OTEL_TRACES_SAMPLER";
        let ratio = (sampler, "parentbased_traceidratio");
        let argument = "OTEL_TRACES_SAMPLER_ARG";
        let protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";
        assert_eq!(of(&[]), 0);
        assert_eq!(
            of(&[(sampler, "always_off"), (protocol, "http/protobuf")]),
            0
        );
        assert_eq!(of(&[ratio, (argument, "0.01")]), 0);
        assert_eq!(of(&[ratio]) + of(&[ratio, (argument, "2")]), 2);
        assert_eq!(of(&[(sampler, "sometimes"), (protocol, "grpc")]), 2);
        let (queue, delay) = ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY");
        assert_eq!(of(&[(queue, "1"), (delay, "0")]), 0);
        assert_eq!(of(&[(queue, "0"), (delay, "5s")]), 2);
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue_and_nonsense_counts_for_nothing() {
        let variables = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ];
        let target = of(Some("http://o"), &variables).unwrap();
        let expected = Batches {
            queue: 100,
            size: 100,
            delay: Duration::from_millis(250),
        };
        assert_eq!((target.batches, target.timeout), (expected, TIMEOUT));
        let default = of(Some("http://o"), &[("OTEL_BSP_MAX_QUEUE_SIZE", "0")]).unwrap();
        assert_eq!(
            (default.batches.queue, default.batches.size),
            (QUEUE, BATCH)
        );
    }
}
