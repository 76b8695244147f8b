//! Failures in the shape that the real API server gives them: a `meta/v1 Status`
//! with an HTTP code, a machine-readable reason and the server's own wording.

use http::StatusCode;
use serde_json::{Value, json};

use crate::resource::Resource;

/// A refused request.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// HTTP status code.
    pub code: u16,
    /// `Status.reason`, as `meta/v1 StatusReason` spells it.
    pub reason: String,
    /// Human-readable text.
    pub message: String,
    /// `Status.details`.
    pub details: Value,
}

/// Result of an operation of the server.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// A failure with the reason that belongs to `code`.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        let details = match code {
            429 => json!({"retryAfterSeconds": 1}),
            _ => json!({}),
        };
        Self { code, reason: reason(code).to_owned(), message: message.into(), details }
    }

    /// A 500 as the server gives it for bodies it cannot make sense of: without a reason.
    pub(crate) fn unreasoned(message: impl Into<String>) -> Self {
        Self { reason: String::new(), ..Self::new(500, message) }
    }

    /// What an injected fault answers.
    pub fn injected(code: u16) -> Self {
        Self::new(code, format!("injected fault {code}"))
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, format!("{} \"{name}\" not found", resource.id())).about(resource, name)
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let mut failure = Self::new(409, format!("{} \"{name}\" already exists", resource.id())).about(resource, name);
        "AlreadyExists".clone_into(&mut failure.reason);
        failure
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let text = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.id());
        Self::new(409, text).about(resource, name)
    }

    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn invalid(resource: &Resource, name: &str, why: &str) -> Self {
        let text = format!("{} \"{name}\" is invalid: {why}", resource.qualified_kind());
        let mut failure = Self::new(422, text).about(resource, name);
        if let Some((field, message)) = why.split_once(": ") {
            failure.details["causes"] = json!([{"field": field, "message": message}]);
        }
        failure
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        Self::new(403, format!("{} \"{name}\" is forbidden: {why}", resource.id())).about(resource, name)
    }

    pub(crate) fn expired() -> Self {
        let mut failure = Self::new(410, "The resourceVersion for the provided watch is too old.");
        "Expired".clone_into(&mut failure.reason);
        failure
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        self
    }

    /// The `meta/v1 Status` object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "details": self.details, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        status
    }

    pub(crate) fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Failure {}

fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Gone",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}
