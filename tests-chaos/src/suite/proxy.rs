//! Proxy: a TCP proxy in front of a broker that cuts, holds back, delays and throttles on demand. Reads nothing of what
//! passes.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// What the proxy does with what passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// Connections end, and new ones are refused.
    pub(super) cut: bool,
    /// Nothing passes.
    pub(super) hole: bool,
    /// Everything comes this much later.
    pub(super) delay: Duration,
    /// Bytes a second, in each direction of each connection; 0 for no limit.
    pub(super) rate: u64,
}

/// A running proxy; ends with this value.
#[derive(Debug)]
pub(super) struct Proxy {
    weather: watch::Sender<Weather>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on one port of loopback and passes to another.
    pub(super) async fn start(from: u16, to: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", from))
            .await
            .with_context(|| format!("the proxy cannot listen on port {from}"))?;
        let weather = watch::Sender::new(Weather::default());
        let seen = weather.subscribe();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        if !seen.borrow().cut {
                            connections.spawn(pass(client, to, seen.clone()));
                        }
                    }
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                }
            }
        });
        Ok(Self { weather, task })
    }

    /// Changes the weather, for open connections too.
    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, until either side ends it or it is cut.
async fn pass(client: TcpStream, to: u16, weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    // Small requests must not wait for one another.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = weather.clone();
    tokio::select! {
        () = one_way(from_client, to_server, weather.clone()) => {}
        () = one_way(from_server, to_client, weather) => {}
        _ = cut.wait_for(|weather| weather.cut) => {}
    }
}

async fn one_way(mut from: OwnedReadHalf, to: OwnedWriteHalf, weather: watch::Receiver<Weather>) {
    // 64 chunks of 16 KiB at most are on their way.
    let (sender, chunks) = mpsc::channel::<(Instant, Arc<[u8]>)>(64);
    let delays = weather.clone();
    let reading = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + delays.borrow().delay;
            let Some(chunk) = buffer.get(..count) else {
                return;
            };
            if sender.send((due, chunk.into())).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing(to, chunks, weather));
}

async fn writing(
    mut to: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<(Instant, Arc<[u8]>)>,
    mut weather: watch::Receiver<Weather>,
) {
    while let Some((due, chunk)) = chunks.recv().await {
        sleep_until(due).await;
        if weather.wait_for(|weather| !weather.hole).await.is_err()
            || to.write_all(&chunk).await.is_err()
        {
            return;
        }
        let rate = weather.borrow().rate;
        if rate > 0 {
            sleep(Duration::from_secs_f64(chunk.len() as f64 / rate as f64)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        port
    }

    async fn round(stream: &mut TcpStream) -> std::io::Result<Duration> {
        let begun = Instant::now();
        stream.write_all(b"a").await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        Ok(begun.elapsed())
    }

    #[tokio::test]
    async fn a_proxy_passes_delays_holds_back_and_cuts() {
        let port = xtask::broker::free_port().unwrap();
        let proxy = Proxy::start(port, echo().await).await.unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        round(&mut stream).await.unwrap();
        proxy.set(Weather {
            delay: Duration::from_millis(60),
            ..Weather::default()
        });
        assert!(round(&mut stream).await.unwrap() >= Duration::from_millis(110));
        proxy.set(Weather {
            hole: true,
            ..Weather::default()
        });
        let held = tokio::time::timeout(Duration::from_millis(100), round(&mut stream));
        assert!(held.await.is_err());
        proxy.set(Weather {
            cut: true,
            ..Weather::default()
        });
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
        assert!(ended.await.is_ok());
        proxy.set(Weather::default());
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        round(&mut stream).await.unwrap();
    }
}
