//! The context of every client: keeps the last reason that librdkafka gave, logs its lines, and answers its token requests.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, Statistics,
    client::{Client, OAuthToken},
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    librdkafka_log::{self, Fate},
    oauth::TokenSource,
};
use crate::{
    ClientError, Settings,
    meter::{ActionKind, Actions, Published},
};

/// The same line is written again only after this long.
const REPEAT: Duration = Duration::from_secs(30);
/// An outage is written of again when it is this old, and then each time it is twice as old.
const STILL: Duration = Duration::from_secs(60);
/// At most this many different lines are remembered for that.
const REMEMBERED: usize = 64;
/// How long a broker that refused a connection may take to accept another one.
const PROBE: Duration = Duration::from_millis(500);

/// An outage, for the log.
struct Away {
    since: Instant,
    /// How old it is when it is written of the next time.
    next: Duration,
}

impl Away {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            next: STILL,
        }
    }

    /// Its age, if it is time to write of it.
    fn due(&mut self) -> Option<Duration> {
        let age = self.since.elapsed();
        if age < self.next {
            return None;
        }
        while self.next <= age {
            self.next *= 2;
        }
        Some(age)
    }
}

/// Whole seconds, for a person.
fn round(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}

/// What the clients of one connection share.
#[derive(Default)]
pub(super) struct Shared {
    /// The brokers as configured, for the log.
    servers: String,
    /// Why the brokers cannot be reached, in librdkafka's words.
    reason: Mutex<Option<String>>,
    /// The brokers' message for refused credentials.
    refused: Mutex<Option<String>>,
    /// Connected once: a later loss is logged, not returned as a start-up error.
    connected: AtomicBool,
    /// No broker answers: `away` says since when. Asked for each delivered record, so without a lock.
    down: AtomicBool,
    away: Mutex<Option<Away>>,
    /// A broker answered since `heard_at` was set.
    heard: AtomicBool,
    /// When a broker last answered.
    heard_at: Mutex<Option<Instant>>,
    /// Questions to the brokers.
    pub(super) actions: Actions,
    /// How many bytes wait in the producers' queue, for the log.
    pub(super) queued: OnceLock<Box<dyn Fn() -> usize + Send + Sync>>,
    /// The connection was closed: its last threads do not log the loss of brokers.
    closed: AtomicBool,
    /// Lines written lately.
    lines: Mutex<HashMap<String, Instant>>,
    /// Fetches OAUTHBEARER tokens, if that is how we log in.
    pub(super) tokens: Option<TokenSource>,
}

