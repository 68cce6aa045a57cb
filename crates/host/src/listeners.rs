//! Who has a TCP port: the kernel's socket tables name a socket, the descriptors of the processes its owner.
//!
//! For messages only: by the time the answer is read the listener may be gone. Processes of other users and
//! of other network namespaces are seen only as far as the kernel shows them.

use std::path::Path;

use crate::process;

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
}

/// The process that listens on TCP `port` (IPv4 or IPv6) in this network namespace, if there is one and it shows itself.
#[must_use]
pub fn who_listens(port: u16) -> Option<Listener> {
    find(Path::new("/proc"), port)
}

fn find(proc: &Path, port: u16) -> Option<Listener> {
    let sockets: Vec<String> = ["self/net/tcp", "self/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(proc.join(table)).ok())
        .flat_map(|table| listening_inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let mut pids: Vec<u32> =
        std::fs::read_dir(proc).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // A listener inherited by children is best named by its oldest holder.
    pids.sort_unstable();
    let pid = pids.into_iter().find(|pid| holds_any(proc, *pid, &sockets))?;
    Some(Listener { pid, command: process::command(proc, pid).unwrap_or_default() })
}

/// Inodes of the sockets in `table` (the format of `/proc/net/tcp`) that listen on `port`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let local = columns.nth(1)?;
            let state = columns.nth(1)?;
            let inode = columns.nth(5)?.parse().ok()?;
            let (_, local_port) = local.rsplit_once(':')?;
            (state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port)).then_some(inode)
        })
        .collect()
}

fn holds_any(proc: &Path, pid: u32, sockets: &[String]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(proc.join(pid.to_string()).join("fd")) else { return false };
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn our_own_listener_is_found_on_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            let found = who_listens(port).unwrap();
            assert_eq!(found.pid, std::process::id());
            assert!(!found.command.is_empty());
            drop(listener);
            assert_eq!(who_listens(port), None);
        }
    }

    #[test]
    fn a_connection_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(who_listens(client.local_addr().unwrap().port()), None);
    }

    #[test]
    fn the_table_is_read_by_state_and_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
           0: 0100007F:C7DF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n\
           1: 0100007F:C7DF 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n\
           2: 00000000000000000000000001000000:C7DF 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1 0\n\
           broken line\n";
        assert_eq!(listening_inodes(table, 51167), [4711, 4713]);
        assert_eq!(listening_inodes(table, 80), Vec::<u64>::new());
    }
}
