//! The shell: everything that touches a cluster, a clock or the process.
//!
//! It fills caches from watches, calls the pure core, and carries out what the core plans. It decides nothing itself.

pub mod apis;
pub mod applier;
pub mod apply;
pub mod belongings;
pub mod body;
pub mod cache;
pub mod claim;
pub mod client;
pub mod context;
pub mod done;
pub mod error;
pub mod follow;
pub mod guard;
pub mod health;
pub mod http;
pub mod intake;
pub mod key;
pub mod kinds;
pub mod leader;
pub mod look_up;
pub mod make;
pub mod metrics;
pub mod metrics_auth;
pub mod observe;
pub mod offers;
pub mod optional;
pub mod progress;
pub mod prune;
pub mod queue;
pub mod reconcile;
pub mod references;
pub mod repairs;
pub mod replace;
pub mod report;
pub mod reported;
pub mod run;
pub mod scope;
pub mod secret_key;
pub mod settings;
pub mod telemetry;
pub mod wants;
pub mod watch;
pub mod words;
pub mod writer;
