//! A terminal with a screen that can be read, and `bard` on it.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bard_tests::process::{Http, NodeFile, PATIENCE, bard, wait_for, wait_until};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::termios::LocalModes;
use tempfile::TempDir;

/// Rows and columns of a terminal that nobody resized.
const ROWS: u16 = 40;
const COLUMNS: u16 = 120;
/// Lines above the screen that are still known.
const SCROLLED: usize = 500;
/// How often the screen is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How long until Tab is pressed again.
const BETWEEN_TABS: Duration = Duration::from_millis(300);

/// The words that run a node; its data directory follows.
pub(crate) const NODE: &str = "node --port 0 --listen /ip4/127.0.0.1/tcp/0 --no-mdns --no-upnp --data-dir";
pub(crate) const ENTER: &str = "\r";
pub(crate) const TAB: &str = "\t";
pub(crate) const UP: &str = "\x1b[A";
pub(crate) const RIGHT: &str = "\x1b[C";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";

/// Who sits at the terminals: the directory that is `HOME` to what runs on them.
#[derive(Clone)]
pub(crate) struct Person {
    home: Arc<TempDir>,
    environment: Vec<(&'static str, &'static str)>,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self { home: Arc::new(TempDir::with_prefix("bard-test-").unwrap()), environment: Vec::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where this person's consoles remember lines.
    pub(crate) fn history(&self) -> PathBuf {
        self.home().join("share/blockbard/console_history")
    }

    /// Runs `bard` on a terminal.
    pub(crate) fn run(&self, arguments: &[&str]) -> Terminal {
        self.run_program(bard(), arguments)
    }

    /// Runs a program on a terminal.
    pub(crate) fn run_program(&self, program: &Path, arguments: &[&str]) -> Terminal {
        let pair = native_pty_system().openpty(size(ROWS, COLUMNS)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(self.home());
        let own: Vec<_> = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BARD_")).collect();
        for (name, _) in own {
            command.env_remove(name);
        }
        command.env_remove("NO_COLOR");
        command.env("TERM", "xterm-256color");
        command.env("HOME", self.home());
        command.env("XDG_DATA_HOME", self.home().join("share"));
        command.env("XDG_CONFIG_HOME", self.home().join("config"));
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        Terminal::new(pair.master, child)
    }

    /// Runs a node on a terminal and waits for its prompt.
    pub(crate) fn node(&self) -> NodeTerminal {
        self.node_with(&[])
    }

    /// Runs a node with more options.
    pub(crate) fn node_with(&self, options: &[&str]) -> NodeTerminal {
        let dir = self.home().join("data");
        let words: Vec<&str> = NODE.split(' ').chain([dir.to_str().unwrap()]).chain(options.iter().copied()).collect();
        let terminal = self.run(&words);
        terminal.wait_for_prompt();
        let file: NodeFile = wait_for("node.json", PATIENCE, || {
            serde_json::from_slice(&std::fs::read(dir.join("node.json")).ok()?).ok()
        });
        NodeTerminal { http: Http::new(&file.api), api: file.api, terminal }
    }

    /// Attaches a console to a node, on a terminal, and waits for its prompt.
    pub(crate) fn console(&self, api: &str) -> Terminal {
        let terminal = self.run(&["console", "--api", api]);
        terminal.wait_for_prompt();
        terminal
    }
}

/// A node on a terminal.
pub(crate) struct NodeTerminal {
    pub(crate) terminal: Terminal,
    pub(crate) http: Http,
    pub(crate) api: String,
}

impl NodeTerminal {
    /// Mines a block, without the terminal.
    pub(crate) fn mine(&self) {
        self.http.post("/api/v1/mine", &serde_json::json!({ "blocks": 1 })).success();
    }

    pub(crate) fn height(&self) -> u64 {
        self.http.get("/api/v1/status").success()["height"].as_u64().unwrap()
    }

    /// Lets the node stop by Ctrl-C, which is a good end.
    pub(crate) fn stop(mut self) {
        self.terminal.type_keys(CTRL_C);
        assert_eq!(self.terminal.end().exit_code(), 0);
    }
}

/// What was shown so far.
struct Shown {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// A terminal on which a process runs; it is killed when this is dropped.
pub(crate) struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Mutex<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    shown: Arc<Mutex<Shown>>,
    /// The end of the terminal that the process has.
    line: File,
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn cells(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Terminal {
    fn new(master: Box<dyn MasterPty + Send>, child: Box<dyn Child + Send + Sync>) -> Self {
        let parser = vt100::Parser::new(cells(ROWS), cells(COLUMNS), SCROLLED);
        let shown = Arc::new(Mutex::new(Shown { parser, bytes: Vec::new() }));
        let mut from = master.try_clone_reader().unwrap();
        let to = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut some) {
                let mut shown = lock(&to);
                shown.parser.process(&some[..read]);
                shown.bytes.extend_from_slice(&some[..read]);
            }
        });
        let keys = Mutex::new(master.take_writer().unwrap());
        let line = File::open(master.tty_name().unwrap()).unwrap();
        Self { master, keys, child, shown, line }
    }

    /// Types keys.
    pub(crate) fn type_keys(&self, keys: &str) {
        let mut to = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        to.write_all(keys.as_bytes()).and_then(|()| to.flush()).unwrap();
    }

    /// Types a command at a fresh prompt and waits until it was carried out.
    pub(crate) fn command(&self, line: &str) {
        self.wait_for_prompt();
        self.type_keys(line);
        self.wait_for_line(&format!("bard> {line}"));
        self.type_keys(ENTER);
        wait_until(&format!("{line} is carried out"), PATIENCE, || {
            let row = self.current_row();
            row.trim_end() == "bard>" || !row.starts_with("bard> ")
        });
    }

    /// Everything on the screen; lines that were too long for it are whole.
    pub(crate) fn text(&self) -> String {
        lock(&self.shown).parser.screen().contents()
    }

    /// Everything that was written to the terminal.
    pub(crate) fn bytes(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shown).bytes).into_owned()
    }

    /// The row that the cursor is in.
    pub(crate) fn current_row(&self) -> String {
        let shown = lock(&self.shown);
        let screen = shown.parser.screen();
        let (row, _) = screen.cursor_position();
        screen.rows(0, screen.size().1.get()).nth(usize::from(row)).unwrap_or_default()
    }

    /// What was typed in the row of the cursor, up to it.
    pub(crate) fn before_cursor(&self) -> String {
        let shown = lock(&self.shown);
        let screen = shown.parser.screen();
        let (row, column) = screen.cursor_position();
        screen.rows(0, column).nth(usize::from(row)).unwrap_or_default()
    }

    /// What is dim in the row of the cursor, from it on.
    pub(crate) fn hint(&self) -> String {
        let shown = lock(&self.shown);
        let screen = shown.parser.screen();
        let (row, column) = screen.cursor_position();
        let cells = (column..screen.size().1.get()).filter_map(|at| screen.cell(row, at));
        cells
            .take_while(|cell| cell.dim())
            .map(|cell| if cell.has_contents() { cell.contents() } else { " " })
            .collect()
    }

    /// Whether the first place of a row that begins so has a colour.
    pub(crate) fn is_coloured(&self, start: &str) -> bool {
        let shown = lock(&self.shown);
        let screen = shown.parser.screen();
        let row = screen.rows(0, screen.size().1.get()).position(|row| row.starts_with(start));
        let cell = row.and_then(|row| screen.cell(u16::try_from(row).unwrap(), 0));
        cell.is_some_and(|cell| cell.fgcolor() != vt100::Color::Default || cell.dim())
    }

    /// Waits until a part is on the screen.
    pub(crate) fn wait_for(&self, part: &str) {
        self.wait(&format!("{part:?} is shown"), |terminal| terminal.text().contains(part));
    }

    /// Waits until a condition holds, and shows the screen where it does not.
    pub(crate) fn wait(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(began.elapsed() < PATIENCE, "waited in vain: {what}; on the screen:\n{}", self.text());
            std::thread::sleep(LOOK);
        }
    }

    /// Presses Tab until this line is before the cursor: what completion knows may come a moment after it happened.
    pub(crate) fn complete_to(&self, line: &str) {
        self.wait(&format!("Tab makes it {line:?}"), |terminal| {
            terminal.type_keys(TAB);
            let pressed = Instant::now();
            while pressed.elapsed() < BETWEEN_TABS {
                if terminal.before_cursor().trim_end() == line {
                    return true;
                }
                std::thread::sleep(LOOK);
            }
            false
        });
    }

    /// Waits for an empty prompt.
    pub(crate) fn wait_for_prompt(&self) {
        self.wait_for_line("bard>");
    }

    /// Waits until the cursor is at the end of this line.
    pub(crate) fn wait_for_line(&self, line: &str) {
        self.wait(&format!("{line:?} before the cursor"), |terminal| {
            terminal.before_cursor().trim_end() == line.trim_end()
        });
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        lock(&self.shown).parser.set_size(cells(rows), cells(columns));
        self.master.resize(size(rows, columns)).unwrap();
    }

    /// Whether what is typed is shown by the terminal itself and handed on line by line: as a shell leaves it.
    pub(crate) fn is_plain(&self) -> bool {
        let modes = rustix::termios::tcgetattr(&self.line).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Whether what is typed is not shown by the terminal.
    pub(crate) fn hides_what_is_typed(&self) -> bool {
        !rustix::termios::tcgetattr(&self.line).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for the end of what runs on it.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the end of the process", PATIENCE, || child.try_wait().unwrap())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.kill();
    }
}
