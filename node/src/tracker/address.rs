//! Addresses as peers announce them and as others can reach them. Pure.
//!
//! A URL of a node's API, `host:port`, or a multiaddress. Where the host is not one that others could use (`0.0.0.0`, or
//! `localhost` said by another machine) it is replaced by the address that the announcement came from.

use std::net::IpAddr;

use bard_protocol::Multiaddr;

/// The longest address, in bytes: a 253-byte name with its scheme or port would be rare enough to be refused.
pub(super) const MAX_LEN: usize = 256;

/// Makes an announced address one that others can use.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(super) fn reachable(text: &str, source: IpAddr) -> Result<String, String> {
    let (before, host, after) = split(text)?;
    let replaced = match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if ip.is_unspecified() => Some(source),
        Ok(ip) if ip.is_loopback() && !source.is_loopback() => Some(source),
        Err(_) if is_localhost(host) && !source.is_loopback() => Some(source),
        Ok(_) | Err(_) => None,
    };
    let Some(ip) = replaced else { return Ok(text.to_owned()) };
    Ok(match (is_multiaddr(text), ip) {
        (true, IpAddr::V4(_)) => format!("/ip4/{ip}{after}"),
        (true, IpAddr::V6(_)) => format!("/ip6/{ip}{after}"),
        (false, IpAddr::V4(_)) => format!("{}{ip}{}", before.trim_end_matches('['), after.trim_start_matches(']')),
        (false, IpAddr::V6(_)) => {
            format!("{}[{ip}]{}", before.trim_end_matches('['), after.trim_start_matches(']'))
        }
    })
}

/// Makes an announced multiaddress of a node one that others can use.
///
/// # Errors
/// What is wrong with it, in a few words; also where it does not end with `/p2p/` and a peer id.
pub(super) fn reachable_node(text: &str, source: IpAddr) -> Result<String, String> {
    if !is_multiaddr(text) || text.rsplit('/').nth(1) != Some("p2p") {
        return Err("a multiaddress that ends with /p2p/ and a peer id is expected".to_owned());
    }
    reachable(text, source)
}

/// Whether an address leads to the machine that uses it.
pub(super) fn is_local(text: &str) -> bool {
    split(text).is_ok_and(|(_, host, _)| {
        is_localhost(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    })
}

/// The IP address that an address names; `None` where it is a name.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    split(text).ok()?.1.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

fn is_multiaddr(text: &str) -> bool {
    text.starts_with('/')
}

/// What is before the host, the host, and what is after it.
fn split(text: &str) -> Result<(&str, &str, &str), String> {
    if text.len() > MAX_LEN {
        return Err(format!("{} bytes are too long, {MAX_LEN} are allowed", text.len()));
    }
    // JSON writes a quote or a backslash as two characters: a list would be longer than those who ask for it read.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
        return Err("only visible ASCII characters are allowed, and neither \" nor \\".to_owned());
    }
    if is_multiaddr(text) { split_multiaddr(text) } else { split_authority(text) }
}

fn split_multiaddr(text: &str) -> Result<(&str, &str, &str), String> {
    text.parse::<Multiaddr>().map_err(|error| format!("not a multiaddress: {error}"))?;
    let mut parts = text.splitn(4, '/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("ip4" | "ip6" | "dns" | "dns4" | "dns6"), Some(host), Some(rest)) => {
            // The rest with the slash before it.
            let after = text.len().saturating_sub(rest.len()).saturating_sub(1);
            Ok(("", host, text.get(after..).unwrap_or_default()))
        }
        _ => Err("a multiaddress of a host and a port is expected".to_owned()),
    }
}

