//! A plain TCP forwarder between two loopback addresses. Does not read the bytes.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

/// How many connections are forwarded at once, at most; further ones wait to be accepted.
const CONNECTIONS: usize = 256;
/// How long accepting rests after it failed.
const PAUSE: Duration = Duration::from_millis(50);

/// A running forwarder on a thread of its own; ends when dropped.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: SocketAddr,
    stop: watch::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Listens at the first address, and at the others where that is possible, on the same port.
    pub(super) fn start(addresses: &[SocketAddr], target: SocketAddr) -> io::Result<Self> {
        let Some((first, others)) = addresses.split_first() else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let mut listeners = vec![StdListener::bind(first)?];
        let address = listeners[0].local_addr()?;
        for other in others {
            let mut other = *other;
            other.set_port(address.port());
            match StdListener::bind(other) {
                Ok(listener) => listeners.push(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(error) => {
                    tracing::debug!(%other, %error, "dev broker: address family left out")
                }
            }
        }
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listeners = {
            let _inside = runtime.enter();
            listeners
                .into_iter()
                .map(TcpListener::from_std)
                .collect::<io::Result<Vec<_>>>()?
        };
        let (stop, stopped) = watch::channel(());
        let thread = std::thread::Builder::new()
            .name("kafkaesk-dev".into())
            .spawn(move || runtime.block_on(serve(listeners, target, stopped)))?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop.send_replace(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns when stopped; the runtime's end then closes every connection.
async fn serve(listeners: Vec<TcpListener>, target: SocketAddr, mut stopped: watch::Receiver<()>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    for listener in listeners {
        tokio::spawn(accept(listener, target, room.clone()));
    }
    let _ = stopped.changed().await;
}

async fn accept(listener: TcpListener, target: SocketAddr, room: Arc<Semaphore>) {
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(async move {
                    forward(client, target).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // The process is out of file descriptors, or the peer aborted; neither ends the broker.
                tracing::debug!(%error, "dev broker: a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr) {
    let Ok(mut broker) = TcpStream::connect(target).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = broker.set_nodelay(true);
    // An error here is one side's end, and the other side sees it.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
}
