//! The pure core: what is wanted, what was seen, how the two are compared and told.
//!
//! Nothing under `core/`, `app/`, `storage_claim/` and `registry/` is async or touches a client, a clock, the
//! environment or randomness; `tests/tidy` holds that.

pub mod additions;
pub mod advice;
pub mod changes;
pub mod checks;
pub mod complaints;
pub mod conditions;
pub mod configuration;
pub mod content;
pub mod copy;
pub mod deed;
pub mod drift;
pub mod facts;
pub mod fixed;
pub mod hash;
pub mod image;
pub mod kind;
pub mod known;
pub mod leaving;
pub mod live;
pub mod managed;
pub mod merge;
pub mod meta;
pub mod object;
pub mod observed;
pub mod offer;
pub mod own;
pub mod owner;
pub mod parent;
pub mod plan;
pub mod pods;
pub mod probe;
pub mod problems;
pub mod quantity;
pub mod readiness;
pub mod reason;
pub mod reference;
pub mod referent;
pub mod remedy;
pub mod revisions;
pub mod rollout;
pub mod secret_key;
pub mod security;
pub mod sharing;
pub mod status;
pub mod storage;
pub mod stray;
pub mod subset;
pub mod template;
pub mod text;
pub mod trouble;
pub mod unions;
pub mod unlike;
pub mod want;
