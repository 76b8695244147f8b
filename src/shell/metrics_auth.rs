//! Who may read the metrics: whoever shows a token of an account that may `get` the path `/metrics`, as it is with Kubernetes' own
//! components. The API server is asked, by `TokenReview` and `SubjectAccessReview`; of a token only a hash is remembered.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::client::Body;
use kube::core::Request;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// The path that accounts are allowed to get or not.
pub const PATH: &str = "/metrics";

/// How long the API server may take for all that it is asked about one token. Prometheus waits 10 s for the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many tokens are asked about at a time, whoever sends how many.
const AT_A_TIME: usize = 4;
/// How long an answer holds. A right that was taken away counts for so long; one that was given is noticed sooner.
const ADMITTED: Duration = Duration::from_secs(60);
const REFUSED: Duration = Duration::from_secs(10);
/// So many answers are remembered.
const REMEMBERED: usize = 64;

/// Why somebody may not read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No bearer token was sent.
    NoToken,
    /// The API server does not know the token.
    BadToken,
    /// It knows whose it is, and that account may not.
    NotAllowed,
    /// It could not be asked.
    Unasked,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, why) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "a token is needed: send it as `Authorization: Bearer TOKEN`"),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "the API server does not know this token, or no longer"),
            Self::NotAllowed => (
                StatusCode::FORBIDDEN,
                "this account may not get /metrics; bind it to the ClusterRole moorage-metrics-reader",
            ),
            Self::Unasked => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the API server could not be asked whose token this is; the operator's log says why",
            ),
        };
        let mut response = (code, format!("{why}\n")).into_response();
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Why the API server could not be asked. Nothing of what it answers is kept, as that has the token in it.
#[derive(Debug, thiserror::Error)]
enum Unasked {
    #[error("no answer: {0}")]
    NoAnswer(#[from] kube::Error),
    #[error("HTTP code {0}; if it is 403, this operator lacks the ClusterRole moorage-metrics-auth")]
    Refused(StatusCode),
    #[error("an answer that is not what was asked for")]
    Unreadable,
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// What the API server said of a token.
type Verdict = Result<(), Refusal>;

#[derive(Clone, Copy)]
struct Answer {
    verdict: Verdict,
    until: Instant,
}

/// Lets in whom the API server lets, cheap to clone.
#[derive(Clone)]
pub struct Gate {
    client: Client,
    turns: Arc<Semaphore>,
    answers: Arc<Mutex<HashMap<[u8; 32], Answer>>>,
}

impl Gate {
    /// A gate that asks by that client.
    pub fn new(client: Client) -> Self {
        Self { client, turns: Arc::new(Semaphore::new(AT_A_TIME)), answers: Arc::default() }
    }

    /// Whether the sender of these headers may read the metrics.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or(Refusal::NoToken)?;
        let hash = Sha256::digest(token).into();
        if let Some(known) = self.known(&hash) {
            return known;
        }
        let asked = timeout(PATIENCE, self.ask_in_turn(hash, token)).await;
        asked.unwrap_or(Err(Unasked::Late)).unwrap_or_else(|why| {
            tracing::warn!(%why, "failed to ask who reads the metrics");
            Err(Refusal::Unasked)
        })
    }

    async fn ask_in_turn(&self, hash: [u8; 32], token: &str) -> Result<Verdict, Unasked> {
        let _turn = self.turns.acquire().await;
        if let Some(known) = self.known(&hash) {
            return Ok(known);
        }
        let verdict = self.ask(token).await?;
        self.remember(hash, verdict);
        Ok(verdict)
    }

    async fn ask(&self, token: &str) -> Result<Verdict, Unasked> {
        let spec = TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() };
        let review = self.review(&TokenReview { spec, ..TokenReview::default() }).await?;
        let status = review.status.filter(|status| status.authenticated == Some(true));
        let Some(user) = status.and_then(|status| status.user) else { return Ok(Err(Refusal::BadToken)) };
        let spec = SubjectAccessReviewSpec {
            user: user.username,
            groups: user.groups,
            uid: user.uid,
            extra: user.extra,
            non_resource_attributes: Some(NonResourceAttributes {
                path: Some(PATH.to_owned()),
                verb: Some("get".to_owned()),
            }),
            ..SubjectAccessReviewSpec::default()
        };
        let review = self.review(&SubjectAccessReview { spec, ..SubjectAccessReview::default() }).await?;
        let allowed = review.status.is_some_and(|status| status.allowed);
        Ok(if allowed { Ok(()) } else { Err(Refusal::NotAllowed) })
    }