fn split_authority(text: &str) -> Result<(&str, &str, &str), String> {
    let expected = || "expected http://HOST:PORT, HOST:PORT or a multiaddress".to_owned();
    let (is_url, start) = match text.split_once("://") {
        Some(("http" | "https", rest)) => (true, text.len().saturating_sub(rest.len())),
        Some(_) => return Err(expected()),
        None => (false, 0),
    };
    let (scheme, rest) = text.split_at_checked(start).ok_or_else(expected)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if !is_url && authority.len() < rest.len() {
        return Err(expected());
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return Err(expected()),
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len())).ok_or_else(expected)?,
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port != 0),
        None => port.is_empty() && is_url,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let host_is_good = !host.is_empty() && (authority.starts_with('[') || host.bytes().all(is_name));
    if !port_is_good || !host_is_good {
        return Err(expected());
    }
    let before = scheme.len().saturating_add(usize::from(authority.starts_with('[')));
    let after = before.saturating_add(host.len());
    Ok((text.get(..before).unwrap_or_default(), host, text.get(after..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const PEER: &str = "12D3KooWSJgjtp4T8jtCzMsdDx4QMgL68vnbtsRAcwY2HtFaKGBY";

    fn far() -> IpAddr {
        IpAddr::from([10, 0, 0, 7])
    }

    fn six() -> IpAddr {
        "fd00::7".parse().expect("an address")
    }

    #[test]
    fn what_can_be_used_stays_as_it_is() {
        for text in [
            "http://192.168.1.7:5501",
            "http://teacher.local:5501/",
            "https://node.example.org",
            "http://[fd00::1]:5501/api?x=1",
            "10.0.0.9:5501",
            "[fd00::1]:5501",
            "my_host:1",
            "/ip4/10.0.0.9/tcp/6000",
            "/dns4/example.org/udp/6000/quic-v1",
        ] {
            assert_eq!(reachable(text, far()).as_deref(), Ok(text));
            assert_eq!(reachable(text, HERE).as_deref(), Ok(text));
            assert!(!is_local(text), "{text}");
        }
    }

    #[test]
    fn hosts_that_mean_nothing_elsewhere_are_replaced() {
        for (text, expected) in [
            ("http://0.0.0.0:5501", "http://10.0.0.7:5501"),
            ("http://localhost:5501/", "http://10.0.0.7:5501/"),
            ("http://LOCALHOST", "http://10.0.0.7"),
            ("http://127.0.0.1:5501", "http://10.0.0.7:5501"),
            ("http://[::]:5501/x", "http://10.0.0.7:5501/x"),
            ("[::1]:5501", "10.0.0.7:5501"),
            ("localhost:5501", "10.0.0.7:5501"),
            ("/ip4/0.0.0.0/tcp/6000", "/ip4/10.0.0.7/tcp/6000"),
            ("/ip6/::/udp/6000/quic-v1", "/ip4/10.0.0.7/udp/6000/quic-v1"),
            ("/ip4/127.0.0.1/tcp/6000", "/ip4/10.0.0.7/tcp/6000"),
            ("/dns/localhost/tcp/6000", "/ip4/10.0.0.7/tcp/6000"),
        ] {
            assert_eq!(reachable(text, far()).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(reachable("http://0.0.0.0:1", six()).as_deref(), Ok("http://[fd00::7]:1"));
        assert_eq!(reachable("[::]:1", six()).as_deref(), Ok("[fd00::7]:1"));
        assert_eq!(reachable("/ip4/0.0.0.0/tcp/1", six()).as_deref(), Ok("/ip6/fd00::7/tcp/1"));
        assert_eq!(reachable("http://0.0.0.0:1", HERE).as_deref(), Ok("http://127.0.0.1:1"));
        assert_eq!(reachable("http://localhost:1", HERE).as_deref(), Ok("http://localhost:1"));
        assert!(is_local("http://localhost:1") && is_local("/ip4/127.0.0.1/tcp/1") && is_local("[::1]:1"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("http://{}:1", "a".repeat(MAX_LEN));
        for text in [
            "",
            "moon",
            "http://",
            "http://:5501",
            "http://host:",
            "http://host:0",
            "http://host:65536",
            "ftp://host:1",
            "http://user@host:1",
            "http://[::1:5501",
            "http://[host]:5501",
            "host:1/path",
            "a b:1",
            "höst:1",
            "/",
            "/ip4/300.0.0.1/tcp/1",
            "/memory/5",
            "/ip4/10.0.0.1",
            "javascript:alert(1)",
            "http://host:1/\"\"\"",
            "http://host:1/?x=\\",
            "/dns/\"\"\"/tcp/1",
            "/dns4/a\\b/tcp/1",
            long.as_str(),
        ] {
            assert!(reachable(text, HERE).is_err(), "{text}");
        }
    }

    #[test]
    fn nodes_name_themselves() {
        let good = format!("/ip4/0.0.0.0/tcp/6000/p2p/{PEER}");
        assert_eq!(reachable_node(&good, far()), Ok(format!("/ip4/10.0.0.7/tcp/6000/p2p/{PEER}")));
        for bad in ["/ip4/10.0.0.1/tcp/6000", "http://10.0.0.1:1", "/ip4/10.0.0.1/tcp/6000/p2p/x", ""] {
            assert!(reachable_node(bad, far()).is_err(), "{bad}");
        }
    }
}
