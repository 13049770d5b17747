//! The one module with `unsafe`: librdkafka's queues and messages where rdkafka has no safe call for them, and in `admin` its
//! questions.
//!
//! Queues in, batches of borrowed messages out. Decides nothing about groups, offsets or errors.
#![allow(unsafe_code)]

mod admin;

use std::{
    ffi::{CStr, CString},
    ptr::NonNull,
    slice,
};

use bytes::Bytes;
use kafkaesk_core::Headers;
use rdkafka::{
    TopicPartitionList, bindings as sys,
    client::{Client, ClientContext, OAuthToken},
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{IsError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

pub(super) use self::admin::{
    GroupMember, Isolation, group_members, group_offsets, groups, list_offsets, topic_ids,
};

/// A queue of our own, into which partitions are forwarded. To be dropped before its client.
#[derive(Debug)]
pub(super) struct Queue(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues are locked inside and may be used from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    pub(super) fn new<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the client pointer is valid as long as `consumer` is borrowed.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        NonNull::new(queue).map(Self)
    }

    /// How many messages and events wait here.
    pub(super) fn len(&self) -> usize {
        // SAFETY: the pointer is valid as long as `self`.
        unsafe { sys::rd_kafka_queue_length(self.0.as_ptr()) }
    }

    /// From now on this partition's records come out of this queue. To be called before the partition is assigned.
    pub(super) fn forward<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        topic: &str,
        partition: i32,
    ) -> bool {
        let Ok(topic) = CString::new(topic) else {
            return false;
        };
        // SAFETY: client and topic are valid for the call. The partition's queue is our reference, given back at once:
        // forwarding keeps one of its own to the target.
        unsafe {
            let source = sys::rd_kafka_queue_get_partition(
                consumer.client().native_ptr(),
                topic.as_ptr(),
                partition,
            );
            if source.is_null() {
                return false;
            }
            sys::rd_kafka_queue_forward(source, self.0.as_ptr());
            sys::rd_kafka_queue_destroy(source);
        }
        true
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_queue_new`, and this is its only owner.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// Sends a commit without waiting; its answer comes out of `answers` with this number (see [`commit_answer`]).
///
/// rdkafka's own asynchronous commit does not report its result.
pub(super) fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    offsets: &TopicPartitionList,
    answers: &Queue,
    number: usize,
) -> Result<(), RDKafkaErrorCode> {
    // SAFETY: client, list and queue are valid for the call; the list is copied. The opaque is a number, which nobody
    // follows as a pointer.
    let error = unsafe {
        sys::rd_kafka_commit_queue(
            consumer.client().native_ptr(),
            offsets.ptr(),
            answers.0.as_ptr(),
            None,
            std::ptr::without_provenance_mut(number),
        )
    };
    if error.is_error() {
        Err(error.into())
    } else {
        Ok(())
    }
}

/// How a commit was answered.
#[derive(Debug)]
pub(super) struct CommitAnswer {
    /// The number that [`commit`] was given.
    pub(super) number: usize,
    /// The error of the whole commit, or of all its partitions.
    pub(super) result: Result<(), RDKafkaErrorCode>,
    /// The partitions that were refused, also where the commit as a whole was not.
    pub(super) refused: Vec<(String, i32, RDKafkaErrorCode)>,
}

/// The answer to the next commit that was answered; waits this long for it.
pub(super) fn commit_answer(answers: &Queue, timeout_ms: i32) -> Option<CommitAnswer> {
    // SAFETY: the queue is ours. An event is ours too: it and the list that it owns are read here, then it is given back.
    // The list's elements are as many as it says, and their topics are text that ends with a zero byte.
    unsafe {
        let event = sys::rd_kafka_queue_poll(answers.0.as_ptr(), timeout_ms);
        if event.is_null() {
            return None;
        }
        let error = sys::rd_kafka_event_error(event);
        let number = sys::rd_kafka_event_opaque(event).addr();
        let mut refused = Vec::new();
        if let Some(list) = sys::rd_kafka_event_topic_partition_list(event).as_ref() {
            let count = usize::try_from(list.cnt).unwrap_or(0);
            for element in (0..count).map(|index| &*list.elems.add(index)) {
                if element.err.is_error() {
                    let topic = CStr::from_ptr(element.topic).to_string_lossy().into_owned();
                    refused.push((topic, element.partition, element.err.into()));
                }
            }
        }
        sys::rd_kafka_event_destroy(event);
        let result = if error.is_error() {
            Err(error.into())
        } else {
            Ok(())
        };
        Some(CommitAnswer {
            number,
            result,
            refused,
        })
    }
}

/// Whether the coordinator knows this consumer as a member of its group: it was given a member id and has not left.
pub(super) fn is_member<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> bool {
    // SAFETY: the client is valid for the call. The text is ours, ends with a zero byte, and is given back.
    unsafe {
        let client = consumer.client().native_ptr();
        let id = sys::rd_kafka_memberid(client);
        if id.is_null() {
            return false;
        }
        let known = *id != 0;
        sys::rd_kafka_mem_free(client, id.cast());
        known
    }
}

/// Whether the group counts this consumer in its current generation, or was last heard to. Asks no broker. In a classic group
/// this begins with the answer to JoinGroup, before partitions are assigned; with KIP-848, with the first heartbeat.
pub(super) fn is_in_group<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> bool {
    // SAFETY: the client is valid for the call. The metadata is ours, its id is text that ends with a zero byte and lives as
    // long, and both are read before it is given back.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return false;
        }
        let id = sys::rd_kafka_consumer_group_metadata_member_id(metadata);
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        let known = !id.is_null() && *id != 0 && generation > 0;
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        known
    }
}

/// A partition read without a group. To be dropped before its client.
#[derive(Debug)]
pub(super) struct Reading {
    topic: NonNull<sys::rd_kafka_topic_t>,
    partition: i32,
}

// SAFETY: topic handles are reference counted and locked inside.
unsafe impl Send for Reading {}

impl Reading {
    /// Starts fetching into `queue` from `offset` (or -2, the first; -1, the end).
    pub(super) fn start<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        queue: &Queue,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Self, RDKafkaErrorCode> {
        let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
        // SAFETY: client, name and queue are valid for the calls; a null configuration means the client's default.
        // The topic handle is released here on failure and by `Drop` otherwise.
        unsafe {
            let handle = sys::rd_kafka_topic_new(
                consumer.client().native_ptr(),
                name.as_ptr(),
                std::ptr::null_mut(),
            );
            let Some(topic) = NonNull::new(handle) else {
                return Err(sys::rd_kafka_last_error().into());
            };
            if sys::rd_kafka_consume_start_queue(
                topic.as_ptr(),
                partition,
                offset,
                queue.0.as_ptr(),
            ) != 0
            {
                let code = sys::rd_kafka_last_error().into();
                sys::rd_kafka_topic_destroy(topic.as_ptr());
                return Err(code);
            }
            Ok(Self { topic, partition })
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and the partition was started on it exactly once.
        unsafe {
            sys::rd_kafka_consume_stop(self.topic.as_ptr(), self.partition);
            sys::rd_kafka_topic_destroy(self.topic.as_ptr());
        }
    }
}

/// Messages popped together; given back to librdkafka when dropped or refilled. To be dropped before the client.
#[derive(Debug)]
pub(super) struct Batch {
    /// Capacity fixed at creation; each pointer is a message that we own.
    messages: Vec<*mut sys::rd_kafka_message_t>,
    limit: usize,
}

// SAFETY: the messages are owned by the batch alone, and librdkafka binds them to no thread.
unsafe impl Send for Batch {}

impl Batch {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            messages: Vec::with_capacity(limit),
            limit,
        }
    }

    /// Pops at most `most` messages, and waits for that many at most `timeout_ms`.
    pub(super) fn fill(&mut self, queue: &Queue, timeout_ms: i32, most: usize) -> usize {
        self.clear();
        // SAFETY: the vector has room for `limit` pointers and librdkafka writes `most` of them at most. A positive
        // answer is how many it wrote, each a message that is now ours.
        unsafe {
            let popped = sys::rd_kafka_consume_batch_queue(
                queue.0.as_ptr(),
                timeout_ms,
                self.messages.as_mut_ptr(),
                most.min(self.limit),
            );
            let popped = usize::try_from(popped).unwrap_or(0);
            self.messages.set_len(popped);
            popped
        }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        self.messages.iter().map(|message| {
            // SAFETY: every pointer in the vector is a valid message until `clear`, which needs `&mut self`.
            Message(unsafe { &**message })
        })
    }

    pub(super) fn clear(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: we own each message and forget its pointer here.
            unsafe { sys::rd_kafka_message_destroy(message) }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A message, or an error in its place, borrowed from librdkafka.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a>(&'a sys::rd_kafka_message_t);

impl<'a> Message<'a> {
    /// One that rdkafka popped.
    pub(super) fn of(message: &'a BorrowedMessage<'_>) -> Self {
        // SAFETY: rdkafka's message is valid as long as it is borrowed.
        Self(unsafe { &*message.ptr() })
    }

    /// The error that stands in a record's place.
    pub(super) fn error(self) -> Option<RDKafkaErrorCode> {
        self.0.err.is_error().then(|| self.0.err.into())
    }

    /// Equal for all messages of one topic while they are borrowed.
    pub(super) fn topic_key(self) -> usize {
        self.0.rkt as usize
    }

    pub(super) fn topic(self) -> &'a str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the message holds a reference to its topic, whose name is a C string that lives as long.
        let name = unsafe { CStr::from_ptr(sys::rd_kafka_topic_name(self.0.rkt)) };
        // Kafka's names are ASCII; anything else matches no topic of ours.
        name.to_str().unwrap_or_default()
    }

    pub(super) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// The value, or an error's words.
    pub(super) fn payload(self) -> Option<&'a [u8]> {
        bytes_at(self.0.payload.cast(), self.0.len)
    }

    pub(super) fn key(self) -> Option<&'a [u8]> {
        bytes_at(self.0.key.cast(), self.0.key_len)
    }

    pub(super) fn timestamp(self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, and `kind` is a place for the answer.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.0, &mut kind) };
        (kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && millis >= 0)
            .then_some(millis)
    }

    /// The headers, copied; the error where there are headers that librdkafka cannot read (it reads 100,000 at most).
    /// A name that is not UTF-8 keeps its readable part.
    pub(super) fn headers(self) -> Result<Headers, RDKafkaErrorCode> {
        let mut headers = Headers::new();
        let mut native = std::ptr::null_mut();
        // SAFETY: the message is valid; the headers stay its own.
        let answer = unsafe { sys::rd_kafka_message_headers(self.0, &mut native) };
        if answer.is_error() {
            return match answer.into() {
                RDKafkaErrorCode::NoEnt => Ok(headers),
                code => Err(code),
            };
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the headers are valid as long as the message; the places take the answer. An index behind the
            // last is answered with an error, on which the loop ends.
            let text = unsafe {
                if sys::rd_kafka_header_get_all(native, index, &mut name, &mut value, &mut size)
                    .is_error()
                {
                    break;
                }
                CStr::from_ptr(name).to_string_lossy().into_owned()
            };
            headers.push(
                text,
                bytes_at(value.cast(), size).map(Bytes::copy_from_slice),
            );
        }
        Ok(headers)
    }

    /// Whether an undelivered message may still be in the log.
    pub(super) fn possibly_persisted(self) -> bool {
        // SAFETY: the message is valid.
        let status = unsafe { sys::rd_kafka_message_status(self.0) };
        status != sys::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
    }
}

fn bytes_at<'a>(pointer: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: callers pass a pointer and a length out of one message, which owns that memory for as long as the
    // message is borrowed; null means that there is nothing.
    (!pointer.is_null()).then(|| unsafe { slice::from_raw_parts(pointer, length) })
}

/// Gives a token to a client whose events no thread polls (the admin client).
pub(super) fn set_token<C: ClientContext>(
    client: &Client<C>,
    token: &OAuthToken,
) -> Result<(), String> {
    let text = CString::new(token.token.as_str()).map_err(|e| e.to_string())?;
    let principal = CString::new(token.principal_name.as_str()).map_err(|e| e.to_string())?;
    let mut message = [0u8; 512];
    // SAFETY: client and strings are valid for the call, and the error goes into a buffer of the length given, as a
    // C string.
    unsafe {
        let code = sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            text.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            message.as_mut_ptr().cast(),
            message.len(),
        );
        if code.is_error() {
            return Err(CStr::from_ptr(message.as_ptr().cast())
                .to_string_lossy()
                .into_owned());
        }
    }
    Ok(())
}

/// How long the first join of a group waits for others, on the mock cluster inside this client. `false` if the client
/// has none.
#[cfg(feature = "dev-broker")]
pub(crate) fn set_mock_rebalance_delay<C: ClientContext>(
    client: &Client<C>,
    milliseconds: i32,
) -> bool {
    // SAFETY: the client pointer is valid as long as `client` is borrowed, and so is the mock cluster, which the client
    // owns. The setter takes the cluster's lock.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(client.native_ptr());
        if cluster.is_null() {
            return false;
        }
        sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, milliseconds);
    }
    true
}
