//! Board: serves the lag of any groups as metrics, as `kafkaesk-cli lag --listen` asks it of Kafka. No worker is needed.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use kafkaesk_client::{
    dead_letters::Unsettled,
    lag::{GroupLag, Verdict},
    settings::OperateSettings,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::{
    StartError,
    metrics::{Format, Metrics},
    service::{bind, guard, serve},
};

/// A group with its verdicts.
#[derive(Clone, Debug)]
pub struct JudgedGroup {
    /// Where it stands.
    pub lag: GroupLag,
    /// One for each partition, in their order.
    pub verdicts: Vec<Verdict>,
    /// Its dead letters that nobody settled yet, where they are known.
    pub letters: Option<Unsettled>,
}

impl JudgedGroup {
    /// The worst of its verdicts; [`Verdict::Unknown`] for a group without partitions.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.verdicts.iter().copied();
        verdicts.max().unwrap_or(Verdict::Unknown)
    }
}

/// Serves what it is shown last, at `/metrics`. Dropping it ends the service.
pub struct LagBoard {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

struct Shared {
    metrics: Metrics,
    /// `None` where the last look failed: what is not known has no series.
    groups: Mutex<Option<Arc<Vec<JudgedGroup>>>>,
}

impl LagBoard {
    /// Listens at `host:port`. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: the address is in use, not this machine's, or not allowed.
    pub async fn start(settings: OperateSettings) -> Result<Self, StartError> {
        let (listener, address) = bind(settings.listen.as_deref().unwrap_or_default()).await?;
        let shared = Arc::new(Shared {
            metrics: Metrics::new(&settings),
            groups: Mutex::new(None),
        });
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(|| async { "ok\n" }))
            .fallback(|| async {
                guard::refusal(StatusCode::NOT_FOUND, "there are /metrics and /livez")
            })
            .with_state(shared.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, guard::at(address, router)));
        Ok(Self {
            shared,
            address,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves this from now on; `None` after a look that failed.
    pub fn show(&self, groups: Option<Vec<JudgedGroup>>) {
        *self.shared.groups.lock() = groups.map(Arc::new);
    }
}

impl fmt::Debug for LagBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LagBoard")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let format = Format::of(&headers);
    let groups = shared.groups.lock().clone();
    let text = tokio::task::spawn_blocking(move || shared.metrics.of_groups(groups, format)).await;
    let kind = [(header::CONTENT_TYPE, format.content_type())];
    (kind, Bytes::from(text.unwrap_or_default())).into_response()
}
