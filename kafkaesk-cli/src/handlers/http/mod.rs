//! The `http` handler: a message goes in, one POST goes out, the answer's status decides. Follows no redirect, keeps
//! connections alive, reads at most [`MAX_BODY`] bytes of an answer.

mod dev;
mod request;
mod response;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use kafkaesk_core::Record;

use super::Answer;

/// How much of an answer's body is read, in bytes; the connection of a longer one is closed.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// How long one request may take when the configuration says nothing.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the configuration says of an `http` handler.
#[derive(Clone, Debug)]
pub(crate) struct HttpSettings {
    /// Where to post.
    pub(crate) url: reqwest::Url,
    /// From connecting to the last byte of the answer.
    pub(crate) timeout: Duration,
    /// Sent with each request, as they are.
    pub(crate) headers: Vec<(String, String)>,
    /// PEM file of certificates to trust besides the system's.
    pub(crate) ca: Option<PathBuf>,
}

impl HttpSettings {
    /// Where it posts, for logs: without user info and query, either of which may hold a secret.
    pub(crate) fn shown(&self) -> String {
        let mut url = self.url.clone();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let query = url.query().is_some();
        url.set_query(None);
        if query {
            format!("{url}?…")
        } else {
            url.into()
        }
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
    /// An unusable header or certificate.
    pub(crate) fn new(settings: HttpSettings) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout)
            .user_agent(concat!("kafkaesk/", env!("CARGO_PKG_VERSION")))
            .default_headers(request::own_headers(&settings.headers)?);
        if let Some(path) = &settings.ca {
            builder = trust(builder, path)?;
        }
        let client = builder
            .build()
            .context("the HTTP client cannot be set up")?;
        Ok(Self { client, settings })
    }

    /// What it was made of.
    pub(crate) fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// Posts one message. Cancel safe in the sense of at-least-once: a dropped call may have been handled.
    pub(crate) async fn handle(
        &self,
        record: &Record,
        schema: &str,
        data: &[u8],
        group: &str,
        attempt: u32,
    ) -> Answer {
        let headers = match request::headers(record, schema, group, attempt) {
            Ok(headers) => headers,
            Err(reason) => return Answer::Reject(reason),
        };
        let sent = self
            .client
            .post(self.settings.url.clone())
            .headers(headers)
            .body(data.to_vec())
            .send()
            .await;
        match sent {
            Ok(response) => response::answer(response, &self.settings.shown()).await,
            Err(error) => response::broken(&error, &self.settings.shown()),
        }
    }
}

#[cfg(feature = "tls")]
fn trust(
    builder: reqwest::ClientBuilder,
    path: &std::path::Path,
) -> anyhow::Result<reqwest::ClientBuilder> {
    let pem = std::fs::read(path).with_context(|| format!("reading ca {}", path.display()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem)
        .with_context(|| format!("ca {} holds no PEM certificates", path.display()))?;
    anyhow::ensure!(
        !certificates.is_empty(),
        "ca {} holds no PEM certificates",
        path.display()
    );
    Ok(certificates
        .into_iter()
        .fold(builder, reqwest::ClientBuilder::add_root_certificate))
}

#[cfg(not(feature = "tls"))]
fn trust(
    _: reqwest::ClientBuilder,
    path: &std::path::Path,
) -> anyhow::Result<reqwest::ClientBuilder> {
    anyhow::bail!(
        "ca {} needs TLS, and this program was built without the feature `tls`",
        path.display()
    )
}

#[cfg(test)]
mod tests;
