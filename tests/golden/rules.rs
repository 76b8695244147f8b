//! What can be checked of the rules in `docs/concepts/messages.md`. The golden cases check it of what a cluster on paper leads to, the
//! cluster suite of all that was told while it ran.

use moorage::core::kind::ParentKind;
use moorage::core::reason::Reason;
use moorage::core::text::MESSAGE;
use moorage::shell::kinds::MANAGED;
use serde_json::Value;

/// What is well needs a few words, or none.
const WELL: [Reason; 4] = [Reason::AsExpected, Reason::Bound, Reason::Mounted, Reason::NotMounted];
/// What tells somebody what to do: a field, a command, or what is to be done with something else.
const ADVICE: [&str; 13] = [
    "spec.", "must ", "kubectl ", "apply ", "ask for ", "create ", "declare ", "delete ", "install ", "mend ", "move ",
    "report ", "suit ",
];

/// Which rules the message of a condition breaks.
pub fn broken(condition: &Value) -> Vec<&'static str> {
    let text = |key: &str| condition[key].as_str().unwrap_or_default();
    let message = text("message");
    let is_well = WELL.iter().any(|reason| reason.as_str() == text("reason"));
    let advises = ADVICE.iter().any(|words| message.to_lowercase().contains(words));
    let rules = [
        (is_well || begins_well(message), "begins neither with an object nor with a field"),
        (text("type") != "Stalled" || advises, "does not say what to do"),
    ];
    let rules = rules.into_iter().filter(|(holds, _)| !holds).map(|(_, rule)| rule);
    rules.chain(misshapen(message)).collect()
}

/// Which rules a message breaks wherever it stands.
pub fn misshapen(message: &str) -> impl Iterator<Item = &'static str> {
    let twice = ["  ", " .", " ,", ".;", ";;"];
    let rules = [
        (message.len() <= MESSAGE, "is too long"),
        (!message.contains(char::is_control) && message.trim() == message, "is not one line"),
        (!message.ends_with(['!', ':', ';', ',']), "does not end as a sentence does"),
        (!twice.iter().any(|signs| message.contains(signs)), "has a sign or a space too many"),
        (!message.replace("...", "").contains(".."), "has two periods"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, rule)| rule)
}

/// Whether a message begins with a field, with kind and name, or with how many pods.
fn begins_well(message: &str) -> bool {
    let words: Vec<&str> = message.split(' ').take(5).collect();
    let (Some(first), Some(second)) = (words.first(), words.get(1)) else { return false };
    let kinds = ParentKind::ALL.iter().map(|kind| kind.as_str()).chain(MANAGED.iter().map(|row| row.kind.as_str()));
    let is_object = kinds.chain(["pod", "revision"]).any(|kind| kind == *first) && !second.is_empty();
    let is_field = ["spec", "metadata"].iter().any(|root| first.starts_with(root)) && first.ends_with(':');
    let counts = *first == "no" || first.parse::<u32>().is_ok();
    let is_count = counts && words.iter().any(|word| ["pod", "pods", "pods,", "replicas"].contains(word));
    is_object || is_field || is_count
}
