//! What the operator used and what it asked for.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, bail};
use moorage_harness::{ControlPlane, Mark, Operator, eventually};

/// Ticks per second of /proc: 100 on every Linux that matters (`sysconf(_SC_CLK_TCK)`).
const TICKS: f64 = 100.0;

/// What a process has used.
pub struct Usage {
    /// Seconds of CPU, user and system.
    pub cpu: f64,
    /// Largest resident set so far, MiB.
    pub peak_mib: f64,
}

impl Usage {
    /// What the operator has used so far.
    pub fn of(operator: &Operator) -> Result<Self> {
        let pid = operator.process().pid();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the command in parentheses, which may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').context("odd /proc/stat")?.1.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let peak: f64 = peak.split_whitespace().next().context("no VmHWM")?.parse()?;
        Ok(Self { cpu: (ticks(11) + ticks(12)) / TICKS, peak_mib: peak / 1024.0 })
    }

    /// What was used since `before`; the peak is that of the whole life.
    pub fn since(&self, before: &Self) -> Self {
        Self { cpu: self.cpu - before.cpu, peak_mib: self.peak_mib }
    }
}

/// The operator's requests, less watches, its Lease and its Events.
#[derive(Default)]
pub struct Tally {
    /// How many, by verb and resource.
    pub requests: BTreeMap<String, usize>,
    /// How many of them write.
    pub writes: usize,
    /// Bytes of JSON in the bodies of the writes.
    pub bytes: usize,
}

impl Tally {
    /// How many in all.
    pub fn total(&self) -> usize {
        self.requests.values().sum()
    }
}

/// Counts the operator's requests since the mark, once it makes no more.
pub async fn tally(rig: &ControlPlane, operator: &Operator, mark: Mark) -> Result<Tally> {
    settled(rig, operator).await?;
    let mut tally = Tally::default();
    for event in rig.audit().by_user(&operator.user(), mark)? {
        if event.verb == "watch" || event.resource == "leases" || event.resource == "events" {
            continue;
        }
        let slash = if event.subresource.is_empty() { "" } else { "/" };
        let name = format!("{} {}{slash}{}", event.verb, event.resource, event.subresource);
        *tally.requests.entry(name).or_default() += 1;
        if event.is_write() {
            tally.writes += 1;
            tally.bytes += event.request_object.as_ref().map_or(0, |body| body.to_string().len());
        }
    }
    Ok(tally)
}

/// Waits until the operator has written nothing for five seconds.
pub async fn settled(rig: &ControlPlane, operator: &Operator) -> Result<()> {
    let deadline = Duration::from_mins(5);
    eventually(deadline, "the operator to come to rest", || async {
        let mark = rig.audit().mark()?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let events = rig.audit().by_user(&operator.user(), mark)?;
        let busy = events.iter().filter(|event| event.is_write() && event.resource != "leases").count();
        if busy > 0 {
            bail!("{busy} writes in 5 s");
        }
        Ok(Some(()))
    })
    .await
}

/// The value below which that share of the values lies.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let index = ((values.len() as f64 - 1.0) * share).round() as usize;
    values.get(index).copied().unwrap_or(0.0)
}
