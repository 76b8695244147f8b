//! How much of what could be tried a run of the tests tries.

/// What `MOORAGE_EFFORT` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// `quick`: a glance, after every few lines.
    Quick,
    /// When nothing is said: before every landing.
    Usual,
    /// `thorough`: everything, for who has the time.
    Thorough,
}

impl Effort {
    /// That of this run.
    pub fn given() -> Self {
        match std::env::var("MOORAGE_EFFORT").as_deref() {
            Ok("quick") => Self::Quick,
            Ok("thorough") => Self::Thorough,
            _ => Self::Usual,
        }
    }

    /// The one that goes with this effort.
    pub fn of<T>(self, quick: T, usual: T, thorough: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Usual => usual,
            Self::Thorough => thorough,
        }
    }
}
