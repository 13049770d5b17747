//! names.json

use kafkaesk_core::{
    SchemaId, SchemaName, StreamId, TopicPrefix, headers::check_user_header,
    schema_id::parse_version,
};

use kafkaesk_vectors::{every, same, text};

#[test]
fn every_name_is_taken_or_refused_as_the_contract_says() {
    every("names.json", |case| {
        let name = text(case, "text");
        let valid = match text(case, "kind") {
            "stream" => StreamId::new(name).is_ok(),
            "prefix" => TopicPrefix::new(name).is_ok(),
            "schema-name" => SchemaName::new(name).is_ok(),
            "version" => parse_version(name).is_some(),
            "header" => check_user_header(name).is_ok(),
            "schema-id" => {
                let id = name.parse::<SchemaId>().ok();
                let parts = id.map(|id| serde_json::json!([id.name().as_str(), id.version()]));
                same(parts.as_ref(), case.get("id"))?;
                parts.is_some()
            }
            "topic" => {
                let prefix = TopicPrefix::new(text(case, "prefix"));
                let topic = prefix.and_then(|prefix| prefix.topic(&StreamId::new(name)?));
                let topic = topic.ok().map(|topic| topic.to_string());
                same(topic.as_deref(), case["topic"].as_str())?;
                topic.is_some()
            }
            kind => return Err(format!("unknown kind {kind}")),
        };
        same(Some(valid), case["valid"].as_bool())
    });
}
