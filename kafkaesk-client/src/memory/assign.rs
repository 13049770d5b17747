//! Assigns partitions to a group's members, evenly and stickily. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::store::TopicPartition;

/// A group member's number; later members have higher ones.
pub(super) type MemberId = u64;

/// The assignment that moves the least from `current` and leaves no two members more than one partition apart,
/// as far as their patterns allow.
pub(super) fn assign(
    wanted: &BTreeMap<MemberId, BTreeSet<TopicPartition>>,
    current: &BTreeMap<TopicPartition, MemberId>,
) -> BTreeMap<TopicPartition, MemberId> {
    let takes = |member: MemberId, partition: &TopicPartition| {
        wanted
            .get(&member)
            .is_some_and(|partitions| partitions.contains(partition))
    };
    let mut target: BTreeMap<TopicPartition, MemberId> = current
        .iter()
        .filter(|(partition, member)| takes(**member, partition))
        .map(|(partition, member)| (partition.clone(), *member))
        .collect();
    let mut load: BTreeMap<MemberId, usize> = wanted.keys().map(|member| (*member, 0)).collect();
    for member in target.values() {
        *load.entry(*member).or_default() += 1;
    }

    let all: BTreeSet<&TopicPartition> = wanted.values().flatten().collect();
    for partition in all {
        if target.contains_key(partition) {
            continue;
        }
        let lightest = load
            .iter()
            .filter(|(member, _)| takes(**member, partition))
            .min_by_key(|(member, count)| (**count, **member))
            .map(|(member, _)| *member);
        if let Some(member) = lightest {
            target.insert(partition.clone(), member);
            *load.entry(member).or_default() += 1;
        }
    }

    // Each move narrows the gap between two members by two, so this ends.
    while let Some((partition, from, to)) = uneven(&target, &load, takes) {
        target.insert(partition, to);
        *load.entry(from).or_default() -= 1;
        *load.entry(to).or_default() += 1;
    }
    target
}

/// A partition whose owner has at least two more than another member that takes it.
fn uneven(
    target: &BTreeMap<TopicPartition, MemberId>,
    load: &BTreeMap<MemberId, usize>,
    takes: impl Fn(MemberId, &TopicPartition) -> bool,
) -> Option<(TopicPartition, MemberId, MemberId)> {
    target.iter().rev().find_map(|(partition, from)| {
        let (to, count) = load
            .iter()
            .filter(|(member, _)| takes(**member, partition))
            .min_by_key(|(member, count)| (**count, **member))?;
        (load.get(from)? > &(count + 1)).then(|| (partition.clone(), *from, *to))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(count: i32) -> BTreeSet<TopicPartition> {
        (0..count).map(|p| ("t".to_owned(), p)).collect()
    }

    fn loads(target: &BTreeMap<TopicPartition, MemberId>, members: u64) -> Vec<usize> {
        (0..members)
            .map(|m| target.values().filter(|owner| **owner == m).count())
            .collect()
    }

    #[test]
    fn a_member_whose_pattern_does_not_match_gets_nothing() {
        let wanted = BTreeMap::from([(0, partitions(4)), (1, BTreeSet::new())]);
        assert_eq!(loads(&assign(&wanted, &BTreeMap::new()), 2), [4, 0]);
    }

    proptest! {
        #[test]
        fn every_partition_has_one_owner_and_loads_differ_by_one_at_most(
            count in 0..40_i32, before in 1..6_u64, after in 1..6_u64,
        ) {
            let wanted = |members: u64| (0..members).map(|m| (m, partitions(count))).collect::<BTreeMap<_, _>>();
            let first = assign(&wanted(before), &BTreeMap::new());
            let second = assign(&wanted(after), &first);
            prop_assert_eq!(second.len(), count as usize);
            let loads = loads(&second, after);
            prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        }

        #[test]
        fn a_joining_member_moves_only_what_it_gets(count in 1..40_i32, before in 1..6_u64) {
            let wanted = |members: u64| (0..members).map(|m| (m, partitions(count))).collect::<BTreeMap<_, _>>();
            let first = assign(&wanted(before), &BTreeMap::new());
            let second = assign(&wanted(before + 1), &first);
            for (partition, owner) in second {
                prop_assert!(owner == before || first[&partition] == owner);
            }
        }
    }
}
