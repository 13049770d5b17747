//! OAUTHBEARER: OIDC client credentials in, bearer tokens out. Runs on librdkafka's polling threads, never on tokio's.

use rdkafka::client::OAuthToken;

use crate::{ClientError, Settings};

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct TokenSource {}

impl TokenSource {
    /// What the settings ask for; `None` for every other way to log in.
    pub(super) fn of(_settings: &Settings) -> Result<Option<Self>, ClientError> {
        Ok(None)
    }

    /// Fetches a token now; blocks for at most ten seconds.
    pub(super) fn fetch(&self) -> Result<OAuthToken, String> {
        Err("not built in".to_owned())
    }
}
