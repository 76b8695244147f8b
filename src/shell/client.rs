//! The connection to the API server. No request waits for ever, and a line that is cut is noticed.

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config, Error};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder, service_fn};
use tower_http::decompression::DecompressionLayer;
use tower_http::timeout::TimeoutBody;

/// How long a read, or the start of a watch, may take to be answered, and how long an answer may pause.
const READ: Duration = Duration::from_secs(30);
/// How long a write may take. An admission webhook has 10 s by default, and a reconcile of 30 s has time for two such writes.
const WRITE: Duration = Duration::from_secs(12);

/// When the kernel asks a silent peer whether it is there, and how often it asks before it gives the connection up: a line that
/// was cut under a watch, where no byte is due for a minute, is known after 25 s.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);

/// How long a page of a list may be, in bytes, unless it has a single object. Four of the largest that the API server takes fit, so
/// that they can't turn a list into a request for each object; a hundred as they usually are take a tenth of it.
const PAGE: usize = 6 << 20;

/// The API server did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the API server did not answer within {} s", .0.as_secs())]
pub struct NoAnswer(Duration);

/// A client of that cluster, over connections that are kept alive. What fails is not tried again: that is the queue's.
pub fn connect(mut config: Config) -> Result<Client, Error> {
    config.default_retry = false;
    if config.proxy_url.is_some() {
        // Says which proxies this build knows.
        return Client::try_from(config);
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(config.connect_timeout);
    let (idle, interval, retries) = KEEPALIVE;
    connector.set_keepalive(Some(idle));
    connector.set_keepalive_interval(Some(interval));
    connector.set_keepalive_retries(Some(retries));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// The same client, all of whose requests fail with [`NoAnswer`] when they take too long, and [`is_too_long`] when a page is. The
/// pauses of a watch are its watcher's matter, as they are long.
pub fn bounded(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            let patience = if request.method() == Method::GET { READ } else { WRITE };
            let pause =
                if asks(&request, |key, value| (key, value) == ("watch", "true")) { Duration::MAX } else { patience };
            let is_page = asks(&request, |key, value| key == "limit" && value != "1");
            let longest = if is_page { PAGE } else { usize::MAX };
            let answered = tokio::time::timeout(patience, client.send(request)).await;
            let response = answered.map_err(|_| NoAnswer(patience))??;
            Ok::<_, BoxError>(response.map(|body| Limited::new(TimeoutBody::new(pause, body), longest)))
        }
    });
    Client::new(service, namespace)
}

/// The same client, telling of every sign of life: an answer, a part of one, or a failure; and whether it is an answer that
/// serves. That something is not there, or no longer, is one.
pub fn heard(client: Client, tell: impl Fn(bool) + Clone + Send + Sync + 'static) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (client, tell) = (client.clone(), tell.clone());
        async move {
            let answered = client.send(request).await;
            let serves =
                |status: StatusCode| status.is_success() || [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&status);
            let works = answered.as_ref().is_ok_and(|response| serves(response.status()));
            tell(works);
            answered.map(|response| {
                response.map(|body| {
                    body.map_frame(move |frame| {
                        tell(works);
                        frame
                    })
                })
            })
        }
    });
    Client::new(service, namespace)
}

/// Whether a request has such a parameter.
fn asks(request: &Request<Body>, is: impl Fn(&str, &str) -> bool) -> bool {
    let mut pairs = request.uri().query().into_iter().flat_map(|query| query.split('&'));
    pairs.any(|pair| pair.split_once('=').is_some_and(|(key, value)| is(key, value)))
}

/// Whether a list failed as its page is longer than what is read at once; a smaller page is not.
pub fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(<dyn std::error::Error>::is::<LengthLimitError>)
}

#[cfg(test)]
mod tests {
    use super::{Config, connect};
    use std::time::{Duration, Instant};
    use tokio::net::TcpListener;

    /// The timer that the kernel runs for the connection to that port: 0 for none, 2 for keepalive.
    fn kernel_timer(port: u16) -> Option<u8> {
        let table = std::fs::read_to_string("/proc/self/net/tcp").ok()?;
        let mut rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row[2].ends_with(&format!(":{port:04X}")) && row[3] == "01")?;
        row[5].split(':').next()?.parse().ok()
    }

    /// A watch waits for minutes on a line where nothing is due: that it was cut, only the kernel can find out.
    #[tokio::test]
    async fn the_kernel_asks_whether_the_other_end_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = connect(Config::new(format!("http://127.0.0.1:{port}").parse().unwrap())).unwrap();
        let watch = tokio::spawn(async move { client.apiserver_version().await });
        let (_server, _) = listener.accept().await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while kernel_timer(port) != Some(2) {
            assert!(Instant::now() < deadline, "timer {:?}", kernel_timer(port));
            tokio::task::yield_now().await;
        }
        watch.abort();
    }
}
