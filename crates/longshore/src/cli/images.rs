//! `longshore images`: which images tasks used, and when they go. `longshore gc`: let go now what nothing needs.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::image::{Collection, CollectionEntry, ImageReport, ImagesReport};
use jiff::Timestamp;

use super::text::{self, Paint};
use super::{Failure, GcArgs, Global, connect};

/// Each removal may take three minutes.
const COLLECT: Duration = Duration::from_secs(3600);

pub(super) async fn execute(global: &Global) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let report: ImagesReport = connected.client.get("/longshore/v1/images").await?;
    if global.json {
        println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
        return Ok(0);
    }
    if report.images.is_empty() {
        eprintln!("No task has used an image yet.");
    } else {
        println!("{}", render(&report, Timestamp::now(), Paint::stdout()));
    }
    eprintln!("{}", outlook(&report, Timestamp::now()));
    Ok(0)
}

pub(super) async fn collect(global: &Global, args: &GcArgs) -> Result<u8, Failure> {
    let connected = connect::connect(global).await?;
    let path = format!("/longshore/v1/gc?dryRun={}&all={}", args.dry_run, args.all);
    let collection: Collection = connected.client.post(&path, COLLECT).await?;
    let is_whole = collection.error.is_none();
    if global.json {
        println!("{}", serde_json::to_string_pretty(&collection).unwrap_or_default());
        return Ok(u8::from(!is_whole));
    }
    println!("{}", render_collection(&collection, Paint::stdout()));
    match collection.error {
        Some(error) => Err(Failure::new(format!("clean-up ended early: {error}"))),
        None => Ok(0),
    }
}

/// The table.
fn render(report: &ImagesReport, now: Timestamp, paint: Paint) -> String {
    let mut table = text::table();
    table.set_header(["IMAGE", "ID", "SIZE", "TASKS", "LAST USED", "GOES", "WHY"]);
    for image in &report.images {
        let first = image.names.first().map_or("<none>", String::as_str);
        table.add_row([
            first.to_owned(),
            short(&image.id).to_owned(),
            text::bytes(image.bytes),
            holders(image),
            image.last_used_at.map(|at| ago(at, now)).unwrap_or_default(),
            image.goes_at.map_or_else(|| "-".to_owned(), |at| ahead(at, now)),
            image.why.clone(),
        ]);
        for name in image.names.iter().skip(1) {
            table.add_row([name.as_str(), "", "", "", "", "", ""]);
        }
    }
    let mut lines = text::lines(table);
    if let Some(header) = lines.first_mut() {
        *header = paint.strong(header);
    }
    lines.join("\n")
}

/// What will happen by itself.
fn outlook(report: &ImagesReport, now: Timestamp) -> String {
    let disk = report.disk_used_percent.map(|used| format!(" The disk is {used}% full.")).unwrap_or_default();
    match (&report.off, report.next_cycle) {
        (Some(why), _) => {
            format!("Images do not go by themselves: {why}. `longshore gc` removes what nothing needs.{disk}")
        }
        (None, Some(_)) if report.is_cycle_running => format!("Images are being removed just now.{disk}"),
        (None, Some(at)) => {
            let most = text::count(usize::try_from(report.images_per_cycle).unwrap_or(usize::MAX), "image");
            format!("Next clean-up {}, of at most {most}.{disk}", ahead(at, now))
        }
        (None, None) => format!("No clean-up is planned.{disk}"),
    }
}

fn holders(image: &ImageReport) -> String {
    let tasks: BTreeSet<&str> = image.holders.iter().map(|holder| text::short(holder.task.as_str())).collect();
    let mut shown: Vec<&str> = tasks.iter().copied().take(3).collect();
    let more = tasks.len().saturating_sub(shown.len());
    let rest = format!("+{more}");
    if more > 0 {
        shown.push(&rest);
    }
    shown.join(" ")
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", text::span(text::between(at, now)))
}

