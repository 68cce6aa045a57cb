//! Slices asked of a systemd that is made up: behind a real bus where there is one to be had, and directly.
#![allow(clippy::unwrap_used)]
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tempfile::TempDir;

use super::message::{CALL, ERROR, Message, REPLY, SIGNAL};
use super::*;

const QUOTA: Limits =
    Limits { cpu: Cpu::Quota { quota: 25_000, period: 100_000 }, memory_bytes: Some(256 << 20), pids: Some(50) };
const SHARES: Limits = Limits { cpu: Cpu::Shares(516), memory_bytes: None, pids: None };
const NAME: &str = "ecstasks-0f.slice";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

#[test]
fn each_dash_is_a_level() {
    let folder = |version, name| folder(Path::new("/m"), version, name).display().to_string();
    assert_eq!(folder(CgroupVersion::V2, "ecstasks-0f.slice"), "/m/ecstasks.slice/ecstasks-0f.slice");
    assert_eq!(folder(CgroupVersion::V2, "a-b-c.slice"), "/m/a.slice/a-b.slice/a-b-c.slice");
    assert_eq!(folder(CgroupVersion::V1, "a.slice"), "/m/systemd/a.slice");
}

#[test]
fn quotas_are_rounded_up_to_whole_percents() {
    assert_eq!(quota_per_second(25_000, 100_000), 250_000);
    assert_eq!(quota_per_second(12_345, 100_000), 130_000);
    assert_eq!(quota_per_second(1000, 100_000), 10_000);
    assert_eq!(quota_per_second(4000, 8000), 500_000);
}

#[test]
fn properties_follow_the_hierarchy() {
    let names = |limits, version| -> Vec<String> {
        properties(limits, version).into_iter().map(|(name, value)| format!("{name}={value:?}")).collect()
    };
    use CgroupVersion::{V1, V2};
    let pids = ["TasksAccounting=Bool(true)", "TasksMax=U64(50)"];
    let quota = "CPUQuotaPerSecUSec=U64(250000)";
    assert_eq!(names(&QUOTA, V2), [quota, "MemoryMax=U64(268435456)", pids[0], pids[1]]);
    assert_eq!(names(&QUOTA, V1), [quota, "MemoryLimit=U64(268435456)", pids[0], pids[1]]);
    assert_eq!(names(&SHARES, V2), ["CPUWeight=U64(20)"]);
    assert_eq!(names(&SHARES, V1), ["CPUShares=U64(516)"]);
}

#[test]
fn addresses_name_sockets() {
    let bus = |path: &str| Socket::Bus(path.into());
    assert_eq!(Socket::all(Some("unix:path=/a/b,guid=0;tcp:host=x;unix:guid=1,path=/c")), [bus("/a/b"), bus("/c")]);
    assert_eq!(Socket::all(None), [bus("/run/dbus/system_bus_socket"), Socket::Peer("/run/systemd/private".into())]);
}

/// How the made-up systemd answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    UnitExists,
    JobFails,
    NoSuchUnit,
}

/// Answers calls until the other end is gone, and tells what was called.
fn answer(mut stream: UnixStream, mood: Mood, calls: &Sender<Message>) {
    let mut serial = 100;
    let mut out = stream.try_clone().unwrap();
    let mut send = |message: Message| {
        serial += 1;
        // The caller may have gone.
        let _ = out.write_all(&Message { serial, ..message }.render());
    };
    let text = |text: &str| {
        let mut body = Body::default();
        body.text(text);
        body.into_bytes()
    };
    while let Ok(call) = Message::read(&mut stream) {
        if call.kind != CALL {
            continue;
        }
        // Before the answer, after which the caller looks.
        let _ = calls.send(call.clone());
        let to = Message { reply_to: call.serial, destination: call.sender.clone(), ..Message::default() };
        let refuse = |name: &str| Message {
            kind: ERROR,
            error: format!("org.freedesktop.systemd1.{name}"),
            signature: "s".into(),
            body: text("no"),
            ..to.clone()
        };
        let removed = |path: &str, result: &str| {
            let mut body = Body::default();
            body.u32(7);
            body.text(path);
            body.text(NAME);
            body.text(result);
            Message {
                kind: SIGNAL,
                path: "/org/freedesktop/systemd1".into(),
                interface: bus::MANAGER.into(),
                member: "JobRemoved".into(),
                signature: "uoss".into(),
                body: body.into_bytes(),
                ..Message::default()
            }
        };
        match (call.member.as_str(), mood) {
            ("StartTransientUnit", Mood::UnitExists) => send(refuse("UnitExists")),
            ("StopUnit", Mood::NoSuchUnit) => send(refuse("NoSuchUnit")),
            ("StartTransientUnit" | "StopUnit", _) => {
                // The end of a job may be told before its beginning, and another's in between.
                send(removed("/org/freedesktop/systemd1/job/6", "failed"));
                send(removed(JOB, if mood == Mood::JobFails { "failed" } else { "done" }));
                send(Message { kind: REPLY, signature: "o".into(), body: text(JOB), ..to.clone() });
            }
            _ => send(Message { kind: REPLY, ..to.clone() }),
        }
    }
}

