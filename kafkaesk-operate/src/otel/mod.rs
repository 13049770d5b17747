//! OpenTelemetry: makes what traces a connection, and the thread that sends its spans. `environment` reads the variables,
//! `tracer` makes spans, `queue` holds the ended ones, and `export` sends them.

mod carrier;
mod client;
mod environment;
mod export;
mod names;
mod queue;
mod tracer;

use std::{sync::Arc, time::Duration};

use kafkaesk_client::{Connection, settings::OperateSettings, trace::Tracer};
use opentelemetry::{InstrumentationScope, trace::TracerProvider as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tracing::{info, warn};

use self::{
    queue::{Queue, Sender},
    tracer::OtelTracer,
};
use crate::{
    thread::Thread,
    traces::{DropReason, Dropped, TracesError},
};

/// The service's name, if no variable gives one.
const SERVICE: &str = "kafkaesk";

/// What makes and sends spans.
#[derive(Debug)]
pub(crate) struct Running {
    provider: SdkTracerProvider,
    queue: Arc<Queue>,
    thread: Thread,
    /// Answers once everything is sent.
    sent: oneshot::Receiver<()>,
    settings: OperateSettings,
}

impl Running {
    /// `None` where spans are not wanted.
    pub(crate) fn start(settings: &OperateSettings) -> Result<Option<Self>, TracesError> {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(target) = environment::target(settings, variable) else {
            return Ok(None);
        };
        if settings.loopback_only && !export::is_loopback(&target.url) {
            warn!(
                endpoint = target.shown(),
                "no spans are sent: nothing but this machine may be contacted here"
            );
            return Ok(None);
        }
        let failed = |reason: String| TracesError::Exporter {
            endpoint: target.shown(),
            reason,
        };
        let resource = resource();
        for problem in environment::problems(variable) {
            warn!("{problem}");
        }
        let (exporter, trouble) = export::exporter(&target, &resource).map_err(failed)?;
        let queue = Arc::new(Queue::new(target.batches, Arc::new(Dropped::default())));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(Sender(queue.clone()))
            .build();
        let thread = Thread::start("kafkaesk-traces").map_err(|error| failed(error.to_string()))?;
        let (done, sent) = oneshot::channel();
        thread.handle.spawn({
            let (queue, delay) = (queue.clone(), target.batches.delay);
            async move {
                export::run(&queue, &exporter, &trouble, delay).await;
                let _ = done.send(());
            }
        });
        info!(endpoint = target.shown(), "spans are sent to a collector");
        Ok(Some(Self {
            provider,
            queue,
            thread,
            sent,
            settings: settings.clone(),
        }))
    }

    /// What traces this connection. Asks the brokers once for the id of their cluster.
    pub(crate) fn tracer(&self, connection: &Connection) -> Arc<dyn Tracer> {
        let scope = InstrumentationScope::builder("kafkaesk")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let tracer = self.provider.tracer_with_scope(scope);
        let tracer = OtelTracer::new(tracer, &self.settings, connection.settings());
        let (known, connection) = (tracer.cluster.clone(), connection.clone());
        self.thread.handle.spawn(async move {
            let cluster = connection.broker().cluster().await;
            if let Some(id) = cluster.ok().and_then(|cluster| cluster.id.clone()) {
                let _ = known.set(id);
            }
        });
        Arc::new(tracer)
    }

    pub(crate) fn dropped(&self) -> Arc<Dropped> {
        self.queue.dropped.clone()
    }

    /// Sends what is left, for `within` at most.
    pub(crate) async fn finish(self, within: Duration) {
        let deadline = Instant::now() + within;
        self.queue.close();
        if timeout_at(deadline, self.sent).await.is_err() {
            self.queue.give_up();
        }
        self.thread.end().await;
        let dropped = &self.queue.dropped;
        if DropReason::ALL.iter().any(|it| dropped.of(*it) > 0) {
            warn!("spans were dropped: {dropped}");
        }
    }
}

/// What the variables say of this service.
fn resource() -> Resource {
    let name = opentelemetry::Key::from_static_str("service.name");
    let found = Resource::builder().build();
    // The SDK's own name for a service without one.
    let is_given = found
        .get(&name)
        .is_some_and(|value| !value.as_str().starts_with("unknown_service"));
    match is_given {
        true => found,
        false => Resource::builder().with_service_name(SERVICE).build(),
    }
}
