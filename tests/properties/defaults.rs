//! What an author leaves open keeps its restricted default, whatever else they write.

use super::{Outcome, Paper, check};
use moorage::core::kind::{ChildKind, ParentKind};
use moorage::core::parent::Parent;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A place in the pod template, its default, and the fields of the spec that may say otherwise.
type Default = (&'static str, Value, &'static [&'static str]);

fn defaults(kind: ParentKind) -> Vec<Default> {
    let pod: [Default; 2] = [
        ("/spec/securityContext/runAsNonRoot", json!(true), &["/pod/securityContext/runAsNonRoot"]),
        (
            "/spec/securityContext/seccompProfile",
            json!({"type": "RuntimeDefault"}),
            &["/pod/securityContext/seccompProfile"],
        ),
    ];
    let token = "/spec/automountServiceAccountToken";
    let escalation = "/spec/containers/0/securityContext/allowPrivilegeEscalation";
    let drop = "/spec/containers/0/securityContext/capabilities/drop";
    let own: Vec<Default> = match kind {
        ParentKind::App => vec![
            (token, json!(false), &["/serviceAccount/automountToken"]),
            ("/spec/enableServiceLinks", json!(false), &["/pod/enableServiceLinks"]),
            (escalation, json!(false), &["/securityContext/allowPrivilegeEscalation", "/securityContext/privileged"]),
            (drop, json!(["ALL"]), &["/securityContext/capabilities/drop", "/securityContext/privileged"]),
        ],
        ParentKind::Registry => vec![
            (token, json!(false), &[]),
            (escalation, json!(false), &[]),
            (drop, json!(["ALL"]), &[]),
            ("/spec/containers/0/securityContext/readOnlyRootFilesystem", json!(true), &[]),
            ("/spec/enableServiceLinks", json!(false), &[]),
        ],
        ParentKind::StorageClaim => vec![],
    };
    pod.into_iter().chain(own).collect()
}

/// The field is as written, or has its default.
pub fn what_is_left_open_keeps_its_default<P: Parent>(specs: &BoxedStrategy<Value>) {
    check(specs, |input| -> Outcome {
        let paper = Paper::new();
        let context = paper.context();
        context.show_input(input.clone());
        let plan = context.plan::<P>();
        let deployment = plan.objects.iter().find(|object| object.kind == ChildKind::Deployment);
        for (place, default, fields) in defaults(P::KIND) {
            if !fields.iter().any(|field| input["spec"].pointer(field).is_some()) {
                let made = deployment.and_then(|deployment| deployment.body["spec"]["template"].pointer(place));
                prop_assert_eq!(made, Some(&default), "{}", place);
            }
        }
        Ok(())
    });
}
