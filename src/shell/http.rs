//! `/healthz`, `/readyz` and `/metrics`.

use super::health::Health;
use super::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, health: Health, metrics: Metrics, stop: CancellationToken) {
    let app = Router::new()
        .route("/healthz", get(async |State((health, _)): State<(Health, Metrics)>| check(&health.stuck())))
        .route("/readyz", get(async |State((health, _)): State<(Health, Metrics)>| check(&health.missing())))
        .route("/metrics", get(metrics_text))
        .with_state((health, metrics));
    let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "failed to serve HTTP");
    }
}

/// All is well if nothing is wrong.
fn check(wrong: &[String]) -> Response {
    if wrong.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n").into_response()
}

async fn metrics_text(State((_, metrics)): State<(Health, Metrics)>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.encode()).into_response()
}
