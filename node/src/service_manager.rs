//! What a service manager such as systemd is told: that this process is ready, that it stops, that it is alive.
//!
//! The protocol is that of sd_notify(3): lines of text in one datagram to the socket that `NOTIFY_SOCKET` names. It is a few
//! lines of the standard library, and so no library of its own: the one that there is knows no abstract sockets.

use std::{env, ffi::OsStr, io, time::Duration};

/// The variable that names the socket: a path, or a name in the abstract namespace after `@`.
const SOCKET: &str = "NOTIFY_SOCKET";
/// The variable with the time, in microseconds, within which the manager wants to hear that this process is alive.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// The variable with the process that it wants to hear of; without it any.
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// It is told so many times within that time, so that one datagram which is late does no harm.
const TIMES: u32 = 3;

/// Whoever started this process and wants to hear from it; nobody, where it was started by hand.
pub struct ServiceManager {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names. One that cannot be reached is named in the log, and done without.
    pub fn of_environment() -> Self {
        let watchdog = watchdog(
            env::var(WATCHDOG_USEC).ok().as_deref(),
            env::var(WATCHDOG_PID).ok().as_deref(),
            std::process::id(),
        );
        let socket = env::var_os(SOCKET).filter(|name| !name.is_empty());
        let connected = socket.map(|name| connect(&name)).transpose().unwrap_or_else(|error| {
            tracing::warn!("the service manager at {SOCKET} cannot be reached: {error}; the node goes on without");
            None
        });
        #[cfg(unix)]
        return Self { watchdog: watchdog.filter(|_| connected.is_some()), socket: connected };
        #[cfg(not(unix))]
        return Self { watchdog: connected.and(watchdog) };
    }

    /// How often [`Self::alive`] is to be said; `None` where nobody wants to hear it.
    pub fn interval(&self) -> Option<Duration> {
        self.watchdog.map(|within| within / TIMES)
    }

    /// Everything listens.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// It still does its work.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1\n");
    }

    /// It was told to stop, or has to.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping\n");
    }

    /// Sends one datagram, without waiting: a manager that does not read must not hold the node up.
    fn tell(&self, lines: &str) {
        #[cfg(unix)]
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(lines.as_bytes())
        {
            tracing::warn!(
                "the service manager could not be told {:?}: {error}",
                lines.lines().next().unwrap_or(lines)
            );
        }
        #[cfg(not(unix))]
        let _ = lines;
    }
}

#[cfg(unix)]
fn connect(name: &OsStr) -> io::Result<std::os::unix::net::UnixDatagram> {
    let socket = std::os::unix::net::UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    {
        use std::os::{linux::net::SocketAddrExt, unix::ffi::OsStrExt, unix::net::SocketAddr};
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
            return Ok(socket);
        }
    }
    socket.connect(name)?;
    Ok(socket)
}

#[cfg(not(unix))]
fn connect(_: &OsStr) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no such sockets on this system"))
}

/// What the two variables of the watchdog mean to the process `own`.
fn watchdog(within: Option<&str>, of: Option<&str>, own: u32) -> Option<Duration> {
    if of.is_some_and(|of| of.parse() != Ok(own)) {
        return None;
    }
    within?.parse().ok().filter(|within| *within > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None);
        for nothing in [None, Some("0"), Some("-1"), Some("soon")] {
            assert_eq!(watchdog(nothing, None, 7), None, "{nothing:?}");
        }
    }
}
