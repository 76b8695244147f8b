//! Which volumes of an App pods on several nodes can't mount at once.

use super::containers::is_read_only;
use super::volumes::own_claim;
use crate::api::app::AppSpec;
use crate::api::volume::AppVolume;
use crate::core::observed::Observed;
use crate::core::reference::ReferenceKind;
use crate::core::sharing::Unshared;

/// Those of which it is known, its own by what the spec says, or else by what they are.
pub fn unshared<'a>(app: &'a str, spec: &'a AppSpec, observed: &'a Observed) -> impl Iterator<Item = Unshared> + 'a {
    spec.volumes.iter().filter_map(move |volume| {
        let unshared = match &volume.claim {
            Some(claim) => Unshared::known(&claim.name, observed),
            None => own(app, volume, observed),
        };
        unshared.map(|unshared| unshared.read_only(is_read_only(spec, volume)))
    })
}

fn own(app: &str, volume: &AppVolume, observed: &Observed) -> Option<Unshared> {
    let declared = &volume.storage.as_ref()?.access_modes;
    let name = own_claim(app, volume);
    let known = observed.claims.get(&*name).filter(|_| declared.is_empty());
    let modes = known.into_iter().flat_map(|claim| claim.access_modes.iter().map(String::as_str));
    Unshared::of(ReferenceKind::StorageClaim, &name, declared.iter().map(|mode| mode.as_str()).chain(modes))
}

/// The one for which pods are replaced by Recreate unless the author says otherwise: under `RollingUpdate` a new pod would wait for a volume
/// that the old one holds. A claim that is no `StorageClaim` is none: nothing is known of it while the operator starts, and what runs must
/// not depend on that.
pub fn holds_up(app: &str, spec: &AppSpec, observed: &Observed) -> Option<Unshared> {
    unshared(app, spec, observed).find(|it| it.kind == ReferenceKind::StorageClaim)
}
