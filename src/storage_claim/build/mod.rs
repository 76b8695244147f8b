//! One file per object, one function named for it.

pub mod pvc;