    /// Sends a review and reads its answer here, as kube logs an answer that it can't read.
    async fn review<R>(&self, review: &R) -> Result<R, Unasked>
    where
        R: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
    {
        let body = serde_json::to_vec(review).map_err(|_| Unasked::Unreadable)?;
        let request = Request::new(R::url_path(&(), None)).create(&PostParams::default(), body);
        let request = request.map_err(kube::Error::BuildRequest)?.map(Body::from);
        let response = self.client.send(request).await?;
        if !response.status().is_success() {
            return Err(Unasked::Refused(response.status()));
        }
        let answer = response.into_body().collect().await?.to_bytes();
        serde_json::from_slice(&answer).map_err(|_| Unasked::Unreadable)
    }

    fn known(&self, hash: &[u8; 32]) -> Option<Verdict> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(hash).filter(|answer| answer.until > Instant::now()).map(|answer| answer.verdict)
    }

    /// Where there is no room, refusals go first, so that no flood of made-up tokens costs an account its answer.
    fn remember(&self, hash: [u8; 32], verdict: Verdict) {
        let now = Instant::now();
        let until = now + if verdict.is_ok() { ADMITTED } else { REFUSED };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, answer| answer.until > now);
        if answers.len() >= REMEMBERED {
            let first = answers.iter().min_by_key(|(_, answer)| (answer.verdict.is_ok(), answer.until));
            if let Some(first) = first.map(|(hash, _)| *hash) {
                answers.remove(&first);
            }
        }
        answers.insert(hash, Answer { verdict, until });
    }
}

