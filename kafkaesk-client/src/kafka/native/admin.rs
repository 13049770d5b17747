//! An administrator's questions for which rdkafka has no safe call: ids of topics, groups and what they committed, offsets of
//! partitions.
//! Each blocks for its timeout at most, and copies what it returns.

use std::{
    collections::HashMap,
    ffi::{CStr, CString, c_char},
    ptr::NonNull,
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList, bindings as sys,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{IsError, RDKafkaErrorCode},
};

use super::Queue;

/// The answer to an administrator's question; given back when dropped.
struct Answer(NonNull<sys::rd_kafka_event_t>);

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the event came out of our queue, and this is its only owner.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// Asks by `send`, which gets the client, options of this kind with this timeout, and the queue for the answer. Blocks for
/// `timeout` at most.
fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    kind: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    send: impl FnOnce(
        *mut sys::rd_kafka_t,
        *mut sys::rd_kafka_AdminOptions_t,
        *mut sys::rd_kafka_queue_t,
    ),
) -> Result<Answer, RDKafkaErrorCode> {
    let mut answers = ask_together(consumer, kind, timeout, 1, send)?;
    answers.pop().unwrap_or(Err(RDKafkaErrorCode::Fail))
}

/// The same, of so many questions that `send` asks at once. Their answers come in any order.
fn ask_together<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    kind: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    questions: usize,
    send: impl FnOnce(
        *mut sys::rd_kafka_t,
        *mut sys::rd_kafka_AdminOptions_t,
        *mut sys::rd_kafka_queue_t,
    ),
) -> Result<Vec<Result<Answer, RDKafkaErrorCode>>, RDKafkaErrorCode> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let answers = Queue::new(consumer).ok_or(RDKafkaErrorCode::Fail)?;
    let mut message = [0u8; 512];
    // SAFETY: client, options and queue are valid for the calls, and the options, which a question copies, are destroyed
    // here. The error text goes into a buffer of the length given.
    unsafe {
        let client = consumer.client().native_ptr();
        let options = sys::rd_kafka_AdminOptions_new(client, kind);
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options,
            timeout_ms,
            message.as_mut_ptr().cast(),
            message.len(),
        );
        send(client, options, answers.0.as_ptr());
        sys::rd_kafka_AdminOptions_destroy(options);
    }
    // librdkafka answers within the request's timeout, so this wait is longer.
    let until = Instant::now() + timeout + Duration::from_millis(500);
    let next = || {
        let left = until.saturating_duration_since(Instant::now());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid, and the event is ours.
        unsafe {
            let event = sys::rd_kafka_queue_poll(answers.0.as_ptr(), left);
            let answer = Answer(NonNull::new(event).ok_or(RDKafkaErrorCode::OperationTimedOut)?);
            let error = sys::rd_kafka_event_error(event);
            match error.is_error() {
                true => Err(error.into()),
                false => Ok(answer),
            }
        }
    };
    Ok((0..questions).map(|_| next()).collect())
}

/// The answer; `None` of a broker that does not know the question (the dev broker).
fn if_known(answer: Result<Answer, RDKafkaErrorCode>) -> Result<Option<Answer>, RDKafkaErrorCode> {
    match answer {
        Err(RDKafkaErrorCode::UnsupportedFeature) => Ok(None),
        answer => answer.map(Some),
    }
}

/// A C string, copied.
///
/// # Safety
/// The pointer is null, or it points to text that ends with a zero byte.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}

/// The ids of these topics, as Kafka's own tools write them. A topic that is absent, that may not be described, or that
/// lives on a broker without topic ids (before Apache Kafka 2.8) has none. Blocks for `timeout` at most. Creates
/// nothing.
pub(in super::super) fn topic_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<HashMap<String, String>, RDKafkaErrorCode> {
    let mut ids = HashMap::new();
    let names = c_strings(topics);
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let answer = ask(consumer, kind, timeout, |client, options, answers| {
        // SAFETY: `ask` gives what is valid for the call; the names are copied, and the collection is destroyed here.
        unsafe {
            let wanted =
                sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            sys::rd_kafka_DescribeTopics(client, wanted, options, answers);
            sys::rd_kafka_TopicCollection_destroy(wanted);
        }
    })?;
    // SAFETY: the event is ours and owns the result, the descriptions and the ids, which are read before it is given back.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.0.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let described = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        for index in 0..count {
            let topic = *described.add(index);
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            if sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0
            {
                continue;
            }
            ids.insert(
                text(sys::rd_kafka_TopicDescription_name(topic)),
                // librdkafka writes the base64 of MIME; Kafka's own tools print base64url.
                text(sys::rd_kafka_Uuid_base64str(id))
                    .replace('+', "-")
                    .replace('/', "_"),
            );
        }
    }
    Ok(ids)
}

