//! Input: the properties `sasl.oauthbearer.*`. Output: OIDC client credentials for our own token refresh, since static
//! builds of librdkafka have no OIDC. Fetches no token.

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

use super::{KafkaSettings, Role, redact::without_secrets};

const URL: &str = "sasl.oauthbearer.token.endpoint.url";
const CLIENT_ID: &str = "sasl.oauthbearer.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.secret";
const SCOPE: &str = "sasl.oauthbearer.scope";
const EXTENSIONS: &str = "sasl.oauthbearer.extensions";
const METHOD: &str = "sasl.oauthbearer.method";
const GRANT: &str = "sasl.oauthbearer.grant.type";
const METADATA: &str = "sasl.oauthbearer.metadata.authentication.type";
/// librdkafka's own unsecured tokens, for tests.
const UNSECURED: &str = "enable.sasl.oauthbearer.unsecure.jwt";
const ASSERTION: &str = "sasl.oauthbearer.assertion.";
/// The properties that can set the certificate store for the token endpoint.
const CA_LOCATION: &str = "https.ca.location";
const CA_PEM: &str = "https.ca.pem";

/// OAuth 2 client credentials for SASL OAUTHBEARER. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OidcSettings {
    /// Where tokens are fetched by POST.
    pub token_endpoint_url: String,
    /// Public identifier.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// What is asked for, if anything.
    pub scope: Option<String>,
    /// SASL extensions sent to the broker with the token, by name.
    pub extensions: BTreeMap<String, String>,
    /// A PEM file with the certificates to trust at the token endpoint; the system's when absent.
    pub ca_location: Option<String>,
    /// The same as text.
    pub ca_pem: Option<String>,
}

/// What is wrong with `sasl.oauthbearer.*`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OidcError {
    /// Something that client credentials need is absent.
    #[error(
        "`sasl.mechanism` OAUTHBEARER with a token endpoint needs `{0}` in `kafka-settings` as well"
    )]
    Missing(&'static str),
    /// Neither an endpoint nor librdkafka's unsecured tokens.
    #[error(
        "`sasl.mechanism` OAUTHBEARER needs `sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id` and `sasl.oauthbearer.client.secret` in `kafka-settings` (or, for tests only, `enable.sasl.oauthbearer.unsecure.jwt`)"
    )]
    NoSource,
    /// A way to fetch tokens that is not built in.
    #[error("`{0}` is not supported: tokens are fetched with client credentials; leave it out")]
    Unsupported(String),
    /// Not `name=value,…`.
    #[error("`sasl.oauthbearer.extensions`: {0:?} is not `name=value`; separate several by commas")]
    Extension(String),
}

impl KafkaSettings {
    /// The OIDC client credentials, if the mechanism is OAUTHBEARER and they are set. `None` for any other mechanism,
    /// for a `security.protocol` without SASL, and for librdkafka's unsecured tokens (tests).
    ///
    /// # Errors
    /// [`OidcError`] names the property.
    pub fn oidc(&self) -> Result<Option<OidcSettings>, OidcError> {
        // Credentials are the same for consumers and producers: the brokers are.
        let get = |name: &str| {
            self.get(Role::Consumer, name)
                .or_else(|| self.get(Role::Producer, name))
        };
        if !self.uses_sasl() || !get("sasl.mechanisms").is_some_and(is_oauthbearer) {
            return Ok(None);
        }
        if get(URL).is_none() && get(METHOD) != Some("oidc") {
            return if is_unsecured(get(UNSECURED)) {
                Ok(None)
            } else {
                Err(OidcError::NoSource)
            };
        }
        self.refuse_other_ways()?;
        let need =
            |name: &'static str| get(name).map(str::to_owned).ok_or(OidcError::Missing(name));
        Ok(Some(OidcSettings {
            token_endpoint_url: need(URL)?,
            client_id: need(CLIENT_ID)?,
            client_secret: need(CLIENT_SECRET)?,
            scope: get(SCOPE).map(str::to_owned),
            extensions: extensions(get(EXTENSIONS).unwrap_or_default())?,
            ca_location: get(CA_LOCATION).map(str::to_owned),
            ca_pem: get(CA_PEM).map(str::to_owned),
        }))
    }

    fn refuse_other_ways(&self) -> Result<(), OidcError> {
        for (name, value) in self
            .common
            .iter()
            .chain(&self.consumer)
            .chain(&self.producer)
        {
            let other_way = (name == GRANT && value != "client_credentials")
                || (name == METADATA && value != "none")
                || name.starts_with(ASSERTION);
            if other_way {
                return Err(OidcError::Unsupported(name.clone()));
            }
        }
        Ok(())
    }
}

/// Removes from a client's properties what [`OidcSettings`] takes over: librdkafka would refuse it.
pub(super) fn take_out(properties: &mut BTreeMap<String, String>) {
    let oauthbearer = properties
        .get("sasl.mechanisms")
        .is_some_and(|mechanism| is_oauthbearer(mechanism));
    let unsecured = is_unsecured(properties.get(UNSECURED).map(String::as_str));
    if !oauthbearer || !unsecured || properties.contains_key(URL) {
        properties.retain(|name, _| {
            !name.starts_with("sasl.oauthbearer.") && !name.starts_with("https.ca.")
        });
    }
}

fn is_unsecured(value: Option<&str>) -> bool {
    matches!(value, Some("true" | "t" | "1"))
}

fn is_oauthbearer(mechanism: &str) -> bool {
    mechanism.eq_ignore_ascii_case("OAUTHBEARER")
}

fn extensions(text: &str) -> Result<BTreeMap<String, String>, OidcError> {
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            pair.split_once('=')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
                .ok_or_else(|| OidcError::Extension(pair.to_owned()))
        })
        .collect()
}

impl fmt::Debug for OidcSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcSettings")
            .field(
                "token_endpoint_url",
                &without_secrets(&self.token_endpoint_url),
            )
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("extensions", &self.extensions.keys())
            .finish_non_exhaustive()
    }
}