/// systemd's own socket.
fn peer(folder: &TempDir, mood: Mood) -> (Socket, Receiver<Message>) {
    let path = folder.path().join("private");
    let listener = UnixListener::bind(&path).unwrap();
    let (calls, heard) = channel();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Nothing follows these lines before our answer.
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let (user, begin) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
            assert!(user.starts_with("\0AUTH EXTERNAL ") && begin == "BEGIN", "{user:?} {begin:?}");
            stream.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n").unwrap();
            answer(stream, mood, &calls);
        }
    });
    (Socket::Peer(path), heard)
}

/// A bus of our own with systemd's name on it.
struct PrivateBus {
    daemon: Child,
    _folder: TempDir,
    socket: Socket,
    calls: Receiver<Message>,
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl PrivateBus {
    /// `None` where no bus is installed.
    fn start(mood: Mood) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let config = folder.path().join("bus.conf");
        let text = format!(
            r#"<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
            <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
            <allow own="*"/><allow user="*"/></policy></busconfig>"#,
            path.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg(format!("--config-file={}", config.display())).args(["--nofork", "--print-address"]);
        let mut daemon = match command.stdout(Stdio::piped()).spawn() {
            Ok(daemon) => daemon,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => panic!("{error}"),
        };
        // It says its address when it listens.
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.contains("unix:path="), "{address:?}");
        let (ready, is_ready) = channel();
        let (calls, heard) = channel();
        let at = path.clone();
        thread::spawn(move || {
            let stream = own_name(&at);
            ready.send(()).unwrap();
            answer(stream, mood, &calls);
        });
        is_ready.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        Some(Self { daemon, _folder: folder, socket: Socket::Bus(path), calls: heard })
    }
}

/// A connection that has systemd's name.
fn own_name(bus: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(bus).unwrap();
    let user: String = rustix::process::geteuid().to_string().bytes().map(|byte| format!("{byte:02x}")).collect();
    stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes()).unwrap();
    let mut byte = [0];
    while byte != *b"\n" {
        stream.read_exact(&mut byte).unwrap();
    }
    stream.write_all(b"BEGIN\r\n").unwrap();
    let mut name = Body::default();
    name.text("org.freedesktop.systemd1");
    name.u32(0);
    for (serial, member, signature, body) in [(1, "Hello", "", Vec::new()), (2, "RequestName", "su", name.into_bytes())]
    {
        let call = Message {
            kind: CALL,
            serial,
            path: "/org/freedesktop/DBus".into(),
            interface: "org.freedesktop.DBus".into(),
            member: member.into(),
            destination: "org.freedesktop.DBus".into(),
            signature: signature.into(),
            body,
            ..Message::default()
        };
        stream.write_all(&call.render()).unwrap();
        while Message::read(&mut stream).unwrap().reply_to != serial {}
    }
    stream
}

fn at(mount: &TempDir) -> (&Path, CgroupVersion) {
    (mount.path(), CgroupVersion::V2)
}

fn members(calls: &Receiver<Message>) -> Vec<String> {
    calls.try_iter().filter(|call| call.interface == bus::MANAGER).map(|call| call.member).collect()
}

#[test]
fn a_slice_comes_and_goes() {
    let mount = tempfile::tempdir().unwrap();
    let (socket, calls) = peer(&mount, Mood::Well);
    let sockets = [Socket::Bus(mount.path().join("no-bus")), socket];
    reach(&sockets).unwrap();
    create(&sockets, at(&mount), NAME, &QUOTA, false).unwrap();
    let all: Vec<Message> = calls.try_iter().collect();
    let made = all.iter().find(|call| call.member == "StartTransientUnit").unwrap();
    assert_eq!((made.signature.as_str(), made.destination.as_str()), ("ssa(sv)a(sa(sv))", ""));
    assert_eq!(made.arguments(), [NAME, "replace"]);
    for property in ["Description", "MemoryMax", "TasksMax", "IOAccounting", "system.slice"] {
        assert!(made.body.windows(property.len()).any(|part| part == property.as_bytes()), "{property}");
    }
    remove(&sockets, at(&mount), NAME).unwrap();
    assert_eq!(members(&calls), ["Subscribe", "StopUnit"]);
}

