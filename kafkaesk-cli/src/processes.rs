//! Processes: reaches the services of running workers (`operate-listen`), every address behind a name.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    context::Context,
    errors::{self, Usage},
    exit::Exit,
    output,
    terminal::escape_str,
};

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
    let found = lookup(name.clone(), port).await;
    let mut addresses = found.with_context(|| format!("looking up {name}"))?;
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

/// On a thread of its own: the program's end waits for what runs on the runtime's threads, and a name service that does
/// not answer can take half a minute.
async fn lookup(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (sender, found) = oneshot::channel();
    std::thread::Builder::new()
        .name("lookup".into())
        .spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs();
            // The command may have given up.
            let _ = sender.send(found.map(Iterator::collect));
        })?;
    found.await.map_err(io::Error::other)?
}

/// How a command to several processes ended of which so many did it: each error is printed, and some of them make it a part.
///
/// # Errors
/// The only error, where no process did it.
pub(crate) fn ended(done: usize, mut failed: Vec<anyhow::Error>) -> anyhow::Result<Exit> {
    if done == 0 && failed.len() == 1 {
        return Err(failed.remove(0));
    }
    for error in &failed {
        output::error(errors::describe(error));
    }
    Ok(match (done, failed.len()) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::Failed,
        _ => Exit::Partial,
    })
}

/// What a process says of its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// All checks are well.
    Well,
    /// The first check that fails, and how many fail besides.
    Unwell(String),
    /// Nothing listens at its address.
    Silent(String),
}

impl Process {
    /// What `/livez` or `/readyz` says.
    ///
    /// # Errors
    /// It is not the service of a worker, or its answer is cut off.
    pub(crate) async fn health(&self, path: &str) -> anyhow::Result<Health> {
        let url = self.url.join(path)?;
        let answer = match self.client.get(url).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                return Ok(Health::Silent(root(&error.without_url())));
            }
            Err(error) => bail!(
                "{} does not answer: {}",
                self.address,
                root(&error.without_url())
            ),
        };
        match self.read(answer).await? {
            // `lag --listen` says it without JSON.
            (status, _) if status.is_success() => Ok(Health::Well),
            (StatusCode::SERVICE_UNAVAILABLE, Some(answer)) if answer["checks"].is_array() => {
                Ok(Health::Unwell(failing(&answer)))
            }
            (status, _) => Err(self.is_not_a_worker(status)),
        }
    }

    /// What `/scale` answers.
    ///
    /// # Errors
    /// It does not answer, or is not a worker.
    pub(crate) async fn scale(&self, group: Option<&str>) -> anyhow::Result<Value> {
        let mut url = self.url.join("/scale")?;
        if let Some(group) = group {
            url.query_pairs_mut().append_pair("group", group);
        }
        self.answer(self.client.get(url)).await
    }

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
        let answer = answer.with_context(|| format!("{} does not answer", self.address))?;
        match self.read(answer).await? {
            (status, Some(answer)) if status.is_success() => Ok(answer),
            (_, Some(answer)) if answer["error"].is_string() => {
                bail!("{}: {}", self.address, sentence(&answer["error"]))
            }
            (status, _) => Err(self.is_not_a_worker(status)),
        }
    }

    /// The status, and the body if it is JSON.
    async fn read(
        &self,
        mut answer: reqwest::Response,
    ) -> anyhow::Result<(StatusCode, Option<Value>)> {
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
        Ok((status, serde_json::from_slice(&bytes).ok()))
    }

    fn is_not_a_worker(&self, status: StatusCode) -> anyhow::Error {
        anyhow!(
            "{} answers {status} without our JSON: it is not the service of a kafkaesk worker",
            self.address
        )
    }
}

/// The first check that fails, and how many fail besides.
fn failing(answer: &Value) -> String {
    let checks = answer["checks"].as_array().map_or(&[][..], Vec::as_slice);
    let mut failing = checks.iter().filter(|check| check["ok"] != true);
    let Some(first) = failing.next() else {
        return "it names no check".into();
    };
    let of = ["group", "pattern", "check"].map(|member| sentence(&first[member]));
    let of: Vec<String> = of.into_iter().filter(|word| !word.is_empty()).collect();
    let more = match failing.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{}: {}{more}", of.join(" "), sentence(&first["sentence"]))
}

/// A text of another program, on one line.
fn sentence(value: &Value) -> String {
    escape_str(value.as_str().unwrap_or_default()).replace(['\n', '\r'], " ")
}

/// The innermost cause: the others say only that a request failed.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
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
