//! The client against a daemon that stalls, cuts, drips and lies.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use std::time::{Duration, Instant};

use docker::{Change, Filters, Kind, ListContainers, LogOptions, LogSource, PullLimits};
use fake::{Act, Fake, begin_chunks, chunk, end_chunks, json, reply};
use serde_json::json as value;
use wire::docker::{Action, ApiVersion, ContainerStatus, RegistryAuth};

/// Long enough for a reply, short enough for a test.
const SHORT: Duration = Duration::from_millis(150);
/// No test waits for so long unless the client hangs.
const HANG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn deadlines_hold_for_headers_and_bodies() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for acts in [
        vec![Act::Stall],
        vec![Act::Send("HTTP/1.1 200 OK\r\nContent-".into()), Act::Stall],
        vec![Act::Send(format!("{head}Content-Length: 100\r\n\r\n{{\"Id\":")), Act::Stall],
        vec![begin_chunks(), chunk("{\"Id\":"), Act::Stall],
        vec![Act::Send(format!("{head}Content-Length: 1000\r\n\r\n")), Act::Drip(" ".repeat(1000), SHORT / 10)],
        // Without length and without end.
        vec![Act::Send(format!("{head}\r\n{{\"Id\":\"a\"}}")), Act::Stall],
    ] {
        let shown = format!("{acts:?}");
        let fake = Fake::start("1.12", "1.41", move |_| acts.clone());
        let begin = Instant::now();
        let error = fake.engine().within(SHORT).inspect("web").await.unwrap_err();
        assert_eq!((error.kind(), error.limit()), (Kind::Timeout, Some(SHORT)), "{shown}");
        assert!(begin.elapsed() < HANG, "{shown}");
    }
}

#[tokio::test]
async fn a_stalled_negotiation_is_inside_the_deadline() {
    let fake = Fake::start_raw(|_| vec![Act::Stall]);
    assert_eq!(fake.engine().within(SHORT).start("web", None).await.unwrap_err().kind(), Kind::Timeout);
    assert_eq!(fake.engine().within(SHORT).negotiate().await.unwrap_err().kind(), Kind::Timeout);
}

