//! A client's connection: the `tower` service behind a `kube::Client`, with its own
//! name, request numbers and faults.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::Value;
use tokio::sync::watch;
use tower::BoxError;

use crate::Server;
use crate::discovery::access_review;
use crate::faults::{Entry, Fault, Faults};
use crate::handle::{Reply, dispatch};
use crate::route::{Call, parse};
use crate::status::Failure;

/// One client of the server. Clones are the same client.
#[derive(Clone, Debug)]
pub struct Endpoint {
    server: Server,
    name: Arc<str>,
    requests: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    faults: Arc<Mutex<Faults>>,
    crashed: watch::Sender<bool>,
}

/// The parts of a request that the URL does not hold.
pub(crate) struct Received {
    pub(crate) accept: String,
    pub(crate) content_type: String,
    body: Option<Value>,
}

impl Received {
    pub(crate) fn json(&self) -> Option<&Value> {
        self.body.as_ref()
    }
}

type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

impl Endpoint {
    pub(crate) fn new(server: Server, name: &str) -> Self {
        let faults = Arc::new(Mutex::new(Faults::default()));
        let (crashed, _) = watch::channel(false);
        Self { server, name: name.into(), requests: Arc::default(), writes: Arc::default(), faults, crashed }
    }

    /// A client on this endpoint, with `default` as its namespace. Needs a tokio runtime.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    /// Replaces the fault plan.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Waits until a crash fault strikes. From then on nothing this client sends is acted
    /// upon or answered: the test drops the client's tasks and connects anew.
    pub async fn crashed(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.crashed.subscribe().wait_for(|crashed| *crashed).await;
    }

    /// Makes the client dead at once.
    pub fn crash(&self) {
        self.crashed.send_replace(true);
    }

