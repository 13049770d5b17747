//! Integration tests: the client against brokers. Those that need Apache Kafka fail without one.

mod dev;
