//! What was done to the cluster, for who audits: a line in the log for each write, and Events on the parent for all of a reconcile.
//! Which fields changed, never to what.

use super::context::Context;
use super::writer::reference;
use crate::core::deed::Deed;
use crate::core::kind::{ChildKind, Identity};
use crate::core::text::list;
use kube::runtime::events::{Event, EventType};

/// Most objects, or fields of one, that are named at once.
const NAMED: usize = 8;

/// Logs a write, within the span of the reconcile, which names the parent.
pub fn log(parent: &Identity, kind: ChildKind, name: &str, deed: &Deed) {
    let (child, generation) = (format!("{kind} {name}"), parent.generation);
    match fields(deed) {
        None => tracing::info!(child, generation, "{deed}"),
        Some(fields) => tracing::info!(child, generation, fields, "{deed}"),
    }
}

/// Publishes what was done in one reconcile, each thing once.
pub async fn announce(context: &Context, parent: &Identity, deeds: &[(String, Deed)]) {
    for event in events(parent, deeds) {
        context.writer.news(event, &reference(parent)).await;
    }
}

/// What was changed back, adopted or replaced has an Event of its own.
fn events(parent: &Identity, deeds: &[(String, Deed)]) -> Vec<Event> {
    let all = |done: &Deed| {
        let objects = deeds.iter().filter(|(_, deed)| deed == done).map(|(object, _)| object);
        let objects = list(objects, NAMED, ", ");
        (!objects.is_empty()).then_some(objects)
    };
    let (owner, generation) = (parent.kind.as_str(), parent.generation);
    let created = all(&Deed::Created).map(|objects| normal("Created", "Create", format!("made {objects}")));
    let updated = deeds.iter().filter_map(|(object, deed)| {
        let Deed::Updated(_) = deed else { return None };
        let which = fields(deed).map(|fields| format!(": {fields}")).unwrap_or_default();
        Some(normal("Updated", "Update", format!("{object}, to generation {generation} of the {owner}{which}")))
    });
    let deleted = all(&Deed::Deleted)
        .map(|objects| normal("Pruned", "Prune", format!("deleted {objects}, which the {owner} declares no more")));
    created.into_iter().chain(updated).chain(deleted).collect()
}

/// An Event that tells no trouble.
pub fn normal(reason: &str, action: &str, note: String) -> Event {
    event(EventType::Normal, reason, action, note)
}

/// An Event about the parent alone.
pub fn event(type_: EventType, reason: &str, action: &str, note: String) -> Event {
    Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None }
}

fn fields(deed: &Deed) -> Option<String> {
    let fields = deed.fields();
    (!fields.is_empty()).then(|| list(fields.iter().map(ToString::to_string), NAMED, ", "))
}

#[cfg(test)]
mod tests {
    use super::{ChildKind, Deed, events, log};
    use crate::core::kind::{Identity, ParentKind};
    use crate::core::merge::Path;
    use crate::shell::telemetry::tests::Log;
    use tracing_subscriber::EnvFilter;

    fn shop() -> Identity {
        Identity {
            kind: ParentKind::App,
            namespace: "web".to_owned(),
            name: "shop".to_owned(),
            uid: "u".to_owned(),
            generation: 3,
            deleting: false,
        }
    }

    fn image() -> Path {
        Path::default().within_fields(&["spec", "image"])
    }

    #[test]
    fn a_write_is_one_line_with_object_generation_and_fields() {
        let log_ = Log::default();
        let _listening = log_.listen(EnvFilter::new("info"));
        log(&shop(), ChildKind::Deployment, "shop", &Deed::Updated(vec![image()]));
        log(&shop(), ChildKind::Service, "shop", &Deed::Deleted);
        let text = log_.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for part in ["INFO", "updated", "generation=3", "Deployment shop", "spec.image"] {
            assert!(lines[0].contains(part), "{part}: {text}");
        }
        assert!(lines[1].contains("deleted") && lines[1].contains("Service shop"), "{text}");
    }

    #[test]
    fn what_is_alike_is_told_together_and_each_update_with_its_fields() {
        let deeds = [
            ("ServiceAccount shop".to_owned(), Deed::Created),
            ("Deployment shop".to_owned(), Deed::Updated(vec![image(), image()])),
            ("ConfigMap shop".to_owned(), Deed::Reverted(vec![image()])),
            ("Service shop".to_owned(), Deed::Created),
            ("ServiceMonitor shop".to_owned(), Deed::Deleted),
        ];
        let told: Vec<(String, String)> =
            events(&shop(), &deeds).into_iter().map(|event| (event.reason, event.note.unwrap_or_default())).collect();
        let expected = [
            ("Created", "made ServiceAccount shop, Service shop"),
            ("Updated", "Deployment shop, to generation 3 of the App: spec.image, spec.image"),
            ("Pruned", "deleted ServiceMonitor shop, which the App declares no more"),
        ];
        assert_eq!(told, expected.map(|(reason, note)| (reason.to_owned(), note.to_owned())));
    }
}
