//! `/longshore/v1/images`: which images tasks used, and when they go. `/longshore/v1/gc`: let them go now.

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::image::cleanup::Options;
use engine::image::{ImageAnswer, ImageRequest};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::agent::published::Published;

/// How images are collected.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct How {
    dry_run: bool,
    /// Young ones too.
    all: bool,
}

pub(super) fn router(published: Published) -> Router {
    Router::new()
        .route("/longshore/v1/images", get(images))
        .route("/longshore/v1/gc", post(collect))
        .with_state(published)
}

async fn images(State(published): State<Published>) -> Response {
    answer(published, ImageRequest::Describe).await
}

async fn collect(State(published): State<Published>, Query(how): Query<How>) -> Response {
    let options = Options { is_dry_run: how.dry_run, ignores_age: how.all };
    answer(published, ImageRequest::Collect(options)).await
}

async fn answer(published: Published, ask: ImageRequest) -> Response {
    match published.desk().ask(ask).await {
        Some(ImageAnswer::Described(report)) => axum::Json(*report).into_response(),
        Some(ImageAnswer::Collected(collection)) => axum::Json(*collection).into_response(),
        None => {
            let body = json!({"__type": "Unavailable", "message": "The agent does not run."});
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
        }
    }
}
