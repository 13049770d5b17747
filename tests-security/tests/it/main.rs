//! kafkaesk on a Kafka with TLS, SASL and ACLs, started for these tests alone. Fails where it cannot be started.

mod certificate;
mod dead_letters;
mod login;
mod oauth;
mod privilege;
mod rights;
mod secured;
mod service;
