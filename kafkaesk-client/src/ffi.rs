//! librdkafka calls that rdkafka has no safe form for. Clients in, settings of theirs changed; decides nothing.
#![allow(unsafe_code)]

use rdkafka::{
    bindings as sys,
    client::{Client, ClientContext},
};

/// How long the first join of a group waits for others, on the mock cluster inside this client. `false` if the client
/// has none.
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