/// The bearer token of a request (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::{ADMITTED, AT_A_TIME, Arc, Body, Client, Gate, PATH, PATIENCE, REFUSED, REMEMBERED, Refusal};
    use super::{BodyExt, Duration, HeaderMap, Mutex, header};
    use crate::shell::telemetry::tests::Log;
    use http::{Request, Response};
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tower::{BoxError, service_fn};

    /// How the API server is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum State {
        Well,
        Gone,
        Silent,
        Refusing,
        Rambling,
    }

    /// An API server that knows the tokens `reader` and `stranger`, and lets the first one's account read.
    struct Cluster {
        state: Mutex<State>,
        asked: AtomicUsize,
        asked_at_once: AtomicUsize,
        most_at_once: AtomicUsize,
    }

    impl Cluster {
        fn new() -> (Arc<Self>, Gate) {
            let cluster = Arc::new(Self {
                state: Mutex::new(State::Well),
                asked: AtomicUsize::new(0),
                asked_at_once: AtomicUsize::new(0),
                most_at_once: AtomicUsize::new(0),
            });
            let served = Arc::clone(&cluster);
            let service = service_fn(move |request: Request<Body>| {
                let served = Arc::clone(&served);
                async move { served.serve(request).await }
            });
            (cluster, Gate::new(Client::new(service, "default")))
        }

        fn is(&self, state: State) {
            *self.state.lock().unwrap() = state;
        }

        /// The requests since it was last asked for them.
        fn requests(&self) -> usize {
            self.asked.swap(0, Relaxed)
        }

        async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
            self.asked.fetch_add(1, Relaxed);
            let (parts, body) = request.into_parts();
            let review: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
            let state = *self.state.lock().unwrap();
            self.most_at_once.fetch_max(self.asked_at_once.fetch_add(1, Relaxed) + 1, Relaxed);
            tokio::time::sleep(if state == State::Silent { Duration::MAX } else { Duration::from_millis(5) }).await;
            self.asked_at_once.fetch_sub(1, Relaxed);
            let (code, answer) = match state {
                State::Gone => return Err("connection refused".into()),
                State::Refusing => (403, json!({"kind": "Status", "code": 403, "message": review})),
                State::Rambling => (201, json!({"spec": review["spec"], "status": [review]})),
                State::Well | State::Silent => (201, answered(parts.uri.path(), review)),
            };
            Ok(Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()))?)
        }
    }

    fn answered(path: &str, mut review: Value) -> Value {
        let user = |name: &str| json!({"username": name, "uid": "7", "groups": [format!("{name}s")], "extra": {"node": ["a", "b"]}});
        review["status"] = match path {
            "/apis/authentication.k8s.io/v1/tokenreviews" => match review["spec"]["token"].as_str() {
                Some(known @ ("reader" | "stranger")) => json!({"authenticated": true, "user": user(known)}),
                _ => json!({"authenticated": false, "error": "no such token"}),
            },
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
                let user = user("reader");
                let wanted = json!({
                    "user": user["username"], "uid": user["uid"], "groups": user["groups"], "extra": user["extra"],
                    "nonResourceAttributes": {"path": PATH, "verb": "get"},
                });
                json!({"allowed": review["spec"] == wanted})
            }
            other => panic!("{other} is not to be asked"),
        };
        review
    }

    async fn admit(gate: &Gate, authorization: &str) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        }
        gate.admit(&headers).await
    }

    #[tokio::test(start_paused = true)]
    async fn whom_the_api_server_lets_is_let_in() {
        for (authorization, verdict, requests) in [
            ("", Err(Refusal::NoToken), 0),
            ("reader", Err(Refusal::NoToken), 0),
            ("Basic reader", Err(Refusal::NoToken), 0),
            ("Bearer ", Err(Refusal::NoToken), 0),
            ("Bearer nobody", Err(Refusal::BadToken), 1),
            ("Bearer stranger", Err(Refusal::NotAllowed), 2),
            ("Bearer reader", Ok(()), 2),
            ("bearer  reader", Ok(()), 2),
        ] {
            let (cluster, gate) = Cluster::new();
            assert_eq!(admit(&gate, authorization).await, verdict, "{authorization}");
            assert_eq!(cluster.requests(), requests, "{authorization}");
            assert_eq!(admit(&gate, authorization).await, verdict, "{authorization}");
            assert_eq!(cluster.requests(), 0, "{authorization}: asked again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_a_while_and_a_refusal_for_less() {
        for (authorization, verdict, holds, requests) in [
            ("Bearer nobody", Err(Refusal::BadToken), REFUSED, 1),
            ("Bearer stranger", Err(Refusal::NotAllowed), REFUSED, 2),
            ("Bearer reader", Ok(()), ADMITTED, 2),
        ] {
            let (cluster, gate) = Cluster::new();
            assert_eq!(admit(&gate, authorization).await, verdict);
            cluster.requests();
            tokio::time::advance(holds.mul_f64(0.99)).await;
            assert_eq!((admit(&gate, authorization).await, cluster.requests()), (verdict, 0), "{authorization}");
            tokio::time::advance(holds.mul_f64(0.02)).await;
            assert_eq!((admit(&gate, authorization).await, cluster.requests()), (verdict, requests), "{authorization}");
        }
    }

    /// Who can't be asked about is not let in, waits no longer than a scrape does, and is asked about again at the next try.
    #[tokio::test(start_paused = true)]
    async fn nobody_is_let_in_unasked() {
        for state in [State::Gone, State::Silent, State::Refusing, State::Rambling] {
            let (cluster, gate) = Cluster::new();
            cluster.is(state);
            let since = tokio::time::Instant::now();
            assert_eq!(admit(&gate, "Bearer reader").await, Err(Refusal::Unasked), "{state:?}");
            assert!(since.elapsed() <= PATIENCE + Duration::from_millis(1), "{state:?}: {:?}", since.elapsed());
            cluster.is(State::Well);
            assert_eq!(admit(&gate, "Bearer reader").await, Ok(()), "{state:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_tokens_costs_little_and_nobody_their_answer() {
        let (cluster, gate) = Cluster::new();
        assert_eq!(admit(&gate, "Bearer reader").await, Ok(()));
        let mut flood = tokio::task::JoinSet::new();
        for number in 0..500 {
            let gate = gate.clone();
            flood.spawn(async move { admit(&gate, &format!("Bearer made-up-{number}")).await });
        }
        flood.join_all().await;
        assert_eq!(cluster.most_at_once.load(Relaxed), AT_A_TIME);
        assert_eq!(gate.answers.lock().unwrap().len(), REMEMBERED);
        cluster.requests();
        assert_eq!((admit(&gate, "Bearer reader").await, cluster.requests()), (Ok(()), 0));
    }

    /// Whatever the API server answers, and it answers with the token.
    #[tokio::test(start_paused = true)]
    async fn no_token_is_logged() {
        let log = Log::default();
        let _listening = log.listen(tracing_subscriber::EnvFilter::new("trace"));
        for state in [State::Gone, State::Silent, State::Refusing, State::Rambling, State::Well] {
            let (cluster, gate) = Cluster::new();
            cluster.is(state);
            for token in ["reader", "stranger", "t0ps3cret"] {
                let _ = admit(&gate, &format!("Bearer {token}")).await;
            }
        }
        let text = log.text();
        assert_eq!(text.matches("failed to ask who reads the metrics").count(), 12, "{text}");
        for token in ["reader", "stranger", "t0ps3cret"] {
            assert!(!text.contains(token), "{text}");
        }
    }
}
