//! kafkaesk and the Python library (kafkaesk 0.8.7) on one real Kafka, both ways. Fails where Python or Kafka is missing.

mod moves;
mod partitions;
mod pydantic;
mod python;
mod reads;
mod service;
mod suite;
