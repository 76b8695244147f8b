//! From caches to what a plan looks at.

use super::context::Context;
use super::error::Error;
use super::key::ParentKey;
use crate::core::observed::Observed;
use crate::core::parent::Parent;

/// A parent and everything seen around it; `None` when it is gone.
pub fn observe<P: Parent>(context: &Context, key: &ParentKey) -> Result<Option<(P, Observed)>, Error> {
    let look = || {
        let caches = context.caches();
        let entry = caches.parent(key)?;
        Some((entry.body.clone(), entry.too_large, caches.observed(key, &entry.references)))
    };
    let Some((body, too_large, mut observed)) = look() else { return Ok(None) };
    observed.answers = context.wants().answers(key);
    let undecodable = |source| Error::Decode { object: key.to_string(), source };
    let read = if too_large { Err(Error::TooLarge) } else { body.read().map_err(undecodable) };
    let parent = read.or_else(|error| {
        let departing = body.read().ok().and_then(|body| P::departing(&body));
        departing.ok_or(error)
    })?;
    Ok(Some((parent, observed)))
}