/// A member of a group that brokers assign partitions to (KIP-848).
#[derive(Debug)]
pub(in super::super) struct GroupMember {
    pub(in super::super) group: String,
    pub(in super::super) client: String,
    pub(in super::super) host: String,
    pub(in super::super) id: String,
    /// The topics of its partitions, one for each partition.
    pub(in super::super) topics: Vec<String>,
}

/// A group as the brokers list it.
#[derive(Debug)]
pub(in super::super) struct ListedGroup {
    pub(in super::super) name: String,
    /// Whether brokers assign its partitions (KIP-848).
    pub(in super::super) is_by_brokers: bool,
    /// Whether anybody is in it; `None` on brokers that do not say (before Apache Kafka 2.6).
    pub(in super::super) has_members: Option<bool>,
}

/// The groups that may be described; none on the dev broker. Blocks for `timeout` at most.
pub(in super::super) fn groups<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    timeout: Duration,
) -> Result<Vec<ListedGroup>, RDKafkaErrorCode> {
    use sys::{rd_kafka_consumer_group_state_t as state, rd_kafka_consumer_group_type_t as kind};
    let asked = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS;
    let answer = ask(consumer, asked, timeout, |client, options, answers| {
        // SAFETY: `ask` gives what is valid for the call.
        unsafe { sys::rd_kafka_ListConsumerGroups(client, options, answers) }
    });
    let mut groups = Vec::new();
    let Some(answer) = if_known(answer)? else {
        return Ok(groups);
    };
    // SAFETY: the event is ours and owns the result and its listings, which are read before it is given back.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroups_result(answer.0.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let listed = sys::rd_kafka_ListConsumerGroups_result_valid(result, &mut count);
        for index in 0..count {
            let group = *listed.add(index);
            groups.push(ListedGroup {
                name: text(sys::rd_kafka_ConsumerGroupListing_group_id(group)),
                is_by_brokers: sys::rd_kafka_ConsumerGroupListing_type(group)
                    == kind::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER,
                has_members: match sys::rd_kafka_ConsumerGroupListing_state(group) {
                    state::RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN => None,
                    state::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY
                    | state::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => Some(false),
                    _ => Some(true),
                },
            });
        }
    }
    Ok(groups)
}

/// What a group committed in one partition.
#[derive(Debug)]
pub(in super::super) struct Committed {
    pub(in super::super) topic: String,
    pub(in super::super) partition: i32,
    /// The next offset.
    pub(in super::super) offset: i64,
    /// The text beside it; empty if it is not UTF-8.
    pub(in super::super) metadata: String,
}

/// What a group committed in these partitions, of which there is one at least, or everything. Blocks for `timeout` at most.
pub(in super::super) fn group_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    group: &str,
    only: Option<&TopicPartitionList>,
    timeout: Duration,
) -> Result<Vec<Committed>, RDKafkaErrorCode> {
    let Ok(group) = CString::new(group) else {
        return Ok(Vec::new());
    };
    let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
    let answer = ask(consumer, kind, timeout, |client, options, answers| {
        let only = only.map_or(std::ptr::null_mut(), TopicPartitionList::ptr);
        // SAFETY: `ask` gives what is valid for the call; the list is borrowed and copied, and null asks for all partitions; the
        // question copies its argument, which is destroyed here.
        unsafe {
            let mut wanted = sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), only);
            sys::rd_kafka_ListConsumerGroupOffsets(client, &mut wanted, 1, options, answers);
            sys::rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
        }
    })?;
    let mut offsets = Vec::new();
    // SAFETY: the event is ours and owns the result, its groups and their lists, which are read before it is given back.
    // Lists have as many elements as they say, and an element's metadata as many bytes.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(answer.0.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let groups = sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &mut count);
        for index in 0..count {
            let group = *groups.add(index);
            let error = sys::rd_kafka_group_result_error(group);
            if !error.is_null() {
                return Err(sys::rd_kafka_error_code(error).into());
            }
            let Some(list) = sys::rd_kafka_group_result_partitions(group).as_ref() else {
                continue;
            };
            for index in 0..usize::try_from(list.cnt).unwrap_or(0) {
                let element = &*list.elems.add(index);
                // What has no commit stands there with a negative offset.
                if element.offset < 0 {
                    continue;
                }
                let metadata: &[u8] = match element.metadata.is_null() {
                    true => &[],
                    false => {
                        std::slice::from_raw_parts(element.metadata.cast(), element.metadata_size)
                    }
                };
                offsets.push(Committed {
                    topic: text(element.topic),
                    partition: element.partition,
                    offset: element.offset,
                    metadata: std::str::from_utf8(metadata).unwrap_or_default().to_owned(),
                });
            }
        }
    }
    Ok(offsets)
}

/// The offset of a topic's partition, or why its leader did not give it.
pub(in super::super) type ListedOffset = (String, i32, Result<i64, RDKafkaErrorCode>);

/// Which records count where a partition ends.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Isolation {
    /// Committed ones, up to the first open transaction.
    Committed,
    /// All.
    Uncommitted,
}

