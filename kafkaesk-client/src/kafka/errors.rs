//! Input: librdkafka's errors. Output: [`ClientError`]s that name the resource and the operation.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{ClientError, error::Source};

/// The operation during which an error came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'a> {
    /// In words, for an error that has no better form: `reading topic x`.
    pub(super) action: &'a str,
    /// Kafka's name of the operation.
    pub(super) operation: &'static str,
    /// The topic, if it was about one.
    pub(super) topic: Option<&'a str>,
    /// The group, if there is one.
    pub(super) group: Option<&'a str>,
}

impl<'a> Operation<'a> {
    /// Something about the cluster.
    pub(super) fn cluster(action: &'a str) -> Self {
        Self {
            action,
            operation: "Describe",
            topic: None,
            group: None,
        }
    }

    /// Something to a topic.
    pub(super) fn topic(action: &'a str, operation: &'static str, topic: &'a str) -> Self {
        Self {
            action,
            operation,
            topic: Some(topic),
            group: None,
        }
    }
}

/// Whether a partition's leader is not settled, as in the first moments of a topic: it is asked again.
pub(super) fn leader_moves(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable
    )
}

/// The code inside, which rdkafka's own accessor leaves out for admin calls.
pub(super) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        KafkaError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    }
}

/// Ours for theirs.
pub(super) fn client_error(error: KafkaError, doing: Operation<'_>) -> ClientError {
    match code_of(&error) {
        Some(code) => {
            from_code(code, doing).unwrap_or_else(|| other(doing.action, Box::new(error)))
        }
        None => other(doing.action, Box::new(error)),
    }
}

/// Ours for a bare code.
pub(super) fn code_error(code: RDKafkaErrorCode, doing: Operation<'_>) -> ClientError {
    from_code(code, doing).unwrap_or_else(|| other(doing.action, Box::new(Answer(code))))
}

/// A bare code as an error.
#[derive(Debug)]
struct Answer(RDKafkaErrorCode);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Answer {}

/// Whether what is behind [`ClientError::Kafka`] passes by itself: brokers that are away, that restart, or that hand their
/// partitions over.
pub(crate) fn passes(source: &Source) -> bool {
    let code = match (source.downcast_ref(), source.downcast_ref()) {
        (Some(Answer(code)), _) => Some(*code),
        (_, Some(error)) => code_of(error),
        _ => None,
    };
    matches!(
        code,
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::TimedOutQueue
                | RDKafkaErrorCode::NetworkException
                | RDKafkaErrorCode::BrokerNotAvailable
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::NotEnoughReplicas
                | RDKafkaErrorCode::NotEnoughReplicasAfterAppend
                | RDKafkaErrorCode::NotController
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::NotCoordinator
        )
    )
}

/// An error with nothing better to say than what was being done.
pub(super) fn other(action: &str, source: crate::error::Source) -> ClientError {
    ClientError::Kafka {
        action: action.to_owned(),
        source,
    }
}

fn from_code(code: RDKafkaErrorCode, doing: Operation<'_>) -> Option<ClientError> {
    let topic = || format!("topic {}", doing.topic.unwrap_or("(unnamed)"));
    let group = || doing.group.unwrap_or("(unnamed)").to_owned();
    Some(match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => ClientError::Unauthorized {
            operation: doing.operation,
            resource: topic(),
        },
        RDKafkaErrorCode::GroupAuthorizationFailed => ClientError::Unauthorized {
            operation: "Read",
            resource: format!("group {}", group()),
        },
        RDKafkaErrorCode::ClusterAuthorizationFailed if doing.operation == "Write" => {
            ClientError::Unauthorized {
                operation: "IdempotentWrite",
                resource: "cluster".to_owned(),
            }
        }
        RDKafkaErrorCode::ClusterAuthorizationFailed => ClientError::Unauthorized {
            operation: doing.operation,
            resource: "cluster".to_owned(),
        },
        RDKafkaErrorCode::InconsistentGroupProtocol => {
            ClientError::GroupProtocol { group: group() }
        }
        RDKafkaErrorCode::FencedInstanceId => ClientError::Fenced { group: group() },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_operation_names_what_and_on_what() {
        let doing = Operation::topic("publishing", "Write", "shop.orders");
        let error = client_error(
            KafkaError::MessageProduction(RDKafkaErrorCode::TopicAuthorizationFailed),
            doing,
        );
        assert!(
            error
                .to_string()
                .starts_with("not allowed: Write on topic shop.orders;")
        );
    }

    #[test]
    fn an_outage_passes_and_a_refusal_does_not() {
        let doing = Operation::cluster("asking");
        let passing = |code| {
            [
                code_error(code, doing),
                client_error(KafkaError::MetadataFetch(code), doing),
                client_error(KafkaError::AdminOp(code), doing),
            ]
            .map(|error| error.is_passing())
        };
        assert_eq!(passing(RDKafkaErrorCode::BrokerTransportFailure), [true; 3]);
        assert_eq!(passing(RDKafkaErrorCode::NotController), [true; 3]);
        assert_eq!(
            passing(RDKafkaErrorCode::TopicAuthorizationFailed),
            [false; 3]
        );
        assert_eq!(
            passing(RDKafkaErrorCode::InvalidReplicationFactor),
            [false; 3]
        );
    }

    #[test]
    fn a_foreign_group_protocol_names_both_remedies() {
        let doing = Operation {
            group: Some("billing"),
            ..Operation::cluster("joining")
        };
        let text = code_error(RDKafkaErrorCode::InconsistentGroupProtocol, doing).to_string();
        assert!(text.contains("stop"), "{text}");
        assert!(
            text.contains("partition.assignment.strategy=roundrobin"),
            "{text}"
        );
    }
}
