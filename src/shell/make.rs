//! Makes the `once` of a plan: what is never looked at, so that no right to read its kind is needed.

use super::audit::log;
use super::context::Context;
use super::error::Error;
use super::metrics::ApplyOutcome;
use crate::core::deed::Deed;
use crate::core::kind::Identity;
use crate::core::object::Object;
use crate::core::plan::{ErrorClass, Failure, Outcome, Plan};
use crate::core::remedy::{has_remedy, with_remedy};
use crate::core::text::{MESSAGE, cut};

/// Makes what is due to be made and is never looked at.
pub async fn make(context: &Context, parent: &Identity, plan: &Plan) -> Outcome {
    let mut outcome = Outcome::default();
    for object in plan.once.iter().filter(|object| !object.held) {
        let made = context.writer.make(object.kind, &parent.namespace, &object.name, &object.body).await;
        match &made {
            Ok(true) => {
                context.metrics.apply(object.kind, ApplyOutcome::Created);
                log(parent, object.kind, &object.name, &Deed::Created);
                outcome.deeds.push((format!("{} {}", object.kind, object.name), Deed::Created));
            }
            Ok(false) => context.metrics.apply(object.kind, ApplyOutcome::Skipped),
            Err(error) if error.class() == ErrorClass::Denied => outcome.unmade = Some(error.message()),
            Err(error) => fail(context, &mut outcome, object, error),
        }
        if made.is_ok() {
            context.caches().made(parent);
        }
    }
    outcome
}

/// Takes a failure down: nothing that starts with an object of that kind is written after it.
pub fn fail(context: &Context, outcome: &mut Outcome, object: &Object, error: &Error) {
    context.metrics.apply(object.kind, ApplyOutcome::Failed);
    outcome.unmet.insert(object.kind);
    let named = format!("{} {}", object.kind, object.name);
    outcome.failures.push(failure(named, error));
}

/// The failure of a request about an object.
pub fn failure(object: String, error: &Error) -> Failure {
    let class = error.class();
    // What can be done stands behind it, and is not to be cut off.
    let words = cut(&error.message(), MESSAGE / 2);
    // What names no field is a policy's or a webhook's word, which answer with any code.
    let is_policys = [400, 413, 422].contains(&error.code()) && error.fields().is_none();
    let is_refused = class == ErrorClass::Denied || is_policys || has_remedy(&words);
    let message = if is_refused { with_remedy(&words) } else { words };
    Failure { object, class, message, field: None }
}
