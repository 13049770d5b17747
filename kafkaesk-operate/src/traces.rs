//! Traces: sends a span of each publish and each attempt to a collector, if the settings or the standard variables name one.
//! What is dropped on the way is counted here. Next: `otel`.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kafkaesk_client::{Connection, settings::OperateSettings};

#[cfg(feature = "otel")]
use crate::otel::Running;

/// Traces of one program. For a program that runs a worker, [`Operate`](crate::Operate) has them; one that only publishes starts
/// its own.
///
/// ```no_run
/// # use kafkaesk_client::{Connection, Settings, settings::OperateSettings};
/// # use kafkaesk_operate::Traces;
/// # async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
/// let mut operate = OperateSettings::default();
/// operate.otel_endpoint = Some("http://localhost:4318".into());
/// let traces = Traces::start(&operate)?;
/// let connection = Connection::open(&settings).await?;
/// traces.of(&connection);
/// // … publish …
/// traces.finish(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
///
/// Spans are sent by a thread of its own. Dropped without [`finish`](Self::finish), what it has not sent is lost.
#[derive(Debug)]
pub struct Traces {
    #[cfg(feature = "otel")]
    running: Option<Running>,
}

/// Traces are asked for and cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The program was built without the feature `otel`.
    #[error(
        "`otel-endpoint` is set, and this program was built without the feature `otel`; build it with the feature, or leave the setting out"
    )]
    NotBuilt,
    /// The collector's address or something else of the exporter is wrong.
    #[error("spans cannot be sent to {endpoint}: {reason}")]
    Exporter {
        /// The collector, without secrets.
        endpoint: String,
        /// Why.
        reason: String,
    },
}

impl Traces {
    /// Starts what sends spans, if `otel-endpoint` or a variable names a collector. Contacts nobody yet.
    ///
    /// # Errors
    /// [`TracesError`].
    pub fn start(settings: &OperateSettings) -> Result<Self, TracesError> {
        #[cfg(feature = "otel")]
        return Ok(Self {
            running: Running::start(settings)?,
        });
        #[cfg(not(feature = "otel"))]
        match settings.otel_endpoint {
            Some(_) => Err(TracesError::NotBuilt),
            None => Ok(Self {}),
        }
    }

    /// Traces what this connection publishes, and what a worker handles over it, from now on.
    pub fn of(&self, connection: &Connection) {
        #[cfg(feature = "otel")]
        if let Some(running) = &self.running {
            connection.trace_with(running.tracer(connection));
        }
        #[cfg(not(feature = "otel"))]
        let _ = connection;
    }

    /// What was dropped so far; `None` where traces are off.
    pub(crate) fn dropped(&self) -> Option<Arc<Dropped>> {
        #[cfg(feature = "otel")]
        return self.running.as_ref().map(Running::dropped);
        #[cfg(not(feature = "otel"))]
        None
    }

    /// Sends what is left, for `within` at most, and ends. Spans that end later are dropped; what was dropped is logged.
    pub async fn finish(self, within: Duration) {
        #[cfg(feature = "otel")]
        if let Some(running) = self.running {
            running.finish(within).await;
        }
        #[cfg(not(feature = "otel"))]
        let _ = within;
    }
}

/// Why a span was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// Too many waited to be sent.
    Queue,
    /// The collector did not take it.
    Export,
    /// It was not sent before the end.
    End,
}

impl DropReason {
    pub(crate) const ALL: [Self; 3] = [Self::Queue, Self::Export, Self::End];

    /// One word, as in the label `reason`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Export => "export",
            Self::End => "end",
        }
    }
}

/// How many spans were dropped.
#[derive(Debug, Default)]
pub(crate) struct Dropped([AtomicU64; DropReason::ALL.len()]);

impl Dropped {
    #[cfg_attr(
        not(feature = "otel"),
        allow(dead_code, reason = "nothing is dropped where nothing is sent")
    )]
    pub(crate) fn add(&self, reason: DropReason, spans: usize) {
        self.0[reason as usize].fetch_add(spans as u64, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }
}

/// In words, for the log.
impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [queue, export, end] = DropReason::ALL.map(|reason| self.of(reason));
        write!(
            f,
            "{queue} since too many waited, {export} since the collector did not take them, {end} at the end"
        )
    }
}