    /// Requests of this client so far.
    pub fn request_count(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Writes of this client so far.
    pub fn write_count(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    fn decide(&self, call: &Call) -> Fault {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        faults.decide(call)
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<ResponseBody>, BoxError> {
        if *self.crashed.borrow() {
            return pending().await;
        }
        let (mut call, query) = parse(&request);
        let received = receive(request).await?;
        let (number, fault) = self.begin(&mut call, &received);
        let latency = self.server.lock().latency;
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if let Some(early) = self.strike_before(&fault).await {
            return early.map(|reply| self.finish(number, reply));
        }
        let reply = match self.review(&call, &received) {
            Some(review) => review,
            None => dispatch(&self.server, &call, &query, &received),
        };
        self.server.note(number, &reply, reply_is_seen(&fault));
        match fault {
            Fault::DropAfterCommit => Err(broken()),
            Fault::HangAfterCommit => pending().await,
            Fault::Late(delay) => {
                tokio::time::sleep(delay).await;
                Ok(render(reply))
            }
            Fault::CrashAfterCommit => {
                self.crash();
                pending().await
            }
            Fault::Stall(silence) => Ok(interrupted(reply, silence)),
            Fault::Cut => Ok(interrupted(reply, Duration::ZERO)),
            _ => Ok(render(reply)),
        }
    }

    fn begin(&self, call: &mut Call, received: &Received) -> (usize, Fault) {
        self.name.as_ref().clone_into(&mut call.client);
        call.ordinal = self.requests.fetch_add(1, Ordering::SeqCst);
        call.write = call.is_write().then(|| self.writes.fetch_add(1, Ordering::SeqCst));
        let fault = self.decide(call);
        let mut state = self.server.lock();
        let number = state.log.len();
        state.log.push(Entry {
            number: number as u64,
            call: call.clone(),
            body: received.body.clone(),
            code: None,
            changed: false,
            fault: fault.clone(),
        });
        (number, fault)
    }

    async fn strike_before(&self, fault: &Fault) -> Option<Result<Reply, BoxError>> {
        match fault {
            Fault::Status(code) => Some(Ok(Failure::injected(*code).into())),
            Fault::Refuse(code, message) => Some(Ok(Failure::new(*code, message.as_str()).into())),
            Fault::DropBefore => Some(Err(broken())),
            Fault::Hang => pending().await,
            Fault::CrashBefore => {
                self.crash();
                pending().await
            }
            _ => None,
        }
    }

    fn finish(&self, number: usize, reply: Reply) -> Response<ResponseBody> {
        self.server.note(number, &reply, true);
        render(reply)
    }

    /// Answers a `SelfSubjectAccessReview` from the fault plan: what would get a 403 is denied.
    fn review(&self, call: &Call, received: &Received) -> Option<Reply> {
        if call.resource != "selfsubjectaccessreviews" || call.group != "authorization.k8s.io" {
            return None;
        }
        let body = received.json()?;
        let asked = &body["spec"]["resourceAttributes"];
        let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
        let given = |field: &str| asked[field].as_str().filter(|value| !value.is_empty()).map(str::to_owned);
        let imagined = Call {
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: given("subresource"),
            namespace: given("namespace"),
            name: given("name"),
            client: call.client.clone(),
            ordinal: u64::MAX,
            ..Call::default()
        };
        let denied = match self.decide(&imagined) {
            Fault::Status(403) => Some(Failure::injected(403)),
            Fault::Refuse(403, message) => Some(Failure::new(403, message)),
            _ => None,
        };
        Some(Reply::Json { code: 201, body: access_review(body, denied.as_ref()), changed: false })
    }
}

impl tower::Service<Request<Body>> for Endpoint {
    type Response = Response<ResponseBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().answer(request).boxed()
    }
}

async fn receive(request: Request<Body>) -> Result<Received, BoxError> {
    let (accept, content_type) = {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = header("content-type").split(';').next().unwrap_or_default();
        (header("accept").to_owned(), media_type.to_owned())
    };
    let bytes = request.into_body().collect().await?.to_bytes();
    let yaml = || serde_saphyr::from_slice(&bytes).ok();
    let body = if bytes.is_empty() { None } else { serde_json::from_slice(&bytes).ok().or_else(yaml) };
    Ok(Received { accept, content_type, body })
}

fn reply_is_seen(fault: &Fault) -> bool {
    !matches!(fault, Fault::DropAfterCommit | Fault::HangAfterCommit | Fault::CrashAfterCommit)
}

fn broken() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer").into()
}

fn render(reply: Reply) -> Response<ResponseBody> {
    let code = reply.code();
    let (kind, body) = match reply {
        Reply::Json { body, .. } => {
            let retry = body["details"]["retryAfterSeconds"].as_u64();
            let body = full(body.to_string());
            return with_headers(code, "application/json", retry, body);
        }
        Reply::Stream(feed) => {
            let frames = feed.into_stream().map_ok(Frame::data);
            ("application/json", BodyExt::boxed_unsync(StreamBody::new(frames)))
        }
        Reply::NoSuchPath => ("text/plain; charset=utf-8", full("404 page not found\n".to_owned())),
    };
    with_headers(code, kind, None, body)
}

/// The answer, of which only the first half arrives before the connection breaks, after a silence.
fn interrupted(reply: Reply, silence: Duration) -> Response<ResponseBody> {
    let code = reply.code();
    let half = match reply {
        Reply::Json { body, .. } => {
            let mut text = body.to_string().into_bytes();
            text.truncate(text.len() / 2);
            Some(Bytes::from(text))
        }
        Reply::Stream(_) | Reply::NoSuchPath => None,
    };
    let rest = async move {
        tokio::time::sleep(silence).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    };
    let frames = stream::iter(half.map(Ok)).chain(stream::once(rest)).map_ok(Frame::data);
    with_headers(code, "application/json", None, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

fn full(text: String) -> ResponseBody {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync()
}

fn with_headers(code: u16, kind: &'static str, retry: Option<u64>, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = Failure::new(code, "").status_code();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    if let Some(seconds) = retry {
        headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from(seconds));
    }
    response
}
