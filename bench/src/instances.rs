//! Instances: the pace of one worker with one instance and with two, in one run: `scaling = "on"` adds the second one. The handler
//! only computes.

use std::{
    hint::{black_box, spin_loop},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use kafkaesk_client::{core::TopicPrefix, settings::Scaling};
use kafkaesk_worker::prelude::*;
use tokio::{sync::oneshot, time::sleep};

use crate::{backlog, contenders::Job, event::Reading};

/// How long a handler computes. Once such a one is measured above 50 µs, as beside a busy broker, it runs as tasks on all cores.
const COMPUTES: Duration = Duration::from_micros(30);
/// Seconds that count of each number of instances.
const COUNTED: usize = 45;
/// The longest run.
const LONGEST: Duration = Duration::from_secs(600);

async fn compute(reading: Reading, seen: State<Arc<AtomicU64>>) {
    let began = Instant::now();
    while began.elapsed() < COMPUTES {
        spin_loop();
    }
    black_box(reading.id);
    seen.fetch_add(1, Relaxed);
}

/// Fills a topic with twenty times the job's messages, and prints both paces.
pub(crate) fn measure(job: &Job) -> Result<()> {
    let count = job.count * 20;
    backlog::fill(
        &job.servers,
        &format!("{}{}", job.prefix, job.stream),
        count,
    )?;
    let mut settings = Settings::new(&job.servers);
    settings.topic_prefix = TopicPrefix::new(&job.prefix)?;
    settings.scaling = Scaling::On;
    // Within ten minutes one instance would work off the backlog, and none would be added.
    settings.catch_up = Duration::from_secs(60);
    let seen = Arc::new(AtomicU64::new(0));
    let own = subscription(&job.stream, compute)
        .group(&job.run)
        .max_concurrency(2);
    let app = App::new().state(seen.clone()).subscribe(own);
    let watch = app.watch();
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Runtime::new()?;
    let paces = runtime.block_on(async {
        let worker =
            tokio::spawn(async move { app.run(&settings, async { drop(stopped.await) }).await });
        let began = Instant::now();
        let mut paces: [Vec<u64>; 2] = Default::default();
        // A number counts once it has been the same for ten seconds.
        let (mut last, mut same) = (0, 0);
        while paces[1].len() < COUNTED && began.elapsed() < LONGEST {
            let (before, at) = (seen.load(Relaxed), Instant::now());
            sleep(Duration::from_secs(1)).await;
            let done = (seen.load(Relaxed) - before) as f64 / at.elapsed().as_secs_f64();
            let shown = watch.snapshot(Duration::from_secs(1)).await;
            let instances = shown.subscriptions.first().map_or(0, |it| it.instances);
            same = if instances == last { same + 1 } else { 0 };
            last = instances;
            if let (1 | 2, true) = (instances, same > 10)
                && let Some(paces) = paces.get_mut(instances as usize - 1)
            {
                paces.push(done as u64);
            }
        }
        drop(stop);
        worker.await??;
        anyhow::Ok(paces)
    })?;
    backlog::delete(&job.servers, &job.prefix)?;
    ensure!(
        seen.load(Relaxed) < count,
        "the backlog of {count} messages ended too early, after {} s with one instance and {} s with two: give a larger --count",
        paces[0].len(),
        paces[1].len()
    );
    let [one, two] = paces.map(median);
    println!("| instances | msg/s |\n|---|---|\n| 1 | {one} |\n| 2 | {two} |");
    println!(
        "\nratio {:.2}, wanted at least 1.3",
        two as f64 / one.max(1) as f64
    );
    Ok(())
}

fn median(mut paces: Vec<u64>) -> u64 {
    paces.sort_unstable();
    paces.get(paces.len() / 2).copied().unwrap_or_default()
}
