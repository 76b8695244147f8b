//! What is known of something that was not made here.

/// Not knowing is not the same as knowing that there is nothing: what runs is kept then, and nothing is pruned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known<T> {
    /// It has not been seen yet, or can't be.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// It is this.
    Known(T),
}
