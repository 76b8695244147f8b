//! What users are told: each page of `docs/reasons` shows a message as the operator writes it, and every message keeps the rules of
//! `docs/concepts/messages.md`.

use super::rules::{broken, misshapen};
use super::{cases, plan_of, root, settle};
use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use moorage::core::conditions::{Summary, merge};
use moorage::core::kind::ChildKind;
use moorage::core::live::Live;
use moorage::core::object::Object;
use moorage::core::observed::{Child, Observed, Verdict};
use moorage::core::offer::{Lacking, Offer};
use moorage::core::plan::{Outcome, Plan};
use moorage::core::reason::Reason;
use moorage::core::status::of_outcome;
use moorage::core::text::MESSAGE;
use moorage::core::unlike::Unlike;
use moorage::shell::error::Error;
use moorage::shell::repairs::{Id, MANY, Repairs};
use moorage::shell::words::panicked;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
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
        Reason::FieldsDropped => {
            let object = Object::new(ChildKind::Deployment, &json!({"metadata": {"name": "web"}})).ok()?;
            let dropped = vec!["spec.template.spec.containers[name=web].lifecycle.stopSignal".to_owned()];
            let unlike = Some(Box::new(Unlike { dropped, ..Unlike::default() }));
            let seen = Child::of(object.kind, &Live::new(json!({})));
            let child = Child { verdict: Verdict::Agrees(object.hash), unlike, ..seen };
            let children = [((object.kind, object.name.clone()), child)].into();
            let observed = Observed { children, ..Observed::default() };
            let plan = Plan { objects: vec![object], ..Plan::default() };
            ("cluster/dropped.rs", of_outcome(&plan, &Outcome::default(), &observed)?)
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
    let (file, summary) = elsewhere(reason).with_context(|| format!("{reason:?} needs a case in tests/golden"))?;
    ensure!(file == source, "{reason:?} is reached by tests/{file}");
    let text = fs::read_to_string(root().with_file_name(file))?;
    ensure!(text.contains(reason.as_str()), "tests/{file} does not speak of {reason:?}");
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

#[tokio::test]
async fn every_message_keeps_the_rules() -> Result<()> {
    let mut told = BTreeMap::new();
    for (name, path) in cases()? {
        told.insert(name, plan_of(&path)?["status"].take());
    }
    for reason in Reason::ALL {
        let conditions =
            elsewhere(*reason).map(|(_, summary)| merge(&[], summary.conditions(), 1, Timestamp::UNIX_EPOCH));
        told.extend(conditions.map(|conditions| (format!("{reason:?}"), json!({"conditions": conditions}))));
    }
    let mut failures = BTreeSet::new();
    for (name, status) in &told {
        let list = |key: &str| status[key].as_array().into_iter().flatten();
        let conditions = list("conditions").map(|condition| (condition, broken(condition)));
        let children =
            list("children").map(|child| (child, misshapen(child["message"].as_str().unwrap_or_default()).collect()));
        for (item, rules) in conditions.chain(children) {
            failures.extend(
                rules.into_iter().map(|rule| format!("{name}: {} {rule}: {}", item["reason"], item["message"])),
            );
        }
    }
    ensure!(failures.is_empty(), "{}", failures.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// The rules find what breaks them.
#[test]
fn a_message_that_breaks_a_rule_is_found() {
    for (type_, message, rule) in [
        ("Ready", "as declared; paused", "begins"),
        ("Ready", "the volume grows", "begins"),
        ("Ready", "", "begins"),
        ("Stalled", "Deployment web: it has timed out progressing.", "what to do"),
        ("Ready", "Deployment web: too slow.. Wait", "two periods"),
        ("Ready", "Deployment web:  is slow", "too many"),
        ("Ready", "Deployment web: a\nb", "one line"),
        ("Ready", "spec.size: too small!", "end"),
    ] {
        let rules = broken(&json!({"type": type_, "reason": "Rejected", "message": message}));
        assert!(rules.len() == 1 && rules[0].contains(rule), "{message}: {rules:?}");
    }
    let message = format!("Deployment web: {}", "x".repeat(MESSAGE));
    assert_eq!(broken(&json!({"type": "Ready", "reason": "Rejected", "message": message})), ["is too long"]);
}
