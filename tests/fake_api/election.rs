//! Two replicas never lead together: not when their clocks run at different speeds, and not when one is stopped for a while.
//!
//! Each replica has a runtime of its own and with it a clock of its own, which the test moves.

use anyhow::Result;
use moorage::shell::leader::{self, Leadership};
use moorage::shell::metrics::Metrics;
use moorage_fake::{Effort, Server};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How much faster one clock may run than the other, in percent: the lease lasts 15 s, its holder stops acting after 10 s.
const SKEW: u64 = 140;

struct Candidate {
    runtime: Runtime,
    leadership: Leadership,
    _task: AbortOnDropHandle<()>,
    release: CancellationToken,
    /// Speed of its clock in percent.
    speed: u64,
    /// True milliseconds that its clock has been moved for.
    moved: u64,
}

impl Candidate {
    fn new(server: &Server, name: &str, speed: u64) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let release = CancellationToken::new();
        let (leadership, task) = runtime.block_on(async {
            let election = super::world::settings(name).election();
            leader::start(
                server.connect(name).client(),
                election,
                Metrics::new(),
                watch::channel(true).1,
                release.clone(),
            )
        });
        Self { runtime, leadership, _task: task, release, speed, moved: 0 }
    }

    /// Lets it run at that true time; whether it leads then.
    fn run(&mut self, now: u64) -> bool {
        let elapsed = Duration::from_millis((now - self.moved) * self.speed / 100);
        self.moved = now;
        let leadership = self.leadership.clone();
        self.runtime.block_on(async {
            tokio::time::advance(elapsed).await;
            // Whoever was stopped looks at its clock before anything else.
            let leads = leadership.is_leader();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            leads || leadership.is_leader()
        })
    }
}

/// What happens next: so many milliseconds pass, and these replicas run.
fn steps() -> impl Strategy<Value = Vec<(u64, [bool; 2])>> {
    let pause = prop_oneof![8 => 50..900_u64, 1 => 900..20_000_u64];
    let who = prop_oneof![6 => Just([true, true]), 1 => Just([true, false]), 1 => Just([false, true])];
    proptest::collection::vec((pause, who), 20..120)
}

#[test]
fn two_replicas_never_lead_together() -> Result<()> {
    let effort = Effort::given();
    let mut config = Config { cases: effort.of(50, 300, 3000), failure_persistence: None, ..Config::default() };
    config.rng_seed = RngSeed::Fixed(15);
    let led = std::cell::Cell::new([0_u32; 2]);
    TestRunner::new(config).run(&(steps(), 100..=SKEW, any::<bool>()), |(steps, speed, first)| {
        let server = super::world::furnished();
        let speeds = if first { [speed, 100] } else { [100, speed] };
        let mut replicas = [Candidate::new(&server, "a", speeds[0]), Candidate::new(&server, "b", speeds[1])];
        let mut now = 0;
        for (pause, who) in steps {
            now += pause;
            let mut leads = [false; 2];
            for index in 0..2 {
                leads[index] = who[index] && replicas[index].run(now);
            }
            prop_assert!(leads != [true, true], "both lead at {now} ms");
            let mut counts = led.get();
            for index in 0..2 {
                counts[index] += u32::from(leads[index]);
            }
            led.set(counts);
        }
        Ok(())
    })?;
    let enough = effort.of(150, 1000, 10_000);
    assert!(led.get().iter().all(|count| *count > enough), "each leads in its time: {:?}", led.get());
    Ok(())
}

#[test]
fn a_released_lease_is_taken_at_once_and_a_silent_one_after_its_time() {
    let server = super::world::furnished();
    let mut replicas = [Candidate::new(&server, "a", 100), Candidate::new(&server, "b", 100)];
    let mut now = 0;
    let mut run = |replicas: &mut [Candidate; 2], who: &[usize], milliseconds: u64| {
        let mut leads = [false; 2];
        for _ in 0..milliseconds / 100 {
            now += 100;
            leads = [false; 2];
            for index in who {
                leads[*index] = replicas[*index].run(now);
            }
        }
        leads
    };
    assert_eq!(run(&mut replicas, &[0, 1], 1000), [true, false]);
    replicas[0].release.cancel();
    assert_eq!(run(&mut replicas, &[0, 1], 300), [false, true], "released");
    let mut others = [Candidate::new(&server, "c", 100), Candidate::new(&server, "d", 100)];
    for other in &mut others {
        other.moved = 1300;
    }
    // Nobody lets the holder run any more.
    assert_eq!(run(&mut others, &[0, 1], 14_000), [false, false], "too early");
    assert_ne!(run(&mut others, &[0, 1], 2_000), [false, false], "too late");
}
