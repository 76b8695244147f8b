//! The apiserver's audit log: who asked for what, and what came of it.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// The audit log of one control plane. Reading it costs the apiserver nothing.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

/// A place in the log; events before it are not of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// One answered request. A watch appears when it ends.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// The user name, such as `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// The client's User-Agent.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Path and query as requested.
    pub uri: String,
    /// API group; empty for the core group and for requests that concern no resource.
    pub group: String,
    /// Plural resource name; empty for requests that concern no resource.
    pub resource: String,
    /// `status`, `scale` and so on; else empty.
    pub subresource: String,
    /// Namespace; empty for cluster-scoped requests.
    pub namespace: String,
    /// Object name; empty for lists, and for creates with a generated name.
    pub name: String,
    /// HTTP status code of the answer.
    pub code: u16,
    /// What the answer says where it is an error; else empty.
    pub message: String,
    /// The body sent, recorded for the kinds that the audit policy names.
    pub request_object: Option<Value>,
    /// The body answered, recorded likewise.
    pub response_object: Option<Value>,
    /// When the request arrived (RFC 3339 with microseconds, so text order is time order).
    pub received: String,
    /// When the answer was complete.
    pub completed: String,
}

impl AuditEvent {
    /// Whether the request asked for a change.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.resource.ends_with("reviews")
    }

    /// Whether it was refused for want of rights, as RBAC and the admission plugin `OwnerReferencesPermissionEnforcement` do. Quotas and
    /// namespaces that end refuse with the same code; so does that plugin as long as it does not know the owner's kind, up to ten seconds.
    pub fn lacks_rights(&self) -> bool {
        self.code == 403 && self.message.contains("cannot") && !self.message.contains("cannot find RESTMapping")
    }

    /// `patch deployments/scale ns/name -> 200`: one line for a test's message.
    pub fn summary(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        let line = format!(
            "{} {}{slash}{} {}/{} -> {} {}",
            self.verb, self.resource, self.subresource, self.namespace, self.name, self.code, self.message
        );
        line.trim_end().to_owned()
    }
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file itself, one JSON event per line.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The end of the log as it is now.
    pub fn mark(&self) -> Result<Mark> {
        const CHUNK: u64 = 64 * 1024;
        let mut file = self.open()?;
        let mut end = file.metadata()?.len();
        // Backwards from the end to the last whole line: the log of a bench run is hundreds of megabytes.
        while end > 0 {
            let start = end.saturating_sub(CHUNK);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            Read::by_ref(&mut file).take(end - start).read_to_end(&mut bytes)?;
            if let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') {
                return Ok(Mark(start + newline as u64 + 1));
            }
            end = start;
        }
        Ok(Mark(0))
    }

    /// Every event so far.
    pub fn events(&self) -> Result<Vec<AuditEvent>> {
        self.since(Mark(0))
    }

    /// The events after a mark.
    pub fn since(&self, mark: Mark) -> Result<Vec<AuditEvent>> {
        self.with("", mark)
    }

    /// The events after a mark whose text has that in it.
    fn with(&self, text: &str, mark: Mark) -> Result<Vec<AuditEvent>> {
        let read = self.read(mark)?;
        let mut events = Vec::new();
        for line in read.lines().filter(|line| !line.is_empty() && line.contains(text)) {
            let raw: Raw = serde_json::from_str(line).with_context(|| format!("audit line {line}"))?;
            if raw.stage == "ResponseComplete" {
                events.push(raw.into());
            }
        }
        Ok(events)
    }

    /// The events of one user after a mark.
    pub fn by_user(&self, user: &str, mark: Mark) -> Result<Vec<AuditEvent>> {
        // Tests beside this one fill the log, and to parse their events takes time.
        let mut events = self.with(user, mark)?;
        events.retain(|event| event.user == user);
        Ok(events)
    }

    /// Whole lines from the mark on: the apiserver may be in the middle of the last one.
    fn read(&self, mark: Mark) -> Result<String> {
        let mut file = self.open()?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        Ok(String::from_utf8(bytes)?)
    }

    fn open(&self) -> Result<File> {
        File::open(&self.path).with_context(|| format!("opening {}", self.path.display()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_object: Option<Value>,
    response_object: Option<Value>,
    #[serde(default)]
    request_received_timestamp: String,
    #[serde(default)]
    stage_timestamp: String,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

impl From<Raw> for AuditEvent {
    fn from(raw: Raw) -> Self {
        Self {
            user: raw.user.username,
            user_agent: raw.user_agent,
            verb: raw.verb,
            uri: raw.request_uri,
            group: raw.object_ref.api_group,
            resource: raw.object_ref.resource,
            subresource: raw.object_ref.subresource,
            namespace: raw.object_ref.namespace,
            name: raw.object_ref.name,
            code: raw.response_status.code,
            message: raw.response_status.message,
            request_object: raw.request_object,
            response_object: raw.response_object,
            received: raw.request_received_timestamp,
            completed: raw.stage_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use anyhow::Result;

    use super::{AuditLog, Mark};

    const WHOLE: &str = r#"{"stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list","user":{"username":"u"},"objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"code":200}}"#;

    #[test]
    fn a_half_written_last_line_waits_for_its_rest() -> Result<()> {
        let path = env::temp_dir().join(format!("moorage-audit-{}", process::id()));
        let log = AuditLog::new(path.clone());
        fs::write(&path, format!("{WHOLE}\n{}", &WHOLE[..40]))?;
        let mark = log.mark()?;
        assert_eq!(log.events()?.len(), 1);
        assert_eq!(mark, Mark(WHOLE.len() as u64 + 1));
        fs::write(&path, format!("{WHOLE}\n{WHOLE}\n"))?;
        let later = log.since(mark)?;
        fs::remove_file(&path)?;
        assert_eq!(later.len(), 1);
        assert_eq!(later[0].resource, "pods");
        assert_eq!(later[0].code, 200);
        Ok(())
    }
}
