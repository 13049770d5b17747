//! Assign: shares partitions out over members, moving as few as possible, as `cooperative-sticky` does. Moves no records.

use super::{NOBODY, STOPPED, World};

impl World {
    /// Shares all partitions out over the members that Kafka knows.
    pub(super) fn rebalance(&mut self) {
        self.changed = false;
        let living: Vec<usize> = (0..self.members.len())
            .filter(|at| self.members[*at].is_in)
            .collect();
        let mut free: Vec<u32> = Vec::new();
        for (at, member) in self.members.iter_mut().enumerate() {
            if !member.is_in && !member.partitions.is_empty() {
                for partition in &member.partitions {
                    self.owner[*partition as usize] = NOBODY;
                }
                member.partitions.clear();
                (member.share, member.lag) = (0.0, 0.0);
                debug_assert!(!living.contains(&at));
            }
        }
        if living.is_empty() {
            self.orphaned = true;
            return;
        }
        let partitions = self.owner.len();
        let (few, mut more) = (partitions / living.len(), partitions % living.len());
        // Those that have most keep one more.
        let mut by_size = living.clone();
        by_size.sort_by_key(|at| std::cmp::Reverse(self.members[*at].partitions.len()));
        let mut wanted = vec![0; self.members.len()];
        for at in &by_size {
            wanted[*at] = few + usize::from(more > 0);
            more = more.saturating_sub(1);
        }
        for at in &living {
            let member = &mut self.members[*at];
            if member.partitions.len() > wanted[*at] {
                let surplus = member.partitions.split_off(wanted[*at]);
                member.moved += surplus.len() as u64;
                for partition in surplus {
                    self.owner[partition as usize] = NOBODY;
                }
            }
        }
        for (partition, owner) in self.owner.iter().enumerate() {
            if *owner == NOBODY {
                free.push(partition as u32);
            }
        }
        for at in &living {
            let member = &mut self.members[*at];
            let kept = member.partitions.len() as f64;
            while member.partitions.len() < wanted[*at] {
                let Some(partition) = free.pop() else { break };
                member.partitions.push(partition);
                member.moved += 1;
                self.owner[partition as usize] = *at;
            }
            let share = 1.0 - kept / member.partitions.len().max(1) as f64;
            member.still = (share, self.now + STOPPED);
        }
        for at in &living {
            let member = &mut self.members[*at];
            let own = member.partitions.iter().map(|it| *it as usize);
            member.share = own.clone().map(|it| self.shares[it]).sum();
            member.lag = own.map(|it| self.backlog[it]).sum();
        }
        self.orphaned = false;
    }
}
