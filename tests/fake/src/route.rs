//! From an HTTP request to the verb and resource that it means.

use std::collections::BTreeMap;

use http::{Method, Request};

use crate::select::Selector;
use crate::status::Outcome;

/// What a request asks for, as RBAC would name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Which client sent it.
    pub client: String,
    /// Number of this request among those of its client, from 0.
    pub ordinal: u64,
    /// For a write: its number among the writes of its client, from 0.
    pub write: Option<u64>,
    /// `get list watch create update patch delete deletecollection`; `discover` for the rest.
    pub verb: String,
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural of the resource.
    pub resource: String,
    /// Subresource, if any.
    pub subresource: Option<String>,
    /// Namespace, if any.
    pub namespace: Option<String>,
    /// Object name, if any.
    pub name: Option<String>,
    /// The field manager of a write, if named.
    pub manager: Option<String>,
    /// Whether a list or a watch selects by label.
    pub selects: bool,
    /// The `User-Agent` header, or empty.
    pub user_agent: String,
}

impl Call {
    /// Whether the verb writes.
    pub fn is_write(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.resource.ends_with("reviews")
    }

    /// `verb resource[/subresource]`, for short assertions.
    pub fn summary(&self) -> String {
        let subresource = self.subresource.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
        format!("{} {}{subresource}", self.verb, self.resource)
    }

    pub(crate) fn table(&self) -> String {
        crate::resource::qualify(&self.resource, &self.group)
    }
}

/// Query parameters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        matches!(self.get(key), "true" | "1")
    }

    pub(crate) fn selector(&self) -> Outcome<Selector> {
        Selector::parse(self.get("labelSelector"), self.get("fieldSelector"))
    }
}

/// Reads verb, resource and parameters of a request.
pub(crate) fn parse<B>(request: &Request<B>) -> (Call, Query) {
    let query = request.uri().query().unwrap_or_default();
    let query = Query(form_urlencoded::parse(query.as_bytes()).into_owned().collect());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let manager = query.get("fieldManager");
    let mut call = Call {
        user_agent: header("user-agent").to_owned(),
        selects: !query.get("labelSelector").is_empty(),
        manager: (!manager.is_empty()).then(|| manager.to_owned()),
        ..Call::default()
    };
    let path = request.uri().path();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => {
            (*version).clone_into(&mut call.version);
            rest
        }
        ["apis", group, version, rest @ ..] if !rest.is_empty() => {
            (*group).clone_into(&mut call.group);
            (*version).clone_into(&mut call.version);
            rest
        }
        _ => {
            "discover".clone_into(&mut call.verb);
            call.name = Some(path.to_owned());
            return (call, query);
        }
    };
    locate(&mut call, rest);
    verb(request.method(), &query, call.name.is_some()).clone_into(&mut call.verb);
    (call, query)
}

fn locate(call: &mut Call, path: &[&str]) {
    let owned = |part: Option<&&str>| part.map(|part| (*part).to_owned());
    let rest = match path {
        // `namespaces/x` and its subresources are the Namespace itself.
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) => {
            call.namespace = Some((*namespace).to_owned());
            rest
        }
        other => other,
    };
    call.resource = owned(rest.first()).unwrap_or_default();
    call.name = owned(rest.get(1));
    call.subresource = owned(rest.get(2));
}

fn verb(method: &Method, query: &Query, named: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET", _) if query.is_true("watch") => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        _ => "deletecollection",
    }
}
