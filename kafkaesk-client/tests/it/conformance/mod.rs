//! One set of laws for every broker behind the seam: in memory (on a paused clock) and on a real Apache Kafka.

mod dead_letters;
mod fixture;
mod groups;
mod growth;
mod lag;
mod published;
mod publishing;
mod readers;
mod records;
mod topics;
mod transactions;

/// Each law becomes two tests, one for each broker.
macro_rules! laws {
    ($($module:ident::$law:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(start_paused = true)]
            async fn $law() {
                super::$module::$law(super::fixture::Fixture::memory()).await;
            })*
        }
        mod kafka {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() {
                super::$module::$law(super::fixture::Fixture::kafka().await).await;
            })*
        }
    };
}

laws! {
    records::a_topic_is_created_once_and_seen_at_once,
    records::an_absent_topic_is_refused_and_not_created,
    records::a_partition_that_is_not_there_is_refused,
    records::a_name_that_differs_only_in_dots_is_refused,
    records::what_was_sent_is_what_is_read,
    records::an_event_of_a_consumer_is_bounded_headers_included,
    records::a_key_lands_where_the_contract_says,
    records::a_log_reads_back_in_order,
    records::a_log_is_read_on_from_where_reading_ended,
    records::the_last_value_is_a_partitions_newest,
    groups::a_group_goes_on_behind_its_commit,
    groups::what_was_not_committed_comes_again,
    groups::a_pattern_takes_up_later_topics_and_nothing_of_another_prefix,
    groups::members_joining_and_leaving_lose_and_repeat_nothing,
    groups::latest_skips_what_was_there_and_reads_later_topics_whole,
    groups::latest_means_the_groups_first_start,
    groups::a_duration_back_starts_there,
    groups::a_consumer_may_be_closed_twice,
    groups::a_paused_partition_rests_until_it_is_resumed,
    groups::a_member_that_takes_no_part_gives_its_partitions_to_others_and_comes_back,
    groups::an_acknowledged_commit_is_written_even_while_a_revoke_waits_and_not_after_it,
    groups::a_member_has_joined_whether_or_not_it_got_a_partition_until_it_leaves,
    lag::a_groups_lag_is_what_it_has_not_committed,
    lag::groups_that_read_our_streams_are_found_and_others_are_not,
    lag::what_is_deleted_is_no_lag,
    lag::the_lag_of_given_partitions_is_theirs_alone,
    lag::a_group_that_never_committed_is_behind_by_all_that_is_there,
    lag::offsets_that_hold_no_record_are_no_lag,
    lag::a_partition_that_is_not_there_has_no_bounds_and_the_others_have,
    published::what_is_said_of_publishes_is_what_their_receipts_say,
    published::a_refused_event_is_counted_under_its_schema_and_nothing_is_sent,
    published::a_publish_has_one_end_and_an_accepted_record_another,
    publishing::a_tombstone_is_a_null_value_under_its_key,
    publishing::a_tombstone_creates_and_binds_nothing,
    publishing::a_key_is_refused_where_the_stream_takes_none,
    publishing::a_property_of_a_stream_changes_only_where_that_is_asked_for,
    publishing::a_stored_document_that_cannot_be_used_refuses_every_publish,
    publishing::a_trace_is_carried_whole_or_not_at_all,
    readers::a_reader_tells_each_end_once_and_reads_on,
    readers::a_reader_of_one_partition_reads_it_from_its_offset_and_nothing_else,
    readers::a_reader_leaves_nothing_behind,
    readers::a_reserved_topic_reaches_no_consumer,
    topics::a_committed_offset_that_was_deleted_is_said_with_what_was_lost,
    topics::a_committed_offset_beyond_the_end_is_said_with_what_is_read_again,
    topics::records_deleted_while_a_partition_rests_are_said,
    topics::a_position_passes_offsets_without_records,
    topics::a_partition_that_is_added_is_read_within_seconds,
    topics::a_topic_created_again_is_read_from_its_first_record,
    topics::a_record_is_passed_over_only_where_it_is_the_next_one,
    topics::a_group_is_moved_while_it_has_no_members_and_not_else,
    growth::a_drained_stream_grows_and_later_events_follow_the_earlier_ones,
    growth::a_stream_that_is_not_drained_in_time_stays_as_it_is,
    growth::a_publisher_that_does_not_pause_is_noticed,
    growth::publishers_use_added_partitions_within_two_seconds,
    growth::a_growth_is_as_old_as_the_first_record_of_the_newest_partition,
    growth::consumers_read_added_partitions_within_five_seconds,
    growth::what_stands_against_a_growth_is_named_and_changes_nothing,
    growth::a_compacted_topic_is_never_grown,
    growth::a_keyed_record_in_a_stream_without_keys_stands_against_its_growth,
    dead_letters::what_is_settled_is_known_and_what_is_no_letter_is_shown,
    dead_letters::unsettled_letters_are_counted_with_the_age_of_the_oldest,
    dead_letters::a_redrive_hands_each_letter_back_once_and_unchanged,
    dead_letters::a_redrive_that_was_ended_goes_on_where_it_ended,
    dead_letters::a_redrive_that_is_cut_off_anywhere_repeats_and_loses_nothing,
    dead_letters::a_second_redrive_takes_over_from_the_first,
    dead_letters::nothing_is_redriven_to_a_group_that_does_not_read_it,
    transactions::a_transaction_writes_to_several_topics_what_it_was_given,
    transactions::a_transaction_that_fails_writes_nothing_and_the_next_one_does,
    transactions::what_is_published_into_an_outbox_is_written_by_its_transaction_alone,
    transactions::records_and_offsets_are_committed_together_or_not_at_all,
    transactions::a_group_that_went_on_without_a_member_refuses_its_transaction,
    transactions::offsets_of_a_partition_that_goes_are_committed_until_it_is_let_go,
    transactions::who_begins_later_takes_the_id_from_who_began_before,
}