impl Shared {
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        Ok(Self {
            servers: settings.kafka_servers.join(","),
            tokens: TokenSource::of(settings)?,
            ..Self::default()
        })
    }

    /// The last reason that librdkafka gave for a failing connection.
    pub(super) fn reason(&self) -> Option<String> {
        self.reason.lock().clone()
    }

    /// As [`Self::reason`], but checked first. A broker that refused connections and then accepts them without
    /// answering gives no new reason for ten seconds. librdkafka repeats an equal reason only every 30 s, so its age
    /// says nothing. Blocks for [`PROBE`] at most.
    pub(super) fn current_reason(&self) -> Option<String> {
        let reason = self.reason()?;
        match refused_address(&reason) {
            Some(address) if TcpStream::connect_timeout(&address, PROBE).is_ok() => Some(format!(
                "{address} refused connections at first and accepts them now, but does not answer as a broker yet"
            )),
            _ => Some(reason),
        }
    }

    /// Why the brokers refused our credentials, if they did.
    pub(super) fn refused(&self) -> Option<String> {
        self.refused.lock().clone()
    }

    /// A broker answered: earlier reasons are obsolete.
    pub(super) fn answered(&self) {
        self.connected.store(true, Ordering::Relaxed);
        self.heard.store(true, Ordering::Relaxed);
        self.back();
        *self.reason.lock() = None;
        *self.refused.lock() = None;
    }

    /// A broker took something: a program that only publishes learns by this alone that the brokers are back. Called for each
    /// delivered record, so without a lock or a clock.
    pub(super) fn heard(&self) {
        if !self.heard.load(Ordering::Relaxed) {
            self.heard.store(true, Ordering::Relaxed);
        }
        if self.down.load(Ordering::Relaxed) {
            self.answered();
        }
    }

    fn back(&self) {
        if self.down.swap(false, Ordering::Relaxed)
            && let Some(away) = self.away.lock().take()
        {
            let (servers, after) = (&self.servers, round(away.since.elapsed()));
            tracing::warn!(servers, ?after, "the brokers answer again");
        }
    }

    /// Takes the time of the last answer. To be called several times a second.
    pub(super) fn take_time(&self) {
        if self.heard.swap(false, Ordering::Relaxed) {
            *self.heard_at.lock() = Some(Instant::now());
        }
    }

    /// Shows what was asked, and how the brokers are.
    pub(super) fn show(&self, published: &mut Published) {
        self.take_time();
        published.actions = self.actions.shown();
        published.brokers_up = Some(!self.down.load(Ordering::Relaxed));
        published.last_answer = self.heard_at.lock().map(|at| at.elapsed());
    }

    /// Asks, and counts the question.
    pub(super) fn counted<T, E>(
        &self,
        kind: ActionKind,
        ask: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let answer = ask();
        self.actions.ended(kind, begun.elapsed(), answer.is_ok());
        answer
    }

    /// Says from time to time that still no broker answers. To be called several times a second.
    pub(super) fn still_away(&self) {
        if !self.down.load(Ordering::Relaxed) || self.closed.load(Ordering::Relaxed) {
            return;
        }
        let Some(since) = self.away.lock().as_mut().and_then(Away::due) else {
            return;
        };
        let reason = self.reason().unwrap_or_default();
        let queued_bytes = self.queued.get().map_or(0, |queued| queued());
        let (servers, since) = (&self.servers, round(since));
        tracing::warn!(
            servers,
            reason,
            queued_bytes,
            "no broker answers for {since:?}; trying on"
        );
    }

    /// The connection is no longer used.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Gives a client its token now, if it needs one: a request before its events are polled would never get a token.
    /// Blocks as long as fetching a token may take.
    pub(super) fn log_in<C: ClientContext>(
        &self,
        client: &Client<C>,
        settings: &Settings,
    ) -> Result<(), ClientError> {
        let Some(tokens) = &self.tokens else {
            return Ok(());
        };
        tokens
            .fetch()
            .and_then(|token| super::native::set_token(client, &token))
            .map_err(|reason| ClientError::Authentication {
                servers: settings.kafka_servers.join(","),
                reason,
            })
    }

    fn note(&self, code: Option<RDKafkaErrorCode>, reason: &str) {
        match code {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                *self.refused.lock() = Some(reason.to_owned());
            }
            // It says nothing of the brokers, and the one who uses that client gets it.
            Some(RDKafkaErrorCode::Fatal) => {}
            // "2/2 brokers are down" says less than what was said before.
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                self.reason.lock().get_or_insert_with(|| reason.to_owned());
            }
            _ => *self.reason.lock() = Some(reason.to_owned()),
        }
    }

    /// Says once that no broker answers.
    fn lost(&self) {
        let news = self.connected.load(Ordering::Relaxed) && !self.closed.load(Ordering::Relaxed);
        if news && !self.down.swap(true, Ordering::Relaxed) {
            *self.away.lock() = Some(Away::now());
            let reason = self.reason().unwrap_or_default();
            let servers = &self.servers;
            tracing::warn!(servers, reason, "no broker answers; trying on");
        }
    }

    /// Whether a person should see a line of librdkafka's log. While no broker has answered yet, failed connections are
    /// the start's own error.
    fn is_warning(&self, level: RDKafkaLogLevel, facility: &str, message: &str) -> bool {
        let connecting = !self.connected.load(Ordering::Relaxed);
        (level as i32) <= RDKafkaLogLevel::Warning as i32
            && librdkafka_log::fate(facility, message) != Fate::Reported
            && !self.closed.load(Ordering::Relaxed)
            && !(connecting && facility == "FAIL")
    }

    fn is_news(&self, line: &str) -> bool {
        let kind = kind(line);
        let line = kind.as_str();
        let mut lines = self.lines.lock();
        let now = Instant::now();
        if lines
            .get(line)
            .is_some_and(|written| now.duration_since(*written) < REPEAT)
        {
            return false;
        }
        if lines.len() >= REMEMBERED {
            lines.clear();
        }
        lines.insert(line.to_owned(), now);
        true
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("reason", &self.reason())
            .field("down", &self.down)
            .finish_non_exhaustive()
    }
}

/// The context of every client: all of them tell the same [`Shared`].
#[derive(Clone, Debug)]
pub(super) struct Context(pub(super) Arc<Shared>);

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        if !self.0.is_news(message) {
            return;
        }
        if self.0.is_warning(level, fac, message) {
            tracing::warn!(target: "kafkaesk_client::librdkafka", ?level, fac, "{message}");
        } else {
            tracing::debug!(target: "kafkaesk_client::librdkafka", ?level, fac, "{message}");
        }
    }

    fn stats(&self, _: Statistics) {}

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(error.rdkafka_error_code(), reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.0.lost();
        }
        if self.0.is_news(reason) {
            tracing::debug!(target: "kafkaesk_client::librdkafka", %error, "{reason}");
        }
    }

    fn generate_oauth_token(
        &self,
        _: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let token = match &self.0.tokens {
            Some(tokens) => tokens.fetch(),
            None => Err("no token endpoint is configured".to_owned()),
        };
        token.map_err(|reason| {
            let reason = format!("fetching an OAUTHBEARER token failed: {reason}");
            self.0.note(Some(RDKafkaErrorCode::Authentication), &reason);
            // librdkafka takes the text as a C string.
            reason.replace('\0', " ").into()
        })
    }
}

