//! The whole operator on the in-memory API server, under a clock that only moves when nothing else does.
//!
//! Here every request can fail in every way: the real control plane can't be made to. `world.rs` runs replicas, `scenarios.rs`
//! says what users do; each other file is one property.

#![allow(clippy::unwrap_used, clippy::panic, reason = "every function here is part of a test")]

mod adoption;
mod apis;
mod complaints;
mod configuration;
mod counts;
mod crash;
mod departing;
mod dropped;
mod election;
mod faults;
mod fights;
mod fixed;
mod health;
mod marks;
mod namespaces;
mod needs;
mod order;
mod panics;
mod pods;
mod power;
mod scenarios;
mod secrets;
mod tenants;
mod volumes;
mod wants;
mod watches;
mod world;
