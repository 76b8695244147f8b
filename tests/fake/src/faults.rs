//! Faults: what can go wrong with one request, and plans that say when.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::route::Call;

/// What happens to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes wrong.
    #[default]
    None,
    /// Refused with this status code, before anything is written.
    Status(u16),
    /// Refused with this status code and message (quota, admission, authorization).
    Refuse(u16, String),
    /// The connection breaks before the server acts.
    DropBefore,
    /// The server commits; the connection breaks before the answer.
    DropAfterCommit,
    /// Never answered and not acted upon.
    Hang,
    /// Acted upon, never answered.
    HangAfterCommit,
    /// Acted upon at once, answered after that time.
    Late(Duration),
    /// Acted upon; half of the answer comes, then nothing more. A watch brings nothing at all, and the connection breaks after
    /// that time, as one does whose keepalive is not answered.
    Stall(Duration),
    /// Acted upon; the connection breaks in the middle of the answer. A watch breaks as soon as it is open.
    Cut,
    /// The client dies before the server acts; see [`Endpoint::crashed`](crate::Endpoint::crashed).
    CrashBefore,
    /// The client dies after the commit, before it sees the answer.
    CrashAfterCommit,
}

/// Decides, request by request.
#[derive(Clone)]
pub struct Faults(Arc<dyn Fn(&Call) -> Fault + Send + Sync>);

impl Default for Faults {
    fn default() -> Self {
        Self::new(|_| Fault::None)
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    /// A plan from a closure.
    pub fn new(plan: impl Fn(&Call) -> Fault + Send + Sync + 'static) -> Self {
        Self(Arc::new(plan))
    }

    /// One fault at the client's n-th request (from 0).
    pub fn at_request(ordinal: u64, fault: Fault) -> Self {
        Self::new(move |call| if call.ordinal == ordinal { fault.clone() } else { Fault::None })
    }

    /// One fault at the client's n-th write (from 0).
    pub fn at_write(ordinal: u64, fault: Fault) -> Self {
        Self::new(move |call| if call.write == Some(ordinal) { fault.clone() } else { Fault::None })
    }

    /// The same fault at every request of this verb and plural; an empty verb means any.
    pub fn on(verb: &str, resource: &str, fault: Fault) -> Self {
        let (verb, resource) = (verb.to_owned(), resource.to_owned());
        Self::new(move |call| {
            let hit = call.resource == resource && (verb.is_empty() || call.verb == verb);
            if hit { fault.clone() } else { Fault::None }
        })
    }

    pub(crate) fn decide(&self, call: &Call) -> Fault {
        (self.0)(call)
    }
}

/// One line of the server's request log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number of the request among all clients' requests, from 0.
    pub number: u64,
    /// What was asked, and by whom.
    pub call: Call,
    /// The body, if there was one and it was JSON.
    pub body: Option<Value>,
    /// Status code of the answer; none if there was no answer.
    pub code: Option<u16>,
    /// Whether any resourceVersion moved.
    pub changed: bool,
    /// The fault that was injected.
    pub fault: Fault,
}
