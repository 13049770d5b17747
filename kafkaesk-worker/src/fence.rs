//! Fence: a lane waits while a handler of a former assignment still works on the same key of the same partition. So one
//! process never handles a key twice at the same time. Pure.

use rustc_hash::FxHashMap;

use crate::{
    partitions::Generation,
    schedule::{LaneId, Schedule},
};

/// Lanes that wait, by the lane of the former assignment that they wait for.
#[derive(Debug, Default)]
pub(crate) struct Fence(FxHashMap<LaneId, LaneId>);

impl Fence {
    /// A lane of the assignment `generation` waits until this lane of a former assignment ends.
    pub(crate) fn raise(
        &mut self,
        former: LaneId,
        generation: Generation,
        schedule: &mut Schedule,
    ) {
        let waiting = LaneId {
            generation,
            lane: former.lane,
        };
        schedule.occupy(waiting);
        if let Some(before) = self.0.insert(former, waiting) {
            schedule.release(before);
        }
    }

    /// What ran in this lane has ended.
    pub(crate) fn ended(&mut self, former: LaneId, schedule: &mut Schedule) {
        let Some(waiting) = self.0.remove(&former) else {
            return;
        };
        // The same lane may wait for a second former assignment.
        if !self.0.values().any(|lane| *lane == waiting) {
            schedule.release(waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Lane;

    fn lane(generation: Generation) -> LaneId {
        LaneId {
            generation,
            lane: Lane::Key(7),
        }
    }

    #[test]
    fn a_lane_is_free_when_all_that_it_waits_for_has_ended() {
        let (mut fence, mut schedule) = (Fence::default(), Schedule::default());
        fence.raise(lane(1), 3, &mut schedule);
        fence.raise(lane(2), 3, &mut schedule);
        assert!(!schedule.is_idle(lane(3)));
        fence.ended(lane(1), &mut schedule);
        assert!(!schedule.is_idle(lane(3)));
        fence.ended(lane(2), &mut schedule);
        assert!(schedule.is_idle(lane(3)));
        fence.ended(lane(2), &mut schedule);
    }

    #[test]
    fn a_later_assignment_takes_the_place_of_one_before() {
        let (mut fence, mut schedule) = (Fence::default(), Schedule::default());
        fence.raise(lane(1), 2, &mut schedule);
        fence.raise(lane(1), 3, &mut schedule);
        assert!(schedule.is_idle(lane(2)) && !schedule.is_idle(lane(3)));
        fence.ended(lane(1), &mut schedule);
        assert!(schedule.is_empty());
    }
}
