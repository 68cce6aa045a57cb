//! A terminal that is drawn anew again and again: the alternate screen, keys as they are pressed, and everything put
//! back at the end. Plain escape sequences; one table needs no more.

use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// What a user can do to a screen.
pub(super) enum Wake {
    Resized,
    /// Somebody pressed `q`.
    Quit,
}

/// An open screen. Dropping it gives the terminal back as it was.
pub(super) struct Screen {
    /// How the terminal's input was; `None` where there are no keys to read.
    before: Option<Termios>,
    keys: mpsc::Receiver<u8>,
    resizes: Signal,
    is_over: Arc<AtomicBool>,
}

impl Screen {
    pub(super) fn open() -> std::io::Result<Self> {
        let resizes = signal(SignalKind::window_change())?;
        let (sender, keys) = mpsc::channel(16);
        let is_over = Arc::new(AtomicBool::new(false));
        let stdin = std::io::stdin();
        let before = if stdin.is_terminal() {
            let before = termios::tcgetattr(&stdin)?;
            let mut raw = before.clone();
            // Ctrl-C stays a signal. A read returns after two tenths of a second, so that its thread can end.
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 2;
            termios::tcsetattr(&stdin, OptionalActions::Now, &raw)?;
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || read_keys(&sender, &is_over));
            Some(before)
        } else {
            None
        };
        let screen = Self { before, keys, resizes, is_over };
        write(ENTER)?;
        Ok(screen)
    }

    /// Shows these lines, as far as there is room.
    pub(super) fn draw(&mut self, lines: impl Iterator<Item = String>) -> std::io::Result<()> {
        let size = termios::tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
        let lines = lines.take(usize::from(rows)).map(|line| cut(&line, usize::from(columns)));
        let lines: Vec<_> = lines.map(|line| format!("{line}{CLEAR_LINE}")).collect();
        write(&format!("{HOME}{}{CLEAR_BELOW}", lines.join("\n")))
    }

    /// What the user does next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Wake {
        loop {
            tokio::select! {
                Some(()) = self.resizes.recv() => return Wake::Resized,
                Some(key) = self.keys.recv() => {
                    if matches!(key, b'q' | b'Q') {
                        return Wake::Quit;
                    }
                }
                else => std::future::pending().await,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // A terminal that is gone needs nothing back.
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

fn read_keys(sender: &mpsc::Sender<u8>, is_over: &AtomicBool) {
    let mut key = [0];
    while !is_over.load(Ordering::Relaxed) {
        match std::io::stdin().lock().read(&mut key) {
            Ok(0) => {}
            Ok(_) if sender.blocking_send(key[0]).is_ok() => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The first `width` characters of a line; colours take no room.
pub(super) fn cut(line: &str, width: usize) -> String {
    let (mut out, mut used, mut in_code, mut is_coloured) = (String::with_capacity(line.len()), 0, false, false);
    for c in line.chars() {
        if c == '\u{1b}' {
            (in_code, is_coloured) = (true, true);
        }
        if !in_code {
            if used == width {
                break;
            }
            used += 1;
        }
        out.push(c);
        if in_code && c.is_ascii_alphabetic() {
            in_code = false;
        }
    }
    if is_coloured {
        out.push_str("\u{1b}[0m");
    }
    out
}