fn ahead(at: Timestamp, now: Timestamp) -> String {
    if at <= now { "now".to_owned() } else { format!("in {}", text::span(text::between(now, at))) }
}

fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

/// What went, what did not, and how much it was.
fn render_collection(collection: &Collection, paint: Paint) -> String {
    let entry = |verb: &str, entry: &CollectionEntry| {
        let names = if entry.names.is_empty() { "<none>".to_owned() } else { entry.names.join(", ") };
        let size = if entry.kind == "image" { format!("  {}", text::bytes(entry.bytes)) } else { String::new() };
        format!("{verb} {} {names}  {}{size}", entry.kind, paint.faint(short(&entry.id)))
    };
    let verb = if collection.is_dry_run { "would remove" } else { "removed" };
    let mut lines: Vec<String> = collection.removed.iter().map(|removed| entry(verb, removed)).collect();
    for failed in &collection.failed {
        let why = failed.error.as_deref().unwrap_or_default();
        lines.push(format!("{}: {why}", entry(&paint.bad("kept"), failed)));
    }
    if collection.removed.is_empty() && !collection.failed.is_empty() {
        lines.push("Nothing was removed; what was kept is tried again by later cycles.".to_owned());
    } else if collection.removed.is_empty() {
        lines.push("Nothing to remove. `longshore images` says why; `--all` takes young images too.".to_owned());
    } else {
        let count = text::count(collection.removed.len(), "item");
        lines.push(format!("{count}, {} (layers that others share stay)", text::bytes(collection.bytes)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use engine::image::Holder;
    use expect_test::expect;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    #[test]
    fn the_table_says_who_holds_what_and_when_it_goes() {
        let holder = |task: &str| Holder { task: task.into(), container: "web".into() };
        let report = ImagesReport {
            images: vec![
                ImageReport {
                    id: "sha256:0123456789abcdef".into(),
                    names: vec!["r:5000/a:1".into(), "b:1".into()],
                    bytes: 12_300_000,
                    last_used_at: Some(at(0)),
                    goes_at: Some(at(130)),
                    why: "younger than 1h0m0s".into(),
                    ..ImageReport::default()
                },
                ImageReport {
                    id: "sha256:fedcba9876543210".into(),
                    last_used_at: Some(at(90)),
                    holders: ["t1", "t2", "t3", "t4"].map(holder).into(),
                    why: "held by 4 tasks".into(),
                    ..ImageReport::default()
                },
            ],
            next_cycle: Some(at(130)),
            images_per_cycle: 5,
            ..ImagesReport::default()
        };
        expect![[r#"
            IMAGE       ID            SIZE    TASKS        LAST USED   GOES       WHY
            r:5000/a:1  0123456789ab  12.3MB               1h 40m ago  in 30m 0s  younger than 1h0m0s
            b:1
            <none>      fedcba987654  0B      t1 t2 t3 +1  10m 0s ago  -          held by 4 tasks"#]]
        .assert_eq(&render(&report, at(100), Paint::never()));
        assert_eq!(outlook(&report, at(100)), "Next clean-up in 30m 0s, of at most 5 images.");
    }

    #[test]
    fn a_collection_lists_what_went_and_what_did_not() {
        let entry = |name: &str, error: Option<&str>| CollectionEntry {
            kind: "image".into(),
            id: "sha256:0123456789abcdef".into(),
            names: vec![name.into()],
            bytes: 1000,
            error: error.map(str::to_owned),
        };
        let collection = Collection {
            removed: vec![entry("a:1", None)],
            failed: vec![entry("b:1", Some("conflict"))],
            bytes: 1000,
            ..Collection::default()
        };
        expect![[r#"
            removed image a:1  0123456789ab  1.0kB
            kept image b:1  0123456789ab  1.0kB: conflict
            1 item, 1.0kB (layers that others share stay)"#]]
        .assert_eq(&render_collection(&collection, Paint::never()));
        let nothing = render_collection(&Collection::default(), Paint::never());
        assert!(nothing.starts_with("Nothing to remove."), "{nothing}");
    }
}