#[tokio::test]
async fn versions_are_those_of_the_daemon() {
    for (min, max, default, old, distribution) in [
        ("1.12", "1.41", "1.21", "1.21", Some("1.35")),
        ("1.24", "1.51", "1.24", "1.24", Some("1.35")),
        ("1.44", "1.52", "1.44", "1.44", Some("1.44")),
        ("1.12", "1.34", "1.21", "1.21", None),
    ] {
        let fake = Fake::start(min, max, |_| json(r#"{"Id":"c1"}"#));
        let engine = fake.engine();
        let body = value!({"Image": "i", "MacAddress": "02:00"});
        engine.create_container("web", &body, Some(ApiVersion::v1(18))).await.unwrap();
        let sent = if min == "1.44" { r#"{"Image":"i"}"# } else { r#"{"Image":"i","MacAddress":"02:00"}"# };
        assert_eq!(fake.asked()[1].body, sent);
        engine.create_container("web", &value!({}), Some(ApiVersion::v1(30))).await.unwrap();
        engine.inspect("web").await.unwrap();
        let found = engine.distribution_inspect("a/b:t", &RegistryAuth::default()).await;
        let middle = if min == "1.44" { "1.44" } else { "1.30" };
        let mut wanted = vec![
            format!("POST /v{old}/containers/create?name=web"),
            format!("POST /v{middle}/containers/create?name=web"),
            format!("GET /v{default}/containers/web/json"),
        ];
        match distribution {
            Some(version) => wanted.push(format!("GET /v{version}/distribution/a/b:t/json")),
            None => assert_eq!(found.unwrap_err().kind(), Kind::Unsupported),
        }
        assert_eq!(fake.lines(), wanted);
    }
}

#[tokio::test]
async fn a_daemon_upgraded_under_the_agent_is_asked_again() {
    let upgraded = std::sync::atomic::AtomicBool::new(false);
    let fake = Fake::start_raw(move |asked| {
        use std::sync::atomic::Ordering::SeqCst;
        match asked.line.as_str() {
            "GET /version" if upgraded.load(SeqCst) => json(r#"{"ApiVersion":"1.52","MinAPIVersion":"1.44"}"#),
            "GET /version" => json(r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12"}"#),
            line if line.contains("/v1.21/") => {
                upgraded.store(true, SeqCst);
                reply(
                    "400 Bad Request",
                    "application/json",
                    r#"{"message":"client version 1.21 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version"}"#,
                )
            }
            _ => json(r#"{"Id":"c1"}"#),
        }
    });
    assert_eq!(fake.engine().inspect("web").await.unwrap().id, "c1");
    assert_eq!(fake.lines(), ["GET /v1.21/containers/web/json", "GET /v1.44/containers/web/json"]);
}

#[tokio::test]
async fn one_odd_member_does_not_lose_a_list() {
    let fake = Fake::start("1.24", "1.44", |_| {
        json(r#"[{"Id":"a","State":"stopped-weird","Labels":null},{"Id":"b","State":"running","New":[1]}]"#)
    });
    let filters = Filters::new().with("label", "x=y").with("label", "z");
    let list = fake.engine().containers(&ListContainers { all: true, filters }).await.unwrap();
    assert_eq!(list[0].state, ContainerStatus::Other("stopped-weird".into()));
    assert_eq!(list[1].state, ContainerStatus::Running);
    assert_eq!(
        fake.lines(),
        ["GET /v1.24/containers/json?all=1&filters=%7B%22label%22%3A%7B%22x%3Dy%22%3Atrue%2C%22z%22%3Atrue%7D%7D"]
    );
}

#[tokio::test]
async fn the_daemons_words_are_kept() {
    let fake = Fake::start("1.12", "1.44", |asked| match asked.line.as_str() {
        line if line.contains("/old/") => {
            reply("404 Not Found", "text/plain; charset=utf-8", "No such container: old\n")
        }
        line if line.contains("/new/") => reply("409 Conflict", "application/json", r#"{"message":" in use: \"x\" "}"#),
        line if line.contains("/html/") => reply("502 Bad Gateway", "text/html", "<p>proxy</p>"),
        _ => reply("500 Internal Server Error", "text/plain", ""),
    });
    let engine = fake.engine();
    let check = async |id: &str, kind, text: &str| {
        let error = engine.start(id, None).await.unwrap_err();
        assert_eq!((error.kind(), error.reference_text()), (kind, text.to_owned()));
        assert!(error.to_string().starts_with(&format!("start container {id}: ")), "{error}");
    };
    check("old", Kind::NotFound, "Error response from daemon: No such container: old").await;
    check("new", Kind::Conflict, "Error response from daemon: in use: \"x\"").await;
    check("html", Kind::Server, "Error response from daemon: <p>proxy</p>").await;
    let mute = engine.start("mute", None).await.unwrap_err().reference_text();
    assert!(mute.starts_with("request returned Internal Server Error for API route and version http://%2F"), "{mute}");
    assert!(
        mute.ends_with("/v1.21/containers/mute/start, check if the server supports the requested API version"),
        "{mute}"
    );
    // The route of the empty name is another one.
    assert_eq!(engine.inspect("").await.unwrap_err().kind(), Kind::NotFound);
    assert!(!fake.lines().iter().any(|line| line.contains("//")));
}

#[tokio::test]
async fn a_dropped_connection_ends_in_eof() {
    let fake = Fake::start("1.12", "1.41", |_| vec![Act::Cut]);
    let error = fake.engine().start("web", None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Disconnected);
    let text = error.reference_text();
    assert!(text.starts_with("error during connect: Post \"http://%2F"), "{text}");
    assert!(text.ends_with("/v1.21/containers/web/start\": EOF"), "{text}");
    // Nothing was sent twice, as it may have been done.
    assert_eq!(fake.lines().len(), 1);
}

#[tokio::test]
async fn a_body_cut_short_is_no_body() {
    let fake = Fake::start("1.12", "1.41", |_| {
        vec![Act::Send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"Id\":\"a\"}".into()), Act::Cut]
    });
    assert_eq!(fake.engine().inspect("web").await.unwrap_err().kind(), Kind::Disconnected);
}

#[tokio::test]
async fn nobody_listens() {
    let engine = docker::Engine::connect("unix:///nonexistent/docker.sock").unwrap();
    let error = engine.ping().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert_eq!(
        error.reference_text(),
        "Cannot connect to the Docker daemon at unix:///nonexistent/docker.sock. Is the docker daemon running?"
    );
}

#[tokio::test]
async fn connections_are_kept_and_replaced() {
    let fake = Fake::start("1.12", "1.41", |asked| {
        let mut acts = json(r#"{"Id":"c1"}"#);
        if asked.line.contains("/last/") {
            acts.push(Act::Cut);
        }
        acts
    });
    let engine = fake.engine();
    for _ in 0..5 {
        engine.inspect("web").await.unwrap();
    }
    assert_eq!(fake.connections(), 1);
    // The daemon closes after its reply; the next call must not fail by that.
    for _ in 0..20 {
        engine.inspect("last").await.unwrap();
    }
    // Many at once.
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.inspect("web").await.map(|inspect| inspect.id) })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "c1");
    }
}

#[tokio::test]
async fn not_modified_is_no_error() {
    let fake = Fake::start("1.12", "1.41", |asked| {
        let status = if asked.line.contains("/running/") { "304 Not Modified" } else { "204 No Content" };
        vec![Act::Send(format!("HTTP/1.1 {status}\r\n\r\n"))]
    });
    let engine = fake.engine();
    assert_eq!(engine.start("running", None).await.unwrap(), Change::None);
    assert_eq!(engine.stop("ended", 30).await.unwrap(), Change::Made);
    engine.remove("ended", false, true).await.unwrap();
    assert_eq!(
        fake.lines(),
        [
            "POST /v1.21/containers/running/start",
            "POST /v1.21/containers/ended/stop?t=30",
            "DELETE /v1.21/containers/ended?v=1"
        ]
    );
}

#[tokio::test]
async fn events_end_with_an_error() {
    let fake = Fake::start("1.12", "1.41", |_| {
        vec![
            begin_chunks(),
            chunk("{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"c1\",\"Attri"),
            chunk(
                "butes\":{\"exitCode\":\"7\"}}}\n\nnonsense\n{\"status\":\"health_status: healthy\",\"id\":\"c1\",\"from\":\"i\"}\n",
            ),
            Act::Cut,
        ]
    });
    let since = "2023-11-14T22:13:20.5Z".parse().unwrap();
    let mut events = fake.engine().events(Some(since), &Filters::new().with("type", "container")).await.unwrap();
    let die = events.next().await.unwrap();
    assert_eq!((die.action.clone(), die.actor.id.as_str(), die.exit_code()), (Action::Die, "c1", Some(7)));
    assert!(matches!(events.next().await.unwrap().action, Action::Health(_)));
    assert_eq!(events.next().await.unwrap_err().kind(), Kind::Disconnected);
    let asked = fake.lines();
    assert_eq!(
        asked,
        ["GET /v1.21/events?since=1700000000.500000000&filters=%7B%22type%22%3A%5B%22container%22%5D%7D"]
    );

    // A proper end is one, too.
    let fake = Fake::start("1.12", "1.41", |_| vec![begin_chunks(), end_chunks()]);
    let mut events = fake.engine().events(None, &Filters::new()).await.unwrap();
    assert_eq!(events.next().await.unwrap_err().kind(), Kind::Disconnected);
    assert_eq!(fake.lines(), ["GET /v1.21/events"]);
}

#[tokio::test]
async fn a_pull_reports_and_fails_inside_its_stream() {
    let fake = Fake::start("1.12", "1.41", |asked| {
        let mut acts = vec![
            begin_chunks(),
            chunk(
                "{\"status\":\"Pulling from x\",\"id\":\"latest\"}\r\n{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":9},\"id\":\"a1\"}\r\n",
            ),
        ];
        if asked.line.contains("tag=bad") {
            acts.push(chunk("{\"errorDetail\":{\"message\":\"no space left\"},\"error\":\"no space left\"}\r\n"));
        } else {
            acts.push(chunk(
                "{\"status\":\"Digest: sha256:ab\"}\r\n{\"status\":\"Status: Downloaded newer image for x\"}\r\n",
            ));
        }
        acts.push(end_chunks());
        acts
    });
    let auth = RegistryAuth {
        username: "u".into(),
        password: wire::secret::Secret::new("p?>~".into()),
        server_address: "https://r".into(),
        ..RegistryAuth::default()
    };
    let mut seen = Vec::new();
    let pulled = fake
        .engine()
        .pull("docker.io/library/x", &auth, PullLimits::default(), |progress| seen.push(progress))
        .await
        .unwrap();
    assert_eq!((pulled.digest.as_deref(), seen.len()), (Some("sha256:ab"), 4));
    assert_eq!(seen[0].id, "", "a tag is no layer");
    assert_eq!((seen[1].id.as_str(), seen[1].current, seen[1].total), ("a1", 5, 9));

    let engine = fake.engine();
    let error = engine.pull("x:bad", &RegistryAuth::default(), PullLimits::default(), |_| {}).await.unwrap_err();
    assert_eq!(error.reference_text(), "no space left");
    let error = engine.pull("X", &RegistryAuth::default(), PullLimits::default(), |_| {}).await.unwrap_err();
    assert_eq!(error.reference_text(), "invalid reference format: repository name (library/X) must be lowercase");

    assert_eq!(
        fake.lines(),
        ["POST /v1.21/images/create?fromImage=x&tag=latest", "POST /v1.21/images/create?fromImage=x&tag=bad"]
    );
    let heads: Vec<_> =
        fake.asked().into_iter().filter(|asked| asked.line.contains("create")).map(|a| a.head).collect();
    // {"username":"u","password":"p?>~","serveraddress":"https://r"}
    let encoded = "eyJ1c2VybmFtZSI6InUiLCJwYXNzd29yZCI6InA_Pn4iLCJzZXJ2ZXJhZGRyZXNzIjoiaHR0cHM6Ly9yIn0=";
    assert!(heads[0].contains(&format!("x-registry-auth: {encoded}")), "{}", heads[0]);
    assert!(heads[1].contains("x-registry-auth: e30="), "{}", heads[1]);
}

#[tokio::test]
async fn a_pull_has_three_limits() {
    let line = || chunk("{\"status\":\"Downloading\"}\n");
    let fake = Fake::start("1.12", "1.41", move |asked| match asked.line.as_str() {
        text if text.contains("tag=mute") => vec![Act::Stall],
        text if text.contains("tag=silent") => vec![begin_chunks(), line(), Act::Stall],
        _ => vec![begin_chunks(), line(), Act::Drip("1\r\n \r\n".repeat(1000), SHORT / 10)],
    });
    let engine = fake.engine();
    let short = PullLimits { begin: SHORT, inactivity: SHORT };
    let fail = async |engine: docker::Engine, image, limits| {
        engine.pull(image, &RegistryAuth::default(), limits, |_| {}).await.unwrap_err().kind()
    };
    assert_eq!(fail(engine.clone(), "x:mute", short).await, Kind::BeginTimeout);
    assert_eq!(fail(engine.clone(), "x:silent", short).await, Kind::Inactive);
    // A busy machine may hold up a drop for longer than is short.
    assert_eq!(fail(engine.within(2 * SHORT), "x:slow", PullLimits::default()).await, Kind::Timeout);
}

#[tokio::test]
async fn logs_are_taken_apart() {
    let fake = Fake::start("1.12", "1.41", |asked| match asked.line.as_str() {
        text if text.ends_with("/tty/json") => json(r#"{"Config":{"Tty":true}}"#),
        text if text.ends_with("/json") => json(r#"{"Config":{"Tty":false}}"#),
        text if text.contains("/tty/") => vec![begin_chunks(), chunk("raw"), end_chunks()],
        text if text.contains("/cut/") => vec![begin_chunks(), chunk("\u{1}\0\0\0\0\0\0\u{9}half"), end_chunks()],
        _ => vec![
            begin_chunks(),
            chunk("\u{1}\0\0\0\0\0\0\u{4}out\n\u{2}\0\0"),
            chunk("\0\0\0\0\u{4}err\n"),
            end_chunks(),
        ],
    });
    let engine = fake.engine();
    let mut logs = engine.logs("web", &LogOptions { tail: Some(3), ..LogOptions::default() }).await.unwrap();
    assert_eq!(logs.next().await.unwrap().unwrap(), (LogSource::Stdout, "out\n".into()));
    assert_eq!(logs.next().await.unwrap().unwrap(), (LogSource::Stderr, "err\n".into()));
    assert!(logs.next().await.is_none());
    let mut raw = engine.logs("tty", &LogOptions::default()).await.unwrap();
    assert_eq!(raw.next().await.unwrap().unwrap(), (LogSource::Stdout, "raw".into()));
    let mut cut = engine.logs("cut", &LogOptions::default()).await.unwrap();
    assert_eq!(cut.next().await.unwrap().unwrap_err().kind(), Kind::Disconnected);
    assert_eq!(fake.lines()[1], "GET /v1.21/containers/web/logs?stdout=1&stderr=1&tail=3");
}

#[tokio::test]
async fn statistics_that_fall_silent() {
    let fake = Fake::start("1.12", "1.44", |asked| match asked.line.as_str() {
        text if text.contains("one-shot") => json("{}"),
        text if text.contains("/ends/") => vec![begin_chunks(), chunk("{\"id\":\"1\"}"), end_chunks()],
        _ => vec![begin_chunks(), chunk("{\"id\":\"1\"}\n{\"id\":"), Act::Stall],
    });
    let engine = fake.engine().within(SHORT);
    let mut silent = engine.stats_stream("web").await.unwrap();
    assert_eq!(silent.next().await.unwrap().unwrap(), "{\"id\":\"1\"}");
    assert_eq!(silent.next().await.unwrap().unwrap_err().kind(), Kind::Inactive);
    let mut ends = engine.stats_stream("ends").await.unwrap();
    assert_eq!(ends.next().await.unwrap().unwrap(), "{\"id\":\"1\"}");
    assert!(ends.next().await.is_none());
    engine.stats("web", true).await.unwrap();
    assert_eq!(fake.lines()[2], "GET /v1.41/containers/web/stats?stream=0&one-shot=1");
}

#[tokio::test]
async fn a_load_that_fails_inside_its_stream() {
    let fake = Fake::start("1.12", "1.44", |_| {
        json(
            "{\"stream\":\"Loading\"}\n{\"errorDetail\":{\"message\":\"unexpected EOF\"},\"error\":\"unexpected EOF\"}\n",
        )
    });
    let error = fake.engine().load("tar".into()).await.unwrap_err();
    assert_eq!((error.kind(), error.reference_text().as_str()), (Kind::Other, "unexpected EOF"));
    assert_eq!((fake.lines()[0].as_str(), fake.asked()[1].body.as_str()), ("POST /v1.21/images/load?quiet=0", "tar"));
}
