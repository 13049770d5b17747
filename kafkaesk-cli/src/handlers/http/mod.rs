//! The `http` handler: one POST for each message, or for each batch; the answer's status decides. Follows no redirect, keeps
//! connections alive, reads at most [`MAX_BODY`] bytes of an answer to a message.

mod batch;
mod certificates;
mod dev;
mod request;
mod response;

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use kafkaesk_core::{Headers, Record};
use reqwest::{Url, header::HeaderMap};

use self::certificates::trust;
pub(crate) use self::{
    batch::{BatchReply, Lines},
    certificates::{Certificate, certificates},
    dev::{loopback_host, nobody_listens},
    request::own_headers,
};
use super::Reply;

/// How much of an answer's body is read, in bytes; the connection of a longer one is closed.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How long one request may take when the configuration says nothing.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The configuration of an `http` handler.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// Where to post.
    pub(crate) url: Url,
    /// From connecting to the last byte of the answer.
    pub(crate) timeout: Duration,
    /// Sent with each request, as they are.
    pub(crate) headers: HeaderMap,
    /// To be trusted besides the system's.
    pub(crate) trusted: Vec<Certificate>,
    /// Where it posts, for logs, without secrets.
    pub(crate) shown: String,
    /// Whether its subscription has batches: then each request is one, if only of one message.
    pub(crate) batches: bool,
}

/// A URL for logs, without what may be a secret: user info, query, and the path unless the host is this machine.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let hides = url.query().is_some();
    url.set_query(None);
    url.set_fragment(None);
    if loopback_host(&url).is_none() && url.path() != "/" {
        url.set_path("/");
        return format!("{url}…");
    }
    match hides {
        true => format!("{url}?…"),
        false => url.into(),
    }
}

/// Posts messages to one endpoint.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    settings: HttpSettings,
}

impl Http {
    /// Makes the client; contacts nobody.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub(crate) fn new(settings: HttpSettings) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout)
            .user_agent(concat!("kafkaesk/", env!("CARGO_PKG_VERSION")))
            .default_headers(settings.headers.clone());
        if settings.loopback_host().is_some() {
            // HTTP_PROXY names another machine, which has another loopback.
            builder = builder.no_proxy();
        }
        let client = trust(builder, &settings.trusted)
            .build()
            .context("the HTTP client cannot be set up")?;
        Ok(Self { client, settings })
    }

    /// What it was made of.
    pub(crate) fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// Posts one message; `trace` is what goes on as its trace. Cancel safe in the sense of at-least-once: a dropped call may have been handled.
    ///
    /// # Errors
    /// No answer came back; [`Self::broken`] says what that means for the message.
    pub(crate) async fn handle(
        &self,
        record: &Record,
        trace: &Headers,
        schema: &str,
        data: Bytes,
        group: &str,
        attempt: u32,
    ) -> Result<Reply, reqwest::Error> {
        let headers = match request::headers(record, trace, schema, group, attempt) {
            Ok(headers) => headers,
            Err(reason) => return Ok(Reply::reject(reason)),
        };
        let response = self
            .client
            .post(self.settings.url.clone())
            .headers(headers)
            .body(data)
            .send()
            .await?;
        Ok(response::answer(response, &self.settings.url, &self.settings.shown).await)
    }

    /// The reply for a message without an HTTP answer.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Reply {
        response::broken(error, &self.settings.shown)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
