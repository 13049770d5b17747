//! Near: the stream that was probably meant, for errors and notes of one that is not there.

use kafkaesk_client::Connection;

/// As the end of an error; empty where nothing is near. `text`: a stream id or a pattern.
pub(super) async fn stream(connection: &Connection, text: &str) -> String {
    let near = connection.catalog().near_stream(text).await;
    let near = near.map(|near| format!("; did you mean `{near}`?"));
    near.unwrap_or_default()
}
