//! One request to one answer, under the server's lock.

use serde_json::{Value, json};

use crate::endpoint::Received;
use crate::read;
use crate::resource::Resource;
use crate::route::{Call, Query};
use crate::status::{Failure, Outcome};
use crate::store::Store;
use crate::watch::Feed;
use crate::write::{self, Patch, Write, Written};
use crate::{Server, delete, discovery, strict};

/// What goes back to the client.
pub(crate) enum Reply {
    /// A JSON document; `changed` says whether a resourceVersion moved.
    Json { code: u16, body: Value, changed: bool },
    /// A watch.
    Stream(Box<Feed>),
    /// The plain-text 404 of a path that nobody serves.
    NoSuchPath,
}

impl Reply {
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Json { code, .. } => *code,
            Self::Stream(_) => 200,
            Self::NoSuchPath => 404,
        }
    }

    pub(crate) fn changed(&self) -> bool {
        matches!(self, Self::Json { changed: true, .. })
    }

    fn read(body: Value) -> Self {
        Self::Json { code: 200, body, changed: false }
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Json { code: failure.code, body: failure.to_value(), changed: false }
    }
}

/// Answers a request.
pub(crate) fn dispatch(server: &Server, call: &Call, query: &Query, received: &Received) -> Reply {
    if call.verb == "discover" {
        let path = call.name.as_deref().unwrap_or_default();
        let found = discovery::answer(&server.lock().store, path, received.accept.contains("APIGroupDiscoveryList"));
        return found.map_or(Reply::NoSuchPath, Reply::read);
    }
    let table = server.lock().store.tables.get(&call.table()).map(|table| table.resource.clone());
    let current = table.filter(|resource| resource.version == call.version);
    match current {
        Some(resource) => serve(server, resource, call, query, received).unwrap_or_else(Reply::from),
        None => Reply::NoSuchPath,
    }
}

fn serve(server: &Server, resource: Resource, call: &Call, query: &Query, received: &Received) -> Outcome<Reply> {
    if call.subresource.as_deref().is_some_and(|name| !has_subresource(&resource, name)) {
        return Ok(Reply::NoSuchPath);
    }
    let slim = received.accept.contains("as=PartialObjectMetadata");
    let reduce = |value: Value| {
        if slim { read::metadata_only(&value) } else { value }
    };
    match call.verb.as_str() {
        "get" => read::get(&server.lock().store, &resource, call).map(|value| Reply::read(reduce(value))),
        "list" => read::list(&mut server.lock().store, &resource, call, query).map(|value| Reply::read(reduce(value))),
        "watch" => Feed::open(server, resource, call, query, slim).map(|feed| Reply::Stream(Box::new(feed))),
        "deletecollection" => Err(Failure::new(405, "the server does not allow this method on the requested resource")),
        _ => {
            let written = write(server, resource, call, query, received)?;
            let scaled = call.subresource.as_deref() == Some("scale");
            let body = match &written.body["kind"] {
                _ if scaled => read::scale(&written.body),
                kind if kind == "Status" => Value::clone(&written.body),
                _ => reduce(Value::clone(&written.body)),
            };
            Ok(Reply::Json { code: written.code, body, changed: written.changed })
        }
    }
}

fn write(server: &Server, resource: Resource, call: &Call, query: &Query, received: &Received) -> Outcome<Written> {
    let write = Write {
        key: (call.namespace.clone().unwrap_or_default(), call.name.clone().unwrap_or_default()),
        subresource: call.subresource.clone(),
        manager: manager(call),
        force: query.is_true("force"),
        dry_run: query.get("dryRun") == "All",
        resource,
    };
    server.mutate(|state| perform(&mut state.store, write, call, query, received))
}

fn has_subresource(resource: &Resource, name: &str) -> bool {
    match name {
        "status" => resource.status,
        "scale" => resource.scale,
        _ => false,
    }
}

/// The field manager: the parameter, else the product of the user agent, as upstream.
fn manager(call: &Call) -> String {
    let product = call.user_agent.split('/').next().unwrap_or_default();
    let fallback = if product.is_empty() { "unknown" } else { product };
    call.manager.clone().unwrap_or_else(|| fallback.to_owned())
}

