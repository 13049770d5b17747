//! partitions.json

use kafkaesk_core::partitioner::{murmur2, partition_for_key};

use kafkaesk_vectors::{bytes, every, same};

#[test]
fn every_key_lands_where_other_clients_put_it() {
    every("partitions.json", |case| {
        let key = bytes(&case["key"]).expect("a key");
        same(Some(u64::from(murmur2(&key))), case["murmur2"].as_u64())?;
        let partitions = case["partitions"].as_object().expect("partitions");
        if partitions.is_empty() {
            return Err("no counts".into());
        }
        for (count, partition) in partitions {
            let count = count.parse().map_err(|_| "a count is not a number")?;
            let found = i64::from(partition_for_key(&key, count));
            same(Some(found), partition.as_i64())?;
        }
        Ok(())
    });
}
