//! Laws of `[[streams]]` and `schemas`.

use super::{Loader, case};

#[test]
fn a_stream_is_declared_with_all_it_needs() {
    let loaded = case("[[streams]]\nname = 'orders.placed'\nschema = 'Order'\npartitions = 12\nreplication-factor = 2\nretention = '7d'\nconfig = { 'max.message.bytes' = 2000000, segment.ms = 10 }\n\n[[streams]]\nname = 'plain'\n").load();
    let spec = &loaded.streams[0].spec;
    assert_eq!(spec.stream.as_str(), "orders.placed");
    assert_eq!(spec.schema.as_ref().unwrap().as_str(), "Order");
    assert_eq!(
        (spec.partitions, spec.replication_factor),
        (Some(12), Some(2))
    );
    assert_eq!(spec.retention.unwrap().as_secs(), 7 * 86_400);
    assert_eq!(spec.config["max.message.bytes"], "2000000");
    assert_eq!(spec.config["segment.ms"], "10");
    assert_eq!(loaded.streams[1].spec.partitions, None);
    assert_eq!(loaded.streams[1].origin.to_string(), "kafkaesk.toml:9");
}

#[test]
fn a_wrong_stream_says_where_and_why() {
    for (toml, expected) in [
        (
            "[[streams]]\nname = 'a'\nretension = '7d'\n",
            "kafkaesk.toml:3: unknown key `streams[0].retension`; did you mean `retention`?",
        ),
        (
            "[[streams]]\nschema = 'A'\n",
            "kafkaesk.toml:1: `streams[0].name`: it is missing, and there is no default",
        ),
        (
            "[[streams]]\nname = 'a'\n[[streams]]\nname = 'a'\n",
            "kafkaesk.toml:3: `streams.name`: a is declared at kafkaesk.toml:1 already; keep one",
        ),
        (
            "[[streams]]\nname = 'a b'\n",
            "kafkaesk.toml:2: `streams[0].name`: stream id \"a b\" has ' ' at byte 1; Kafka allows only letters, digits, `.`, `_`, `-`",
        ),
        (
            "[[streams]]\nname = 'a'\npartitions = 0\n",
            "kafkaesk.toml:3: `streams[0].partitions`: the number 0 is not a whole number from 1 to 10000",
        ),
        (
            "[[streams]]\nname = 'a'\nretention = 5\nconfig = { 'retention.ms' = 3 }\n",
            "kafkaesk.toml:4: `streams[0].config`: `retention.ms` and `retention` are both set; keep `retention`",
        ),
        (
            "[[streams]]\nname = 'a'\nschema = 'A'\nkeys = 'some'\n",
            "kafkaesk.toml:4: `streams[0].keys`: \"some\" is not one of \"any\" and \"none\"",
        ),
        (
            "[[streams]]\nname = 'a'\nschema = 'A'\npartition-growth = true\n",
            "kafkaesk.toml:4: `streams[0].partition-growth`: `true` is not text in quotes",
        ),
        (
            "[[streams]]\nname = 'a'\nschema = 'A'\npartition-growth = 'on'\n",
            "kafkaesk.toml:4: `streams[0].partition-growth`: \"on\" is not one of \"propose\", \"auto\" and \"off\"",
        ),
        (
            "[[streams]]\nname = 'a'\nkeys = 'none'\n",
            "kafkaesk.toml:3: `streams[0].keys`: it is kept beside the schema that the stream is bound to; declare `schema` as well",
        ),
        (
            "streams = ['a']\n",
            "kafkaesk.toml:1: `streams[0]`: \"a\" is not a table",
        ),
    ] {
        assert_eq!(case(toml).refused(), expected);
    }
}

#[test]
fn schemas_are_found_beside_the_file_that_names_them() {
    let case = case("schemas = ['schemas/*.json', 'deep/*/[AB].1.json']\n");
    for name in [
        "schemas/Order.2.json",
        "schemas/Order.1.json",
        "schemas/.Hidden.1.json",
        "schemas/notes.txt",
        "deep/x/A.1.json",
        "deep/y/C.1.json",
    ] {
        case.write(name, "{}");
    }
    case.write("below/here", "");
    let expected: Vec<_> = ["schemas/Order.1.json", "schemas/Order.2.json"]
        .map(|name| case.path(name))
        .into();
    let deep = case.path("deep/x/A.1.json");
    let loaded = Loader::new()
        .directory(case.path("below"))
        .variables::<String>([])
        .load()
        .unwrap();
    assert_eq!(loaded.schemas[0].expand().unwrap(), expected);
    assert_eq!(loaded.schemas[1].expand().unwrap(), [deep]);
}

#[test]
fn a_pattern_that_finds_nothing_is_an_error_with_its_place() {
    let loaded = case("schemas = ['nothing/*.json']\n").load();
    let error = loaded.schemas[0].expand().unwrap_err().to_string();
    assert!(
        error.starts_with("kafkaesk.toml:1: `schemas`: no file is found at \"nothing/*.json\" ("),
        "{error}"
    );
}

#[test]
fn the_short_form_carries_streams_and_retention() {
    let loaded = case("[[schemas]]\nfile = 'Order.json'\nname = 'Order'\nversion = 3\nstreams = ['orders.placed', 'orders.paid']\nretention = '24h'\n").load();
    let schema = &loaded.schemas[0];
    assert_eq!(schema.written, "Order.json");
    assert_eq!(
        (schema.name.as_ref().unwrap().as_str(), schema.version),
        ("Order", Some(3))
    );
    assert_eq!(schema.streams.len(), 2);
    assert_eq!(schema.retention.unwrap().as_secs(), 86_400);
    let error = case("[[schemas]]\nfile = 'a'\nversion = 0\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:3: `schemas[0].version`: the number 0 is not a whole number from 1 to 2147483647"
    );
    let error = case("[[schemas]]\nfile = 'a'\nstream = ['b']\n").refused();
    assert_eq!(
        error,
        "kafkaesk.toml:3: unknown key `schemas[0].stream`; did you mean `streams`?"
    );
}
