//! Connections: accepts them, a bounded number at a time and each for a bounded time. Next: `routes`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tracing::debug;

use crate::StartError;

/// Connections at a time. Further ones wait in the operating system.
const CONNECTIONS: usize = 1024;
/// More than so many are a crowd.
const CROWD: usize = 512;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// The same in a crowd: a client that says nothing must not keep a probe waiting.
const HEAD_IN_CROWD: Duration = Duration::from_millis(300);
/// How long a connection may take, its one answer included.
const WHOLE: Duration = Duration::from_secs(15);
/// The bytes of a request's head, at most.
const HEAD_BYTES: usize = 16 * 1024;
/// After the operating system refuses a connection, as when no file is left.
const BREATH: Duration = Duration::from_millis(100);

/// Listens, and says where.
///
/// # Errors
/// [`StartError`]: the address is in use, not this machine's, or not allowed.
pub(crate) async fn bind(listen: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        listen: listen.to_owned(),
        source,
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                let is_crowd = permits.available_permits() < CONNECTIONS - CROWD;
                tokio::spawn(async move {
                    let head = if is_crowd { HEAD_IN_CROWD } else { HEAD };
                    one(stream, router, head).await;
                    drop(permit);
                });
            }
            Err(error) => {
                debug!(%error, "accepting a connection");
                sleep(BREATH).await;
            }
        }
    }
}

async fn one(stream: TcpStream, router: Router, head: Duration) {
    let mut http = http1::Builder::new();
    // A reader that takes its time must not keep a place: one answer for each connection.
    http.keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES);
    let service = TowerToHyperService::new(router);
    let served = timeout(WHOLE, http.serve_connection(TokioIo::new(stream), service)).await;
    if let Ok(Err(error)) = served {
        debug!(%error, "answering a request");
    }
}
