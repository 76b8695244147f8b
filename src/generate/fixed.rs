//! Rules that keep a volume what it was made as: its class, modes and the like never change, and its size never shrinks.
//!
//! Of an App or a Registry a change is refused once its status says that the claim is ready. Until then a mistake can be mended, and
//! what a rule can't see (a volume that was taken out and comes back as another) the status tells. A rule of an App stands at the
//! root, as only there it sees the status; so its message says which volume it is about.

use super::rules::{APP, CLAIM, REGISTRY, Rule, rule};

/// CEL: whether a field of the storage before and after breaks the rule.
macro_rules! breaks {
    ($old:literal, $new:literal, "size") => {
        concat!(
            "isQuantity(",
            $old,
            ".size) && isQuantity(",
            $new,
            ".size) && quantity(",
            $new,
            ".size).isLessThan(quantity(",
            $old,
            ".size))"
        )
    };
    ($old:literal, $new:literal, $field:tt) => {
        concat!(
            "has(",
            $old,
            ".",
            $field,
            ") != has(",
            $new,
            ".",
            $field,
            ") || has(",
            $old,
            ".",
            $field,
            ") && ",
            $old,
            ".",
            $field,
            " != ",
            $new,
            ".",
            $field
        )
    };
}

/// CEL: a field of the storage, in words.
macro_rules! shown {
    ($storage:literal, "accessModes") => {
        concat!("(has(", $storage, ".accessModes) ? ", $storage, ".accessModes.join(', ') : 'unset')")
    };
    ($storage:literal, $field:tt) => {
        concat!("(has(", $storage, ".", $field, ") ? ", $storage, ".", $field, " : 'unset')")
    };
}

/// What the user reads.
macro_rules! why {
    ("size") => {
        "has a volume, which can\\'t shrink; declare that, or"
    };
    ($field:tt) => {
        "keeps what it was made with; declare that, or"
    };
}

/// CEL: whether the volume `v` of an App breaks the rule and its claim is ready.
macro_rules! broken {
    ($field:tt) => {
        concat!(
            "has(v.storage) && oldSelf.spec.volumes.exists(o, o.name == v.name && has(o.storage) && (",
            breaks!("o.storage", "v.storage", $field),
            ")) && self.status.children.exists(c, c.ready && !has(c.message) && c.kind == 'StorageClaim' && size(c.name) == size(self.metadata.name) + \
             size(v.name) + 1 && c.name.endsWith('-' + v.name))"
        )
    };
}

/// CEL: which volume of an App `v` is, as a text. Of a number that is made into one the API server takes any length to be possible.
macro_rules! index {
    () => {
        "['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16', '17', '18', '19', '20', '21', '22', '23', '24', '25', '26', '27', '28', '29', '30', '31'][[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31].filter(i, i < size(self.spec.volumes) && \
         self.spec.volumes[i].name == v.name)[0]]"
    };
}

macro_rules! of_app {
    ($field:tt) => {
        rule(
            APP,
            "",
            concat!(
                "!has(self.spec.volumes) || !has(oldSelf.spec.volumes) || !has(self.status) || !has(self.status.children) || \
                 !self.spec.volumes.exists(v, ", broken!($field), ")"
            ),
            concat!("must keep storage.", $field, " once the StorageClaim is ready"),
        )
        .of(".spec.volumes")
        .saying(concat!(
            "self.spec.volumes.map(v, ", broken!($field), ", oldSelf.spec.volumes.map(o, o.name == v.name, 'spec.volumes[' + ",
            index!(), " + '].storage.", $field, ": can\\'t be changed from ' + ", shown!("o.storage", $field), " + ' to ' + ",
            shown!("v.storage", $field), ")[0])[0] + ': StorageClaim ' + self.metadata.name + '-' + self.spec.volumes.map(v, ",
            broken!($field), ", v.name)[0] + ' ", why!($field), " a volume of another name, and copy the data'"
        ))
    };
}

macro_rules! of_registry {
    ($field:tt) => {
        rule(
            REGISTRY,
            "",
            concat!(
                "!has(self.spec.storage.volume) || !has(oldSelf.spec.storage.volume) || !has(self.status) || \
                 !has(self.status.children) || !self.status.children.exists(c, c.kind == 'StorageClaim' && c.ready && !has(c.message)) || !(",
                breaks!("oldSelf.spec.storage.volume", "self.spec.storage.volume", $field), ")"
            ),
            "must not be changed once the StorageClaim is ready",
        )
        .of(concat!(".spec.storage.volume.", $field))
        .saying(concat!(
            "'can\\'t be changed from ' + ", shown!("oldSelf.spec.storage.volume", $field), " + ' to ' + ",
            shown!("self.spec.storage.volume", $field),
            " + ': StorageClaim ' + self.metadata.name + '-storage ", why!($field),
            " make a new Registry, and copy the data'"
        ))
    };
}

macro_rules! of_claim {
    ($field:tt) => {
        rule(
            CLAIM,
            "spec",
            concat!("!(", breaks!("oldSelf", "self", $field), ")"),
            "must not be changed; make a new StorageClaim",
        )
        .of(concat!(".", $field))
    };
    ($field:tt, named) => {
        of_claim!($field).saying(concat!(
            "'can\\'t be changed from ' + ",
            shown!("oldSelf", $field),
            " + ' to ' + ",
            shown!("self", $field),
            " + '; make a new StorageClaim'"
        ))
    };
}

/// Every one of these rules.
pub static FIXED: &[Rule] = &[
    of_app!("storageClassName"),
    of_app!("accessModes"),
    of_app!("volumeMode"),
    of_app!("size"),
    of_registry!("storageClassName"),
    of_registry!("accessModes"),
    of_registry!("size"),
    of_claim!("storageClassName", named),
    of_claim!("accessModes", named),
    of_claim!("volumeMode", named),
    of_claim!("volumeName", named),
    of_claim!("selector"),
];
