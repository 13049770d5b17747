//! Letters: counts the dead letters that nobody settled yet, as seldom as that costs.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kafkaesk_client::{
    ClientError, Connection, DeadLetters, broker::Bounds, dead_letters::Unsettled,
};
use tokio::time::Instant;
use tracing::debug;

/// How long what was counted holds, at least.
const HOLDS: Duration = Duration::from_secs(60);
/// Counting takes one part in so many of the time, at most.
const PARTS: u32 = 20;

/// The unsettled dead letters of some groups. A topic that did not change since the last time is not read again, and one that
/// takes long to read is read less often.
#[derive(Debug, Default)]
pub struct LetterLooks(HashMap<String, Counted>);

#[derive(Debug)]
struct Counted {
    /// Where the topic's partitions began and ended before it was read.
    bounds: Vec<Option<Bounds>>,
    unsettled: Option<Unsettled>,
    holds_until: Instant,
}

impl LetterLooks {
    /// The dead letters of a group that nobody settled yet, as counted within the last minute; a topic that takes longer than
    /// three seconds to read is read less often. `None` where there is no topic of them, or it could not be read.
    pub async fn look(&mut self, connection: &Connection, group: &str) -> Option<Unsettled> {
        let now = Instant::now();
        if let Some(known) = self.0.get(group)
            && now < known.holds_until
        {
            return known.unsettled;
        }
        let former = self.0.remove(group);
        let counted = match count(connection, group, former).await {
            Ok(Some((bounds, unsettled))) => (bounds, Some(unsettled)),
            Ok(None) => (Vec::new(), None),
            Err(error) => {
                debug!(group, %error, "counting the dead letters that are not settled");
                (Vec::new(), None)
            }
        };
        let holds_until = Instant::now() + HOLDS.max(now.elapsed() * PARTS);
        let (bounds, unsettled) = counted;
        self.0.insert(
            group.to_owned(),
            Counted {
                bounds,
                unsettled,
                holds_until,
            },
        );
        unsettled
    }

    /// Forgets all other groups.
    pub fn keep(&mut self, groups: &HashSet<&str>) {
        self.0.retain(|group, _| groups.contains(group.as_str()));
    }
}

/// Reads the topic, unless it is as it was. `None` if there is none.
async fn count(
    connection: &Connection,
    group: &str,
    former: Option<Counted>,
) -> Result<Option<(Vec<Option<Bounds>>, Unsettled)>, ClientError> {
    let letters = DeadLetters::of(connection, group)?;
    let topic = letters.topic();
    let Some(there) = connection.broker().topic(topic, "Describe").await? else {
        return Ok(None);
    };
    let partitions = 0..there.partitions.cast_signed();
    let partitions: Vec<_> = partitions.map(|it| (topic.clone(), it)).collect();
    // Before the letters, so that one that is written meanwhile is counted the next time.
    let bounds = connection.broker().bounds(&partitions).await?;
    if let Some(former) = former
        && let Some(unsettled) = former.unsettled
        && former.bounds == bounds
        && bounds.iter().all(Option::is_some)
    {
        return Ok(Some((bounds, unsettled)));
    }
    let unsettled = letters.unsettled().await?;
    Ok(unsettled.map(|unsettled| (bounds, unsettled)))
}
