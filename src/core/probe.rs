//! The probes of a container, and the reasons that they give when they fail.

use super::reason::Reason;

/// A probe of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether it has started.
    Startup,
    /// Whether it still works.
    Liveness,
    /// Whether it can serve.
    Readiness,
}

impl Probe {
    /// Its field in a container.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Startup => "startupProbe",
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
        }
    }

    /// What users call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Startup => "startup probe",
            Self::Liveness => "liveness probe",
            Self::Readiness => "readiness probe",
        }
    }

    /// The reason when it fails.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Startup => Reason::StartupFailing,
            Self::Liveness => Reason::LivenessFailing,
            Self::Readiness => Reason::ReadinessFailing,
        }
    }
}
