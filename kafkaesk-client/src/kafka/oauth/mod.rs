//! OAUTHBEARER: gets bearer tokens for OIDC client credentials. Runs on librdkafka's polling threads, never on tokio's.
//!
//! librdkafka's own OIDC is not in static builds (docs/decisions.md, oauth).

#[cfg(feature = "tls")]
mod fetch;

use std::{fmt, time::Duration};

use parking_lot::Mutex;
use rdkafka::client::OAuthToken;

use crate::{ClientError, Settings, settings::OidcSettings};

/// How long fetching a token may take, all in all.
#[cfg(feature = "tls")]
const TIMEOUT: Duration = Duration::from_secs(10);
/// A new token is fetched once this little of its life is left.
const MARGIN: Duration = Duration::from_secs(20);

/// Where tokens come from. All clients of a connection share a token as long as it lives.
pub(super) struct TokenSource {
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    settings: OidcSettings,
    /// The last token, fetched under this lock, so that several clients ask once.
    last: Mutex<Option<Token>>,
}

/// What a token endpoint answered.
#[derive(Clone)]
struct Token {
    token: String,
    principal: String,
    /// Milliseconds since the Unix epoch.
    expires: i64,
}

impl TokenSource {
    /// What the settings ask for; `None` for every other way to log in.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, ClientError> {
        let oidc = settings
            .kafka_settings
            .oidc()
            .map_err(|e| ClientError::Setting(e.to_string()))?;
        let Some(oidc) = oidc else { return Ok(None) };
        if !oidc.extensions.is_empty() {
            return Err(ClientError::Setting(
                "`sasl.oauthbearer.extensions` is not supported: tokens are sent without extensions; leave it out".into(),
            ));
        }
        if cfg!(not(feature = "tls")) {
            return Err(ClientError::Setting(
                "OAUTHBEARER needs the feature `tls` of kafkaesk-client; build with it".into(),
            ));
        }
        Ok(Some(Self {
            settings: oidc,
            last: Mutex::default(),
        }))
    }

    /// A token with some life left. Blocks for at most ten seconds: never call it on tokio's workers.
    pub(super) fn fetch(&self) -> Result<OAuthToken, String> {
        let mut last = self.last.lock();
        let fresh = last
            .as_ref()
            .filter(|token| token.expires - now_ms() > MARGIN.as_millis() as i64);
        let token = match fresh {
            Some(token) => token.clone(),
            None => {
                let token = self.ask()?;
                *last = Some(token.clone());
                token
            }
        };
        Ok(OAuthToken {
            token: token.token,
            principal_name: token.principal,
            lifetime_ms: token.expires,
        })
    }

    #[cfg(feature = "tls")]
    fn ask(&self) -> Result<Token, String> {
        fetch::ask(&self.settings, TIMEOUT)
    }

    #[cfg(not(feature = "tls"))]
    fn ask(&self) -> Result<Token, String> {
        Err("the feature `tls` is off".into())
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

fn now_ms() -> i64 {
    rdkafka::util::current_time_millis()
}
