//! Processes: reaches the services of running workers (`operate-listen`), every address behind a name.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::net::lookup_host;

use crate::{context::Context, errors::Usage, terminal::escape_str};

/// Where `dev`, and a worker with the usual setting, listens.
const URL: &str = "http://127.0.0.1:9464";
/// How long one process may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an answer, at most; `/stats` is bounded at half of it.
const BYTES: u64 = 2 * 1024 * 1024;

/// One process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its address.
    pub(crate) address: SocketAddr,
    client: Client,
    url: Url,
}

/// The URL that was given, or that of `operate-listen`, or the usual one.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn url(context: &Context, given: Option<&str>) -> anyhow::Result<String> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let listen = context.configuration()?.operate.listen.as_deref();
    Ok(listen.and_then(url_of).unwrap_or_else(|| URL.to_owned()))
}

/// How this machine reaches what listens there. `None` for a port that the operating system chooses.
fn url_of(listen: &str) -> Option<String> {
    let (host, port) = listen.rsplit_once(':')?;
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    (port != "0").then(|| format!("http://{host}:{port}"))
}

/// The processes behind a URL, such as those of a headless Service, ordered by address.
///
/// # Errors
/// [`Usage`] for what is not an HTTP URL, and a name that has no address.
pub(crate) async fn find(text: &str) -> anyhow::Result<Vec<Process>> {
    let url = Url::parse(text).map_err(|error| {
        Usage(format!(
            "--url {text}: {error}; write http://HOST:PORT, as `operate-listen` of the worker says"
        ))
    })?;
    let (Some(host), "http") = (url.host_str(), url.scheme()) else {
        return Err(Usage(format!(
            "--url {text}: write http://HOST:PORT, as `operate-listen` of the worker says"
        ))
        .into());
    };
    let port = url.port().unwrap_or(9464);
    let name = host.trim_matches(['[', ']']).to_owned();
    let found = lookup_host((name.as_str(), port)).await;
    let found = found.with_context(|| format!("looking up {name}"))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        bail!("{name} has no address");
    }
    let mut url = url.clone();
    // A URL without a port means the usual one, not 80.
    let _ = url.set_port(Some(port));
    let processes = addresses.into_iter().map(|address| {
        let client = Client::builder()
            .resolve(&name, address)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(WITHIN)
            .build()?;
        let url = url.clone();
        Ok(Process {
            address,
            client,
            url,
        })
    });
    processes.collect()
}

impl Process {
    /// What `/stats` answers.
    ///
    /// # Errors
    /// It does not answer, or is not a worker.
    pub(crate) async fn stats(&self) -> anyhow::Result<Value> {
        let url = self.url.join("/stats?limit=1000")?;
        self.answer(self.client.get(url)).await
    }

    /// Sends a command.
    ///
    /// # Errors
    /// It does not answer, or refuses; the error says why.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        token: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let mut request = self.client.post(url).body(body.to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        self.answer(request).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.send().await.map_err(reqwest::Error::without_url);
        let mut answer = answer.with_context(|| format!("{} does not answer", self.address))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await? {
            bytes.extend_from_slice(&part);
            if bytes.len() as u64 > BYTES {
                bail!(
                    "{} answers with more than 2 MiB: it is not a kafkaesk worker",
                    self.address
                );
            }
        }
        let read: Option<Value> = serde_json::from_slice(&bytes).ok();
        match read {
            Some(answer) if status.is_success() => Ok(answer),
            Some(answer) if answer["error"].is_string() => {
                bail!(
                    "{}: {}",
                    self.address,
                    escape_str(answer["error"].as_str().unwrap_or_default())
                )
            }
            _ => bail!(
                "{} answers {status} without our JSON: it is not the service of a kafkaesk worker",
                self.address
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_this_machine() {
        for (listen, url) in [
            ("127.0.0.1:9000", Some("http://127.0.0.1:9000")),
            ("0.0.0.0:9464", Some("http://127.0.0.1:9464")),
            ("[::]:9464", Some("http://[::1]:9464")),
            ("[::1]:9464", Some("http://[::1]:9464")),
            ("worker:9464", Some("http://worker:9464")),
            ("127.0.0.1:0", None),
        ] {
            assert_eq!(url_of(listen).as_deref(), url);
        }
    }
}
