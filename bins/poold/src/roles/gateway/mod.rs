//! The gateway: pages, JSON in the shape of miningcore's API, probes and metrics. Reads the stores, writes none.

mod api;
mod view;

use crate::chains::Addresses;
use crate::clock::Clock;
use crate::config::CoinConfig;
use crate::status::Status;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use pool_core::ports::Stores;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Everything a page may look at.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The operator's name for it all.
    pub name: String,
    /// The pools.
    pub pools: Vec<PoolView>,
    /// The metrics.
    pub metrics: PrometheusHandle,
}

/// One coin's pool, to be looked at.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// The chain's rules, to read addresses with.
    pub rules: Arc<dyn Addresses>,
    /// The settings.
    pub config: Arc<CoinConfig>,
    /// The records.
    pub stores: Stores,
    /// Live facts.
    pub status: Arc<Status>,
    /// The time.
    pub clock: Clock,
}

/// Serves until `stop` resolves, then lets open requests end.
///
/// # Errors
/// An I/O error of the listener.
pub async fn serve(
    gateway: Gateway,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(gateway)).with_graceful_shutdown(stop).await
}

/// All routes.
pub fn router(gateway: Gateway) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(api::routes())
        .fallback(|| async { problem(StatusCode::NOT_FOUND, "no such page; the API begins at /api/pools") })
        .with_state(Arc::new(gateway))
}

/// 200 when every part can do its work, else 503 and what is wrong.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let mut text = String::new();
    for pool in &gateway.pools {
        let mut troubles = pool.status.troubles();
        if pool.status.current_template().is_none() {
            troubles.push(("work", "no template from any node yet".to_owned()));
        }
        for (part, words) in troubles {
            let coin = if gateway.pools.len() > 1 { format!("{} ", pool.config.id) } else { String::new() };
            text.push_str(&format!("{coin}{part}: {words}\n"));
        }
    }
    if text.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], gateway.metrics.render()).into_response()
}

/// An error in the shape of RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("error");
    let body = serde_json::json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