#[test]
fn a_real_bus_takes_it() {
    let Some(bus) = PrivateBus::start(Mood::Well) else {
        eprintln!("skipped: no dbus-daemon");
        return;
    };
    let mount = tempfile::tempdir().unwrap();
    create(std::slice::from_ref(&bus.socket), at(&mount), NAME, &QUOTA, false).unwrap();
    create(std::slice::from_ref(&bus.socket), at(&mount), NAME, &SHARES, false).unwrap();
    remove(std::slice::from_ref(&bus.socket), at(&mount), NAME).unwrap();
    let once = ["Subscribe", "StartTransientUnit"];
    assert_eq!(members(&bus.calls), [&once[..], &once, &["Subscribe", "StopUnit"]].concat());
}

#[test]
fn a_bus_without_systemd_is_no_way() {
    let Some(bus) = PrivateBus::start(Mood::Well) else { return };
    let stranger = [Socket::Bus("/no/such/bus".into())];
    assert!(matches!(reach(&stranger), Err(CgroupError::Systemd(SystemdError::Unreachable(_)))));
    reach(std::slice::from_ref(&bus.socket)).unwrap();
}

#[test]
fn one_that_is_there_gets_its_limits_or_keeps_them() {
    let mount = tempfile::tempdir().unwrap();
    let (socket, calls) = peer(&mount, Mood::UnitExists);
    let sockets = [socket];
    create(&sockets, at(&mount), NAME, &QUOTA, true).unwrap();
    assert_eq!(members(&calls), ["Subscribe", "StartTransientUnit"]);
    create(&sockets, at(&mount), NAME, &QUOTA, false).unwrap();
    assert_eq!(members(&calls), ["Subscribe", "StartTransientUnit", "SetUnitProperties"]);
    // After a restart of the agent, when it is still there, nobody is asked.
    std::fs::create_dir_all(folder(mount.path(), CgroupVersion::V2, NAME)).unwrap();
    create(&[], at(&mount), NAME, &QUOTA, true).unwrap();
}

#[test]
fn what_is_gone_is_removed_and_what_fails_is_told() {
    let mount = tempfile::tempdir().unwrap();
    let (socket, _calls) = peer(&mount, Mood::NoSuchUnit);
    let sockets = [socket];
    // A folder without a unit goes too.
    std::fs::create_dir_all(folder(mount.path(), CgroupVersion::V2, NAME)).unwrap();
    remove(&sockets, at(&mount), NAME).unwrap();
    assert!(!folder(mount.path(), CgroupVersion::V2, NAME).exists());
    let other = tempfile::tempdir().unwrap();
    let (socket, _calls) = peer(&other, Mood::JobFails);
    let error = create(&[socket], at(&other), NAME, &QUOTA, false).unwrap_err();
    assert_eq!(error.to_string(), "systemd's job for ecstasks-0f.slice ended with failed");
    let error = create(&[], at(&other), NAME, &QUOTA, false).unwrap_err();
    assert!(error.to_string().starts_with("systemd cannot be reached"), "{error}");
}

/// Where there is a real systemd and we may ask it, as in a system test run by root.
#[test]
fn systemd_takes_it() {
    let sockets = Socket::all(None);
    let reached = reach(&sockets);
    if !rustix::process::geteuid().is_root() || reached.is_err() {
        eprintln!("skipped: {reached:?}");
        return;
    }
    let mount = Path::new("/sys/fs/cgroup");
    let version = super::super::cgroup_version(mount);
    let tree = (mount, version);
    let name = format!("ecstasks-longshoretest{}.slice", std::process::id());
    let limit = match version {
        CgroupVersion::V1 => format!("/sys/fs/cgroup/memory/ecstasks.slice/{name}/memory.limit_in_bytes"),
        CgroupVersion::V2 => format!("/sys/fs/cgroup/ecstasks.slice/{name}/memory.max"),
    };
    let read = || std::fs::read_to_string(&limit).unwrap_or_default().trim().to_owned();
    create(&sockets, tree, &name, &QUOTA, false).unwrap();
    let first = read();
    let more = Limits { memory_bytes: Some(512 << 20), ..QUOTA };
    create(&sockets, tree, &name, &more, true).unwrap();
    let kept = read();
    create(&sockets, tree, &name, &more, false).unwrap();
    let second = read();
    remove(&sockets, tree, &name).unwrap();
    remove(&sockets, tree, &name).unwrap();
    assert!(!folder(mount, version, &name).exists());
    // A machine whose hierarchy has no memory controller has no such file.
    if version == CgroupVersion::V1 || mount.join("memory.max").exists() || !first.is_empty() {
        assert_eq!([first, kept, second], ["268435456", "268435456", "536870912"]);
    }
}