/// The offsets of partitions: those at which the lists' elements stand (the beginning or the end), as far as their leaders
/// gave them within `timeout`, or why they did not. The lists are asked for at once, and librdkafka needs time that grows with
/// the square of each. What has no leader is left out. An error where none of the lists is answered. Blocks for `timeout` at
/// most.
pub(in super::super) fn list_offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    wanted: &[TopicPartitionList],
    isolation: Isolation,
    timeout: Duration,
) -> Result<Vec<ListedOffset>, RDKafkaErrorCode> {
    let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
    let questions = wanted.len();
    let answers = ask_together(
        consumer,
        kind,
        timeout,
        questions,
        |client, options, answers| {
            use sys::rd_kafka_IsolationLevel_t as level;
            let isolation = match isolation {
                Isolation::Committed => level::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
                Isolation::Uncommitted => level::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            };
            // SAFETY: `ask` gives what is valid for the calls; each list is borrowed and copied. An error of the option is ours;
            // it is null for options of this kind.
            unsafe {
                let error = sys::rd_kafka_AdminOptions_set_isolation_level(options, isolation);
                if !error.is_null() {
                    sys::rd_kafka_error_destroy(error);
                }
                for list in wanted {
                    sys::rd_kafka_ListOffsets(client, list.ptr(), options, answers);
                }
            }
        },
    )?;
    let (mut offsets, mut failed, mut answered) = (Vec::new(), None, false);
    for answer in answers {
        match answer {
            Ok(answer) => {
                answered = true;
                listed(&answer, &mut offsets)?;
            }
            // No partition has a leader, or none is there any more.
            Err(RDKafkaErrorCode::NoEnt | RDKafkaErrorCode::UnknownPartition) => answered = true,
            Err(code) => failed = Some(code),
        }
    }
    match failed {
        Some(code) if !answered => Err(code),
        _ => Ok(offsets),
    }
}

/// Copies what was found.
fn listed(answer: &Answer, offsets: &mut Vec<ListedOffset>) -> Result<(), RDKafkaErrorCode> {
    // SAFETY: the event is ours and owns the result, its elements and their partitions, which are read before it is given back.
    unsafe {
        let result = sys::rd_kafka_event_ListOffsets_result(answer.0.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let found = sys::rd_kafka_ListOffsets_result_infos(result, &mut count);
        for index in 0..count {
            let element = &*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*found.add(index));
            let offset = match element.err.is_error() {
                true => Err(element.err.into()),
                // A leader that did not answer left it as it was.
                false if element.offset < 0 => Err(RDKafkaErrorCode::OperationTimedOut),
                false => Ok(element.offset),
            };
            offsets.push((text(element.topic), element.partition, offset));
        }
    }
    Ok(())
}

/// The members of these groups. A group that is absent or may not be described has none, as every group of the dev
/// broker. Blocks for `timeout` at most.
pub(in super::super) fn group_members<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    groups: &[&str],
    timeout: Duration,
) -> Result<Vec<GroupMember>, RDKafkaErrorCode> {
    let mut members = Vec::new();
    let names = c_strings(groups);
    if names.is_empty() {
        return Ok(members);
    }
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let answer = ask(consumer, kind, timeout, |client, options, answers| {
        let (names, count) = (pointers.as_mut_ptr(), pointers.len());
        // SAFETY: `ask` gives what is valid for the call; the names are copied.
        unsafe { sys::rd_kafka_DescribeConsumerGroups(client, names, count, options, answers) }
    });
    let Some(answer) = if_known(answer)? else {
        return Ok(members);
    };
    // SAFETY: the event is ours and owns the result, the descriptions, their members and the lists of partitions, all of
    // which are read before it is given back. Lists have as many elements as they say.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer.0.as_ptr());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let described = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
        for index in 0..count {
            let group = *described.add(index);
            for index in 0..sys::rd_kafka_ConsumerGroupDescription_member_count(group) {
                let member = sys::rd_kafka_ConsumerGroupDescription_member(group, index);
                let assigned = sys::rd_kafka_MemberDescription_assignment(member);
                let partitions = sys::rd_kafka_MemberAssignment_partitions(assigned).as_ref();
                let count = partitions.map_or(0, |list| usize::try_from(list.cnt).unwrap_or(0));
                let elements = partitions.map(|list| list.elems);
                members.push(GroupMember {
                    group: text(sys::rd_kafka_ConsumerGroupDescription_group_id(group)),
                    client: text(sys::rd_kafka_MemberDescription_client_id(member)),
                    host: text(sys::rd_kafka_MemberDescription_host(member)),
                    id: text(sys::rd_kafka_MemberDescription_consumer_id(member)),
                    topics: (0..count)
                        .filter_map(|index| Some(text((*elements?.add(index)).topic)))
                        .collect(),
                });
            }
        }
    }
    Ok(members)
}

fn c_strings(names: &[&str]) -> Vec<CString> {
    let names = names.iter().filter_map(|name| CString::new(*name).ok());
    names.collect()
}
