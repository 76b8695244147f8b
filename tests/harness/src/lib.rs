//! A real Kubernetes control plane on this machine, for demo, tests and bench alike.
//!
//! [`ControlPlane::start`] brings up etcd, kube-apiserver, kube-controller-manager, kube-scheduler and
//! kwok (which plays the nodes, pods and volumes) as plain processes without root, from binaries that
//! [`build::assets`] makes out of the Go modules under `tests/rig`. Everything a run starts is ended by
//! its process handle: when the value is dropped, on a panic, on Ctrl-C, and by the kernel if the run
//! itself is killed.
//!
//! [`node::NodeCluster`] is the other kind: a real kubelet and containerd on this machine, where root on Linux allows.
//!
//! The audit log is always on, so a test can assert exactly who wrote what ([`AuditLog`]).
//! [`ControlPlane::sandbox`] gives a test its own namespace with its own operator process in it.
//!
//! This crate is test support: it reports errors with [`anyhow`] and waits only on states, never by
//! sleeping for a guessed time.

mod access;
mod audit;
pub mod build;
mod certificates;
mod cluster;
mod components;
mod control_plane;
mod debian;
mod deployed;
pub mod former;
mod go;
pub mod guard;
mod http;
mod install;
mod kwok;
mod modules;
pub mod node;
pub mod olm;
mod operator;
pub mod page;
mod ports;
mod process;
mod progress;
mod reader;
mod sandbox;
mod wait;
mod ways;
mod work_dir;

pub use access::{Access, documents};
pub use audit::{AuditEvent, AuditLog, Mark};
pub use cluster::Cluster;
pub use control_plane::{ControlPlane, Options};
pub use http::get as http_get;
pub use install::manifests;
pub use operator::{Operator, OperatorOptions};
pub use ports::free as free_port;
pub use process::{Process, run, run_command};
pub use progress::Progress;
pub use reader::Reader;
pub use sandbox::Sandbox;
pub use wait::eventually;
pub use ways::{Installer, Way};
pub use work_dir::STAY_IN;
