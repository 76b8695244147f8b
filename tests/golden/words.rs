//! What users are told: each page of `docs/reasons` shows a message as the operator writes it.

use super::{plan_of, root, settle};
use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use moorage::core::conditions::{Summary, merge};
use moorage::core::kind::ChildKind;
use moorage::core::observed::Observed;
use moorage::core::offer::{Lacking, Offer};
use moorage::core::plan::{Outcome, Plan};
use moorage::core::reason::Reason;
use moorage::core::status::of_outcome;
use moorage::shell::error::Error;
use moorage::shell::repairs::{Id, MANY, Repairs};
use moorage::shell::words::panicked;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tokio::time::Instant;

/// What a page shows: where it is from, and what stands in its block.
const SOURCE: (&str, &str) = ("<!-- tests/", " -->\n");
const BLOCK: (&str, &str) = ("```text\n", "```\n");

/// Reasons that no cluster on paper leads to, as they tell what happens to the operator itself or within moments: the test that
/// reaches each, and what is told then.
fn elsewhere(reason: Reason) -> Option<(&'static str, Summary)> {
    let told = |outcome| of_outcome(&Plan::default(), &outcome, &Observed::default());
    Some(match reason {
        Reason::Applying => {
            let lacking = Lacking { kind: ChildKind::ServiceMonitor, name: "web".to_owned(), offer: Offer::Unknown };
            ("fake_api/apis.rs", lacking.summary())
        }
        Reason::Contended => {
            let (mut repairs, id, now) = (Repairs::default(), Id::new("uid", "Service web"), Instant::now());
            (0..=MANY).for_each(|_| repairs.note(id, now, "mesh changed spec.selector"));
            let contended = vec![format!("Service web: {}", repairs.fight(id, now)?)];
            ("fake_api/fights.rs", told(Outcome { contended, ..Outcome::default() })?)
        }
        Reason::InternalError => {
            let failure = panicked("App shop/web".to_owned(), "index out of bounds: the len is 3 but the index is 3");
            ("fake_api/panics.rs", told(Outcome { failures: vec![failure], ..Outcome::default() })?)
        }
        Reason::TooLarge => {
            let (reason, message) = Error::TooLarge.unreadable()?;
            ("cluster/large.rs", Summary::Stalled(reason, message))
        }
        _ => return None,
    })
}

/// The conditions that a page's source leads to.
fn conditions(reason: Reason, source: &str) -> Result<Value> {
    if let Some(case) = source.strip_prefix("golden/") {
        return Ok(plan_of(&root().join(case))?["status"]["conditions"].take());
    }
    let (test, summary) = elsewhere(reason).with_context(|| format!("{reason:?} needs a case in tests/golden"))?;
    ensure!(test == source, "{reason:?} is reached by tests/{test}");
    let text = fs::read_to_string(root().with_file_name(test))?;
    ensure!(text.contains(reason.as_str()), "tests/{test} does not speak of {reason:?}");
    Ok(json!(merge(&[], summary.conditions(), 1, Timestamp::UNIX_EPOCH)))
}

/// The first message of that reason after the conditions that say it.
fn example(reason: Reason, conditions: &Value) -> Option<String> {
    let conditions = conditions.as_array()?;
    let first = conditions.iter().find(|condition| condition["reason"] == reason.as_str())?;
    let alike =
        conditions.iter().filter(|condition| ["reason", "message"].iter().all(|key| condition[key] == first[key]));
    let named = |condition: &Value| Some(format!("{}={}", condition["type"].as_str()?, condition["status"].as_str()?));
    let named: Vec<String> = alike.filter_map(named).collect();
    Some(format!("{}\n{}\n", named.join(" "), first["message"].as_str()?))
}

/// A page with the message that its source leads to now.
fn with_example(reason: Reason, page: &str) -> Result<String> {
    let (head, rest) = page.split_once(SOURCE.0).context("the page names no case or test that leads to the reason")?;
    let (source, rest) = rest.split_once(SOURCE.1).context("the source does not end")?;
    let (_, rest) =
        rest.strip_prefix(BLOCK.0).context("no block follows")?.split_once(BLOCK.1).context("it does not end")?;
    let example =
        example(reason, &conditions(reason, source)?).with_context(|| format!("{source} does not lead to it"))?;
    Ok([head, SOURCE.0, source, SOURCE.1, BLOCK.0, &example, BLOCK.1, rest].concat())
}

/// A message that changes breaks its page, and a reason that nothing leads to has no page.
#[tokio::test]
async fn every_reason_is_reached_and_its_page_shows_what_is_told() -> Result<()> {
    let mut failures = Vec::new();
    for reason in Reason::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/reasons/{}.md", reason.as_str()));
        let page = with_example(*reason, &fs::read_to_string(&path)?);
        failures.extend(
            page.and_then(|page| settle(&path, &page)).map_err(|error| format!("{}: {error:#}", reason.as_str())).err(),
        );
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
