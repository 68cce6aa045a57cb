//! What is fetched for a container.
#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;
use crate::EngineConfig;
use crate::flow::testing::{Bench, failed};

#[test]
fn a_container_knows_by_which_name_its_image_is_pulled() {
    let digest = || Outcome::Resolved(Some("sha256:07".into()));
    for (image, resolved, pulled) in [
        ("r/web", Some(digest()), "r/web@sha256:07"),
        ("r/web:2", Some(digest()), "r/web@sha256:07"),
        ("r/web", Some(Outcome::Resolved(None)), "r/web:latest"),
        ("r/web:2", Some(failed(FailureKind::Timeout)), "r/web:2"),
        ("r/web:2@sha256:08", None, "r/web@sha256:08"),
    ] {
        let containers = json!([{"name": "web", "image": image, "essential": true}]);
        let mut bench = Bench::new(json!({"containers": containers}), &EngineConfig::default());
        let said = |bench: &Bench| bench.task().containers[0].pull_reference();
        if let Some(outcome) = resolved {
            assert_eq!(said(&bench), None, "its digest is looked up");
            bench.answer("resolve", outcome);
        }
        assert!(bench.open.iter().any(|(words, ..)| *words == format!("pull {pulled}")), "{image}: {:?}", bench.open);
        assert_eq!(said(&bench), Some(pulled.into()));
        bench.answer("pull", Outcome::Failed(Failure::new(FailureKind::Other, "no")));
        assert_eq!(said(&bench), Some(pulled.into()), "the next attempt asks for the same");
    }
}
