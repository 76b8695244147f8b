//! `/healthz`, `/readyz` and `/metrics`.

use super::health::Health;
use super::metrics::Metrics;
use super::metrics_auth::{self, Gate, Refusal};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// So many connections may be open. The oldest makes room for a new one, so that whoever opens many and says nothing keeps no
/// probe out.
const CONNECTIONS: usize = 128;
/// How long one request may take, from its first byte to the last one of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens on that address. `[::]` is every address of the machine, IPv4 too, also where it has no IPv6.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match bind(address) {
        Err(_) if address.ip() == std::net::Ipv6Addr::UNSPECIFIED => bind(([0, 0, 0, 0], address.port()).into()),
        bound => bound,
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// What is served.
#[derive(Clone)]
pub struct Served {
    /// What `/healthz` and `/readyz` tell, to everybody.
    pub health: Health,
    /// What `/metrics` tells.
    pub metrics: Metrics,
    /// To whom; without it, to everybody.
    pub gate: Option<Gate>,
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, served: Served, stop: CancellationToken) {
    let app = Router::new()
        .route("/healthz", get(async |State(served): State<Served>| check(served.health.stuck(), [])))
        .route("/readyz", get(readiness))
        .route(metrics_auth::PATH, get(metrics_text))
        .with_state(served);
    let mut open: VecDeque<AbortOnDropHandle<()>> = VecDeque::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() == CONNECTIONS {
                    open.pop_front();
                }
                open.push_back(AbortOnDropHandle::new(tokio::spawn(answer(stream, app.clone()))));
            }
            Err(error) => {
                // Too many files are open, or the peer has gone already.
                tracing::debug!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Answers one request. What goes wrong with a connection is its peer's matter.
async fn answer(stream: TcpStream, app: Router) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(8 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let _ = tokio::time::timeout(PATIENCE, connection).await;
}

async fn readiness(State(served): State<Served>) -> Response {
    let sight = served.health.sight();
    check(sight.missing, sight.unseen.into_values().flatten())
}

/// All is well if nothing is wrong; what is worth knowing all the same stands below.
fn check(wrong: Vec<String>, notes: impl IntoIterator<Item = String>) -> Response {
    let (code, lines) = if wrong.is_empty() {
        (StatusCode::OK, std::iter::once("ok".to_owned()).chain(notes).collect())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, wrong)
    };
    (code, lines.join("\n") + "\n").into_response()
}

async fn metrics_text(State(served): State<Served>, headers: HeaderMap) -> Result<Response, Refusal> {
    if let Some(gate) = &served.gate {
        gate.admit(&headers).await?;
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], served.metrics.encode()).into_response())
}

#[cfg(test)]
mod tests {
    use super::{CONNECTIONS, CancellationToken, Duration, Gate, Health, Metrics, Served, SocketAddr, listen, serve};
    use crate::shell::scope::Scope;
    use kube::{Client, Config};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout};

    fn start(address: &str) -> (SocketAddr, CancellationToken) {
        start_with(address, None)
    }

    fn start_with(address: &str, gate: Option<Gate>) -> (SocketAddr, CancellationToken) {
        let (listener, stop) = (listen(address.parse().unwrap()).unwrap(), CancellationToken::new());
        let address = listener.local_addr().unwrap();
        let health = Health::new(&Scope::default(), Duration::from_secs(1));
        tokio::spawn(serve(listener, Served { health, metrics: Metrics::new(), gate }, stop.clone()));
        (address, stop)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_are_answered_in_words() {
        let (address, stop) = start("127.0.0.1:0");
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let unready = get(address, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503") && unready.contains("apps: no list yet"), "{unready}");
        assert!(get(address, "/metrics").await.contains("moorage_build_info"));
        assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
        stop.cancel();
    }

    #[tokio::test]
    async fn a_gate_is_before_the_metrics_only() {
        let nobody = Client::try_from(Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
        let (address, _stop) = start_with("127.0.0.1:0", Some(Gate::new(nobody)));
        let refused = get(address, "/metrics").await.to_lowercase();
        assert!(refused.starts_with("http/1.1 401") && refused.contains("www-authenticate: bearer"), "{refused}");
        assert!(!refused.contains("moorage_build_info"), "{refused}");
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").await.contains("no list yet"));
    }

    #[tokio::test]
    async fn every_address_is_ipv4_too() {
        let (address, _stop) = start("[::]:0");
        assert!(get(([127, 0, 0, 1], address.port()).into(), "/healthz").await.starts_with("HTTP/1.1 200"));
    }

    /// Requests that never end keep no probe out, and no more of them are held than there is room for.
    #[tokio::test]
    async fn half_open_requests_keep_no_probe_out() {
        let (address, _stop) = start("127.0.0.1:0");
        let mut half_open = Vec::new();
        for _ in 0..500 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
            half_open.push(stream);
        }
        let since = Instant::now();
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        let mut held = 0;
        for stream in &mut half_open {
            // A connection that is closed can be read to its end; of one that is held nothing comes.
            held += usize::from(timeout(Duration::from_millis(2), stream.read(&mut [0; 1])).await.is_err());
        }
        assert!(held <= CONNECTIONS, "{held} are held");
    }
}
