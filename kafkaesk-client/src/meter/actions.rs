//! Actions: counts the questions of a connection to its brokers, by kind. Each is rare, so it may take a lock and read a clock.

use std::time::Duration;

use parking_lot::Mutex;

use super::Histogram;

/// What was asked of one kind.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Action {
    /// The kind.
    pub kind: ActionKind,
    /// Questions that were answered. A question that its caller dropped before its end is counted nowhere.
    pub ok: u64,
    /// Questions that ended with an error.
    pub failed: u64,
    /// Seconds from each question to its end, repetitions by the client included.
    pub time: Histogram,
}

/// The kind of a question to the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// Which brokers, topics and partitions there are; consumers ask it every two seconds (`discovery-interval`).
    Metadata,
    /// Creating topics, until metadata names them.
    CreateTopics,
    /// Whether topics could be created.
    CheckTopics,
    /// Deleting a topic.
    DeleteTopic,
    /// Adding partitions to a topic, or whether that could be done.
    GrowTopic,
    /// A topic's settings.
    TopicConfig,
    /// Which groups there are, or which of them read a topic.
    Groups,
    /// What a group committed.
    GroupOffsets,
    /// Where a group stands in one partition.
    GroupPosition,
    /// Committing for a group without members.
    MoveGroup,
    /// Where partitions begin and end.
    Bounds,
    /// Reading one record.
    ReadRecord,
    /// Reading a log of schemas or bindings.
    ReadLog,
    /// Appending to such a log.
    AppendLog,
    /// Taking over a transactional id.
    BeginTransaction,
    /// Writing and committing a transaction.
    CommitTransaction,
    /// Starting a consumer, up to its first `JoinGroup`.
    StartConsumer,
    /// A group member's commit.
    Commit,
    /// Waiting until the producers' queue is empty.
    Flush,
}

impl ActionKind {
    /// All kinds, in the order of [`Published::actions`](super::Published::actions).
    pub const ALL: [Self; 19] = [
        Self::Metadata,
        Self::CreateTopics,
        Self::CheckTopics,
        Self::DeleteTopic,
        Self::GrowTopic,
        Self::TopicConfig,
        Self::Groups,
        Self::GroupOffsets,
        Self::GroupPosition,
        Self::MoveGroup,
        Self::Bounds,
        Self::ReadRecord,
        Self::ReadLog,
        Self::AppendLog,
        Self::BeginTransaction,
        Self::CommitTransaction,
        Self::StartConsumer,
        Self::Commit,
        Self::Flush,
    ];

    /// Its name as the value of a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::CreateTopics => "create_topics",
            Self::CheckTopics => "check_topics",
            Self::DeleteTopic => "delete_topic",
            Self::GrowTopic => "grow_topic",
            Self::TopicConfig => "topic_config",
            Self::Groups => "groups",
            Self::GroupOffsets => "group_offsets",
            Self::GroupPosition => "group_position",
            Self::MoveGroup => "move_group",
            Self::Bounds => "bounds",
            Self::ReadRecord => "read_record",
            Self::ReadLog => "read_log",
            Self::AppendLog => "append_log",
            Self::BeginTransaction => "begin_transaction",
            Self::CommitTransaction => "commit_transaction",
            Self::StartConsumer => "start_consumer",
            Self::Commit => "commit",
            Self::Flush => "flush",
        }
    }
}

/// The questions of one connection.
#[derive(Debug)]
pub(crate) struct Actions(Mutex<[Action; ActionKind::ALL.len()]>);

impl Default for Actions {
    fn default() -> Self {
        Self(Mutex::new(ActionKind::ALL.map(|kind| Action {
            kind,
            ok: 0,
            failed: 0,
            time: Histogram::of_times(),
        })))
    }
}

impl Actions {
    /// Counts a question that ended.
    pub(crate) fn ended(&self, kind: ActionKind, took: Duration, is_ok: bool) {
        let action = &mut self.0.lock()[kind as usize];
        if is_ok {
            action.ok += 1;
        } else {
            action.failed += 1;
        }
        action.time.observe(took.as_secs_f64());
    }

    pub(crate) fn shown(&self) -> Vec<Action> {
        self.0.lock().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_place_and_a_name_of_its_own() {
        let shown = Actions::default().shown();
        for (place, kind) in ActionKind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, shown[place].kind), (place, kind));
        }
        let names: BTreeSet<_> = ActionKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ActionKind::ALL.len());
    }

    #[test]
    fn a_question_is_counted_once_by_its_end() {
        let actions = Actions::default();
        actions.ended(ActionKind::Commit, Duration::from_millis(2), true);
        actions.ended(ActionKind::Commit, Duration::from_secs(2), false);
        for shown in actions.shown() {
            let asked = u64::from(shown.kind == ActionKind::Commit);
            assert_eq!((shown.ok, shown.failed), (asked, asked));
            assert_eq!(shown.time.count(), 2 * asked);
        }
    }
}