fn perform(store: &mut Store, write: Write, call: &Call, query: &Query, received: &Received) -> Outcome<Written> {
    let body = received.json();
    let scaling = write.subresource.as_deref() == Some("scale");
    if call.verb == "delete" {
        let mut options = body.cloned().unwrap_or_else(|| json!({}));
        if options["propagationPolicy"].is_null() && !query.get("propagationPolicy").is_empty() {
            options["propagationPolicy"] = json!(query.get("propagationPolicy"));
        }
        return delete::delete(store, &write, &options);
    }
    let body = body.ok_or_else(|| Failure::bad_request("the request body is neither JSON nor YAML"))?;
    if call.verb == "patch" && !scaling {
        return write::patch(store, &write, read_patch(&write, query, received, body)?);
    }
    if scaling {
        return scale(store, &write, call, received, body);
    }
    check_target(&write, query, received, body)?;
    if call.verb == "create" {
        write::create(store, write, body.clone())
    } else {
        write::update(store, &write, body.clone())
    }
}

fn read_patch(write: &Write, query: &Query, received: &Received, body: &Value) -> Outcome<Patch> {
    match received.content_type.as_str() {
        "application/apply-patch+yaml" | "application/apply-patch+cbor" => {
            if query.get("fieldManager").is_empty() {
                return Err(Failure::new(
                    422,
                    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                ));
            }
            check_target(write, query, received, body)?;
            Ok(Patch::Apply(body.clone()))
        }
        "application/merge-patch+json" => Ok(Patch::Merge(body.clone())),
        "application/json-patch+json" => {
            let parsed = serde_json::from_value(body.clone());
            parsed.map(Patch::Json).map_err(|error| Failure::bad_request(error.to_string()))
        }
        other => Err(Failure::new(415, format!("this server does not take patches of type {other}"))),
    }
}

/// Refuses a body that names another object than the URL, and unknown fields when asked to.
fn check_target(write: &Write, query: &Query, received: &Received, body: &Value) -> Outcome<()> {
    let resource = &write.resource;
    if body["apiVersion"] != resource.api_version() || body["kind"] != resource.kind {
        return Err(Failure::bad_request(format!(
            "the object provided is unrecognized (must be {} {}): apiVersion {}, kind {}",
            resource.api_version(),
            resource.kind,
            body["apiVersion"],
            body["kind"]
        )));
    }
    for (field, wanted) in [("namespace", &write.key.0), ("name", &write.key.1)] {
        let given = body["metadata"][field].as_str().unwrap_or_default();
        if !given.is_empty() && !wanted.is_empty() && given != wanted {
            return Err(Failure::bad_request(format!(
                "the {field} of the object ({given}) does not match the {field} on the URL ({wanted})"
            )));
        }
    }
    if query.get("fieldValidation") != "Strict" {
        return Ok(());
    }
    let refuse = if received.content_type.contains("apply-patch") { Failure::unreasoned } else { Failure::bad_request };
    strict::check(resource, body).map_err(refuse)
}

/// Writes through `/scale`: only `.spec.replicas` moves.
fn scale(store: &mut Store, write: &Write, call: &Call, received: &Received, body: &Value) -> Outcome<Written> {
    let live = store.get(&write.resource.id(), &write.key).cloned();
    let live = live.ok_or_else(|| Failure::not_found(&write.resource, &write.key.1))?;
    let mut wanted = read::scale(&live.value);
    if call.verb == "patch" && received.content_type == "application/json-patch+json" {
        let operations: json_patch::Patch =
            serde_json::from_value(body.clone()).map_err(|error| Failure::bad_request(error.to_string()))?;
        write::json_patch(&mut wanted, &operations)?;
    } else {
        json_patch::merge(&mut wanted, body);
    }
    let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if live.value["metadata"]["resourceVersion"] != version {
        return Err(Failure::modified(&write.resource, &write.key.1));
    }
    let mut object = Value::clone(&live.value);
    object["spec"]["replicas"] = wanted["spec"]["replicas"].clone();
    write::replace(store, write, &live, object)
}
