//! Errors of the network stack in a few words for a person.

use std::{error::Error, io};

use libp2p::{
    TransportError,
    swarm::{ConnectionError, DialError},
};

/// Characters kept of a reason.
const MAX_LEN: usize = 160;

/// Why a dial failed.
pub(crate) fn of_dial(error: &DialError) -> String {
    match error {
        DialError::Transport(attempts) => attempts.first().map_or_else(
            || "there is no address to try".to_owned(),
            |(_, error)| match error {
                TransportError::MultiaddrNotSupported(_) => "addresses of this kind are not supported".to_owned(),
                TransportError::Other(error) => of_io(error),
            },
        ),
        DialError::WrongPeerId { obtained, .. } => format!("another node answers there: {obtained}"),
        DialError::Denied { cause } => of(cause),
        DialError::NoAddresses => "there is no address to try".to_owned(),
        DialError::Aborted => "the attempt was aborted".to_owned(),
        DialError::LocalPeerId { .. } => "it is this node itself".to_owned(),
        DialError::DialPeerConditionFalse(_) => "it is connected or being dialled already".to_owned(),
    }
}

/// Why a connection ended.
pub(crate) fn of_end(error: &ConnectionError) -> String {
    match error {
        ConnectionError::KeepAliveTimeout => "nothing was left to talk about".to_owned(),
        ConnectionError::IO(error) => match io_kind(error) {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the other end closed it".to_owned()
            }
            _ => of_io(error),
        },
    }
}

/// Whether a connection ended because nothing came on it any longer.
pub(crate) fn is_silence(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::IO(error) if io_kind(error) == io::ErrorKind::TimedOut)
}

/// Why an operation of the transport failed.
pub(crate) fn of_transport(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "addresses of this kind are not supported".to_owned(),
        TransportError::Other(error) => of_io(error),
    }
}

/// The kind of the I/O error at the bottom, if there is one. Layers of the stack wrap it as kind `Other`, and some hide it
/// from the chain of sources; the system's number is in the text all the same.
pub(crate) fn io_kind(error: &io::Error) -> io::ErrorKind {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        next = match error.downcast_ref::<io::Error>() {
            Some(io) if io.kind() != io::ErrorKind::Other => return io.kind(),
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    let text = error.to_string();
    let number = text.split_once("(os error ").and_then(|(_, rest)| rest.split_once(')')).map(|(number, _)| number);
    let number = number.and_then(|number| number.parse().ok());
    number.map_or(io::ErrorKind::Other, |number| io::Error::from_raw_os_error(number).kind())
}

fn of_io(error: &io::Error) -> String {
    match io_kind(error) {
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        io::ErrorKind::HostUnreachable => "the computer cannot be reached".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network cannot be reached".to_owned(),
        io::ErrorKind::AddrInUse => "the port is already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this computer does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied => "the system does not allow it".to_owned(),
        _ => of(error),
    }
}

/// The innermost reason, which is the one that says what happened.
fn of(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    loop {
        let inner = match innermost.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => innermost.source(),
        };
        match inner {
            Some(inner) => innermost = inner,
            None => break,
        }
    }
    innermost.to_string().chars().filter(|character| !character.is_control()).take(MAX_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_errors_are_named_by_their_cause() {
        let refused = io::Error::other(io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert_eq!(io_kind(&refused), io::ErrorKind::ConnectionRefused);
        assert_eq!(of_io(&refused), "nothing listens there");
        assert_eq!(of_io(&io::Error::other("a\nb")), "ab");
        let hidden = io::Error::other(io::Error::from_raw_os_error(2).to_string());
        assert_eq!(io_kind(&hidden), io::ErrorKind::NotFound);
    }
}
