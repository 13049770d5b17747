//! `publish STREAM`: publishes one event, or one tombstone, from the arguments and prints its receipt.

use anyhow::Context as _;
use kafkaesk_client::Connection;
use kafkaesk_core::{SchemaId, StreamId, headers::check_user_header};
use serde_json::json;

use super::PublishArguments;
use crate::{
    context::Context, errors::Usage, exit::Exit, format::OutputFormat, input, lines::Input, output,
};

/// Publishes one event.
pub(super) async fn run(context: &Context, arguments: &PublishArguments) -> anyhow::Result<Exit> {
    let Some(stream) = &arguments.stream else {
        return Err(Usage("give a stream, or --ndjson".into()).into());
    };
    let stream = StreamId::new(stream).map_err(Usage::of)?;
    let headers = headers(&arguments.headers)?;
    let event = match (&arguments.schema, arguments.tombstone) {
        (_, true) => None,
        (Some(schema), false) => {
            let schema: SchemaId = schema.parse().map_err(Usage::of)?;
            Some((schema, data(arguments).await?))
        }
        (None, false) => return Err(Usage("give --schema, or --tombstone".into()).into()),
    };
    let connection = context.connect_traced().await?;
    let publisher = connection.publisher();
    let mut publish = match (event, &arguments.key) {
        (Some((schema, data)), key) => {
            // Registers this program's own types, as a publish in Rust does.
            if connection.settings().auto_register {
                let mut own = context.app.schemas()?;
                own.retain(|event| event.id == schema);
                connection.catalog().register(&own).await?;
            }
            let publish = publisher.publish_json(stream.as_str(), schema.to_string(), data);
            match key {
                Some(key) => publish.key(key),
                None => publish,
            }
        }
        (None, Some(key)) => publisher.tombstone(stream.as_str(), key),
        (None, None) => return Err(Usage("--tombstone needs --key".into()).into()),
    };
    for (name, value) in headers {
        publish = publish.header(name, value);
    }
    if let Some(id) = &arguments.id {
        publish = publish.id(id);
    }
    let slip = slip(&connection, &stream).await;
    let receipt = publish.await?;
    if let Some(near) = slip {
        output::note(format!(
            "warning: stream {stream} is new; did you mean `{near}`? `streams delete {stream}` takes it back"
        ));
    }
    // The error must contain this, so that a user who reads only the error does not publish again.
    match context.options.format() {
        OutputFormat::Text => output::line(receipt.to_string()),
        OutputFormat::Json => output::json(&json!({
            "topic": receipt.topic.as_str(), "partition": receipt.partition, "offset": receipt.offset.map(|it| it.0),
        })),
    }
    .with_context(|| format!("{receipt} was published, but its receipt cannot be printed"))?;
    Ok(Exit::Done)
}

/// The existing stream that the user probably meant, if the publish would create a new one.
async fn slip(connection: &Connection, stream: &StreamId) -> Option<StreamId> {
    if !connection.settings().auto_create_streams {
        return None;
    }
    let topic = connection.settings().topic_prefix.topic(stream).ok()?;
    match connection.broker().topic(&topic, "Describe").await {
        Ok(None) => connection.catalog().near_stream(stream.as_str()).await,
        _ => None,
    }
}

/// The event's data, from wherever the arguments say.
async fn data(arguments: &PublishArguments) -> anyhow::Result<Vec<u8>> {
    Ok(match (&arguments.data, &arguments.file, &arguments.stdin) {
        (Some(elsewhere), ..) if elsewhere == "-" || elsewhere.starts_with('@') => {
            return Err(Usage(format!(
                "--data {elsewhere:?} is not JSON; a file is --file FILE, standard input is `-` as an argument of its own"
            ))
            .into());
        }
        (Some(json), ..) => json.clone().into_bytes(),
        (_, Some(file), _) => input::read(&Input::parse(file)).await?,
        (.., Some(_)) => input::read(&Input::Stdin).await?,
        _ => {
            return Err(Usage(
                "say what to publish: --data JSON, --file FILE, or `-` for standard input".into(),
            )
            .into());
        }
    })
}

fn headers(given: &[String]) -> Result<Vec<(&str, &str)>, Usage> {
    given
        .iter()
        .map(|header| {
            let (name, value) = header.split_once('=').ok_or_else(|| {
                Usage(format!(
                    "--header {header:?} has no `=`; write it as --header name=value"
                ))
            })?;
            check_user_header(name).map_err(Usage::of)?;
            Ok((name, value))
        })
        .collect()
}
