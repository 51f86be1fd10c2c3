//! How people name another node: a multiaddress, a host and a port, or the URL of its API.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use bard_protocol::Multiaddr;

/// The longest name of a host, in characters, as in the DNS.
const MAX_HOST: usize = 253;
/// Characters of a text that an error shows.
const SHOWN: usize = 80;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// A name, or an IP address in its usual form, without brackets.
    host: String,
    port: u16,
}

/// Another node, as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it listens for nodes, whole.
    Multiaddr(Multiaddr),
    /// A port, of which nobody has said whether it is for nodes (TCP) or for programs (HTTP).
    HostPort(HostPort),
    /// Where its HTTP API is.
    Api(HostPort),
}

/// A text that names no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an address: expected a multiaddress such as /ip4/192.168.1.7/tcp/6000, HOST:PORT or http://HOST:PORT"
)]
pub struct NotAPlace(String);

/// A text that is not the URL of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a URL of the form http://HOST:PORT")]
pub struct NotAUrl(String);

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Place {
    /// Reads a text as people write it.
    ///
    /// # Errors
    /// [`NotAPlace`] shows the text, and what was expected.
    pub fn parse(text: &str) -> Result<Self, NotAPlace> {
        let place = if text.starts_with('/') {
            text.parse().ok().map(Self::Multiaddr)
        } else if text.contains("://") {
            HostPort::from_url(text).ok().map(Self::Api)
        } else {
            HostPort::parse(text).map(Self::HostPort)
        };
        place.ok_or_else(|| NotAPlace(shown(text)))
    }
}

impl HostPort {
    /// Reads `host:port`; an IPv6 address stands in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
        Self::new(host, port)
    }

    /// Reads `http://host:port`, with or without `/` at the end; without a port it is 80.
    ///
    /// # Errors
    /// [`NotAUrl`] for anything else: other schemes, paths, names of users.
    pub fn from_url(text: &str) -> Result<Self, NotAUrl> {
        let read = || {
            let (scheme, rest) = text.split_once("://")?;
            if !scheme.eq_ignore_ascii_case("http") {
                return None;
            }
            let authority = rest.strip_suffix('/').unwrap_or(rest);
            Self::parse(authority).or_else(|| Self::new(authority, 80))
        };
        read().ok_or_else(|| NotAUrl(shown(text)))
    }

    fn new(host: &str, port: u16) -> Option<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.to_string(),
            None if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(fits) => return None,
            None => host.to_ascii_lowercase(),
        };
        (port != 0).then_some(Self { host, port })
    }

    /// The host, for the system's resolver.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the name alone says that this machine is meant.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The address of a node that listens there by TCP; `None` for a name that no multiaddress can hold.
    pub fn multiaddr(&self) -> Option<Multiaddr> {
        let (host, port) = (&self.host, self.port);
        let text = match host.parse() {
            Ok(IpAddr::V4(ip)) => format!("/ip4/{ip}/tcp/{port}"),
            Ok(IpAddr::V6(ip)) => format!("/ip6/{ip}/tcp/{port}"),
            Err(_) => format!("/dns/{host}/tcp/{port}"),
        };
        text.parse().ok()
    }

    /// The URL of a path, which begins with `/`, at an HTTP server there.
    pub fn url(&self, path: &str) -> String {
        format!("http://{self}{path}")
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_people_write_them() {
        let multiaddr = "/ip4/10.0.0.1/tcp/6000";
        assert_eq!(Place::parse(multiaddr), Ok(Place::Multiaddr(multiaddr.parse().expect("one"))));
        for (text, url, address) in [
            ("localhost:5001", "http://localhost:5001/x", "/dns/localhost/tcp/5001"),
            ("LocalHost:5001", "http://localhost:5001/x", "/dns/localhost/tcp/5001"),
            ("10.0.0.1:80", "http://10.0.0.1:80/x", "/ip4/10.0.0.1/tcp/80"),
            ("[::1]:80", "http://[::1]:80/x", "/ip6/::1/tcp/80"),
            ("[0::0:1]:80", "http://[::1]:80/x", "/ip6/::1/tcp/80"),
        ] {
            let Ok(Place::HostPort(read)) = Place::parse(text) else { panic!("{text}") };
            assert_eq!(read.url("/x"), url, "{text}");
            assert_eq!(read.multiaddr().map(|address| address.to_string()), Some(address.to_owned()), "{text}");
            for url in [format!("http://{text}"), format!("HTTP://{text}/")] {
                assert_eq!(Place::parse(&url), Ok(Place::Api(read.clone())), "{url}");
            }
        }
        assert_eq!(HostPort::from_url("http://node.lan").map(|read| read.to_string()), Ok("node.lan:80".to_owned()));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "localhost:+5",
            ":5000",
            "::1:5000",
            "[::1:5000",
            "[localhost]:1",
            "a b:1",
            "a/b:1",
            "/ip4/300.0.0.1/tcp/1",
            "/nonsense",
            "https://a:1",
            "ftp://a:1",
            "http://",
            "http:///",
            "http://a:1/path",
            "http://user@a:1",
            "http://a:1//",
            "http://a:b",
            "http://a:1?x",
            "http://a\u{0}:1",
            "\u{1b}[31m:1",
        ] {
            let problem = Place::parse(bad).expect_err(bad).to_string();
            assert!(!problem.chars().any(char::is_control), "{problem}");
        }
        let long = format!("{}:1", "a".repeat(MAX_HOST + 1));
        assert!(Place::parse(&long).expect_err("too long").to_string().len() < 250);
    }

    #[test]
    fn this_machine_is_known_by_name() {
        for (text, expected) in
            [("localhost:1", true), ("127.1.2.3:1", true), ("[::1]:1", true), ("10.0.0.1:1", false), ("a.b:1", false)]
        {
            assert_eq!(HostPort::parse(text).map(|read| read.is_loopback()), Some(expected), "{text}");
        }
    }
}