impl ConsumerContext for Context {}

/// Implements [`ClientContext`] for a type with a field `context: Context`, which answers everything but log lines: those go
/// to the type's own method `log_line`.
macro_rules! delegate_client_context {
    ($type:ty) => {
        impl rdkafka::ClientContext for $type {
            const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

            fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
                self.log_line(level, facility, message);
            }

            fn stats_raw(&self, _: &[u8]) {}

            fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
                self.context.error(error, reason);
            }

            fn generate_oauth_token(
                &self,
                config: Option<&str>,
            ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
                self.context.generate_oauth_token(config)
            }
        }
    };
}
pub(super) use delegate_client_context;

/// The address of `Connect to ipv4#127.0.0.1:9092 failed: Connection refused`.
fn refused_address(reason: &str) -> Option<SocketAddr> {
    let (_, rest) = reason.split_once("Connect to ipv")?;
    let (address, why) = rest.split_once(" failed: ")?;
    let address = address.split_once('#')?.1.parse().ok()?;
    why.starts_with("Connection refused").then_some(address)
}

/// The common form of lines that differ only in numbers: durations, counters, offsets. Each run of digits becomes `#`;
/// the duration of a failed connection and the count of such failures are left out.
fn kind(line: &str) -> String {
    let line = line.split_once(" (after ").map_or(line, |(line, _)| line);
    let mut kind = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            c => kind.push(c),
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_numbers_alone_are_one_kind_and_are_written_once() {
        assert_eq!(
            kind("Connection refused (after 13ms in state CONNECT)"),
            kind(
                "Connection refused (after 4ms in state CONNECT, 2 identical error(s) suppressed)"
            )
        );
        let shared = Shared::default();
        shared.answered();
        assert!(shared.is_news("Timed out 1 in-flight"));
        assert!(!shared.is_news("Timed out 23 in-flight"));
        assert!(shared.is_warning(RDKafkaLogLevel::Error, "ANY", "unknown"));
        assert!(!shared.is_warning(RDKafkaLogLevel::Notice, "ANY", "unknown"));
        assert!(!shared.is_warning(RDKafkaLogLevel::Warning, "COMMITFAIL", "Offset commit (x)"));
    }

    #[test]
    fn a_refusal_is_the_reason_only_as_long_as_connections_are_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let refused = format!(
            "localhost:{}/bootstrap: Connect to ipv4#{address} failed: Connection refused (after 0ms in state CONNECT)",
            address.port()
        );
        let shared = Shared::default();
        shared.note(Some(RDKafkaErrorCode::BrokerTransportFailure), &refused);
        let now = shared.current_reason().unwrap();
        assert!(
            now.starts_with(&address.to_string()) && now.contains("does not answer"),
            "{now}"
        );
        drop(listener);
        assert_eq!(shared.current_reason(), Some(refused));
        let ipv6 = "x: Connect to ipv6#[::1]:9092 failed: Connection refused (after 1ms)";
        assert_eq!(refused_address(ipv6), "[::1]:9092".parse().ok());
        for other in [
            "x: Connect to ipv4#127.0.0.1:1 failed: No route to host",
            "x: Failed to resolve 'x:9092'",
        ] {
            assert_eq!(refused_address(other), None);
        }
    }

    #[test]
    fn an_outage_is_written_of_at_one_two_four_and_eight_minutes() {
        let mut away = Away::now();
        let mut at = |seconds| {
            away.since = Instant::now()
                .checked_sub(Duration::from_secs(seconds))
                .unwrap();
            away.due().is_some()
        };
        let written: Vec<u64> = (0..600).filter(|seconds| at(*seconds)).collect();
        assert_eq!(written, [60, 120, 240, 480]);
        assert!(at(10_000) && !at(10_001), "what was missed is one line");
    }

    #[test]
    fn brokers_lost_after_the_end_are_no_news() {
        let shared = Shared::default();
        shared.answered();
        shared.lost();
        assert!(shared.down.load(Ordering::Relaxed));
        shared.answered();
        shared.close();
        shared.lost();
        assert!(!shared.down.load(Ordering::Relaxed));
    }
}
