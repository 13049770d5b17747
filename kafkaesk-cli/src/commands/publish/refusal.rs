//! Why a line is not published: because of the line itself, which `--skip-invalid` passes over, or because of Kafka,
//! which stops the run.

use kafkaesk_client::ClientError;
use serde_json::{Value, json};

use crate::violations;

/// Why a line was not published.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The line cannot be published.
    Line(String),
    /// The client refused it, or Kafka did.
    Client(Box<ClientError>),
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self::Client(Box::new(error))
    }
}

impl Refusal {
    /// Whether the line itself is at fault: another line may still be published.
    pub(super) fn is_the_lines_fault(&self) -> bool {
        match self {
            Self::Line(_) => true,
            Self::Client(error) => matches!(
                **error,
                ClientError::Invalid { .. }
                    | ClientError::Malformed { .. }
                    | ClientError::Name(_)
                    | ClientError::UnknownSchema { .. }
                    | ClientError::WithdrawnSchema { .. }
                    | ClientError::BoundElsewhere { .. }
                    | ClientError::NotBound { .. }
                    | ClientError::KeyRefused { .. }
                    | ClientError::TooLarge { .. }
                    | ClientError::Setting(_)
            ),
        }
    }

    /// Whether the brokers may still have the event, since their answer did not come.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Client(error) if matches!(**error, ClientError::DeliveryUnknown { .. }))
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Line(why) => why.clone(),
            Self::Client(error) => error.to_string(),
        }
    }

    /// As JSON, for the line of this number.
    pub(super) fn json(&self, line: u64) -> Value {
        let mut value = match self {
            Self::Line(why) => json!({"error": why}),
            Self::Client(error) => violations::error(error),
        };
        value["line"] = line.into();
        if self.is_unknown() {
            value["unknown"] = true.into();
        }
        value
    }
}
