//! The messages of the rendezvous protocol as protobuf. Total: any bytes are a question or none.

/// The longest name to register under, in bytes, by the specification.
const MAX_NAMESPACE_LEN: usize = 255;
/// What precedes the name in a cookie, in bytes.
const POSITION_LEN: usize = 8;

/// What a peer asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// To be found under a name, with this signed record, for so many seconds.
    Register { namespace: String, record: Vec<u8>, ttl: Option<u64> },
    /// No longer to be found under a name. There is no answer to this.
    Unregister { namespace: String },
    /// Who is to be found: under a name or any, at most so many, those not yet told of by the cookie.
    Discover { namespace: Option<String>, limit: Option<u64>, cookie: Option<Cookie> },
}

/// What has been told already: all registrations up to a number, of one name or of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) seen: u64,
    pub(crate) namespace: Option<String>,
}

/// What a peer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is registered for so many seconds.
    Registered(u64),
    /// It is not.
    NotRegistered(Refusal),
    /// These are registered.
    Found { listed: Vec<Listed>, cookie: Cookie },
    /// The question made no sense.
    NotFound(Refusal),
}

/// A registration as it is told to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) namespace: String,
    pub(crate) record: Vec<u8>,
    /// Seconds that are left of it.
    pub(crate) ttl: u64,
}

/// Why not, by the numbers of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The record is too long, not signed, or signed by another.
    BadRecord = 101,
    /// It would last too short or too long.
    BadTtl = 102,
    /// The cookie is of another name.
    BadCookie = 103,
    /// The record is not the asker's own.
    NotAuthorised = 200,
    /// There is no room.
    Unavailable = 400,
}

impl Question {
    /// Reads a question; `None` where the bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut kind, mut register, mut unregister, mut discover) = (None, None, None, None);
        for field in fields(bytes) {
            match field? {
                (1, Value::Number(number)) => kind = Some(number),
                (2, Value::Bytes(bytes)) => register = Some(bytes),
                (4, Value::Bytes(bytes)) => unregister = Some(bytes),
                (5, Value::Bytes(bytes)) => discover = Some(bytes),
                _ => {}
            }
        }
        match kind? {
            0 => register_of(register?),
            2 => Some(Self::Unregister { namespace: namespace_in(unregister?)?? }),
            3 => discover_of(discover?),
            _ => None,
        }
    }
}

fn register_of(bytes: &[u8]) -> Option<Question> {
    let (mut namespace, mut record, mut ttl) = (None, None, None);
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => namespace = Some(name(bytes)?),
            (2, Value::Bytes(bytes)) => record = Some(bytes.to_vec()),
            (3, Value::Number(number)) => ttl = Some(number),
            _ => {}
        }
    }
    Some(Question::Register { namespace: namespace?, record: record?, ttl })
}

fn discover_of(bytes: &[u8]) -> Option<Question> {
    let (mut namespace, mut limit, mut cookie) = (None, None, None);
    for field in fields(bytes) {
        match field? {
            // No name and an empty one mean the same: any.
            (1, Value::Bytes(bytes)) => namespace = Some(name(bytes)?).filter(|name| !name.is_empty()),
            (2, Value::Number(number)) => limit = Some(number),
            (3, Value::Bytes(bytes)) => cookie = Some(Cookie::decode(bytes)?),
            _ => {}
        }
    }
    Some(Question::Discover { namespace, limit, cookie })
}

/// The name in a message whose first field it is; the inner `None` where it has none.
fn namespace_in(bytes: &[u8]) -> Option<Option<String>> {
    let mut namespace = None;
    for field in fields(bytes) {
        if let (1, Value::Bytes(bytes)) = field? {
            namespace = Some(name(bytes)?);
        }
    }
    Some(namespace)
}

fn name(bytes: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(bytes).ok()?;
    (text.len() <= MAX_NAMESPACE_LEN).then(|| text.to_owned())
}

impl Cookie {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (seen, namespace) = bytes.split_first_chunk::<POSITION_LEN>()?;
        let namespace = Some(name(namespace)?).filter(|name| !name.is_empty());
        Some(Self { seen: u64::from_be_bytes(*seen), namespace })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.seen.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.namespace.as_deref().unwrap_or_default().as_bytes());
        bytes
    }
}

impl Answer {
    /// The message. The caller bounds it: see [`super::Table::discover`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut inner = Vec::new();
        let (kind, place) = match self {
            Self::Registered(ttl) => {
                put_field(&mut inner, 1, 0);
                put_field(&mut inner, 3, *ttl);
                (1, 3)
            }
            Self::NotRegistered(refusal) => {
                put_field(&mut inner, 1, *refusal as u64);
                (1, 3)
            }
            Self::Found { listed, cookie } => {
                for one in listed {
                    let mut registration = Vec::with_capacity(one.record.len().saturating_add(300));
                    put_bytes(&mut registration, 1, one.namespace.as_bytes());
                    put_bytes(&mut registration, 2, &one.record);
                    put_field(&mut registration, 3, one.ttl);
                    put_bytes(&mut inner, 1, &registration);
                }
                put_bytes(&mut inner, 2, &cookie.encode());
                put_field(&mut inner, 3, 0);
                (4, 6)
            }
            Self::NotFound(refusal) => {
                put_field(&mut inner, 3, *refusal as u64);
                (4, 6)
            }
        };
        let mut message = Vec::with_capacity(inner.len().saturating_add(16));
        put_field(&mut message, 1, kind);
        put_bytes(&mut message, place, &inner);
        message
    }
}

/// Writes a number, seven bits a byte, the lowest first.
pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_field(out: &mut Vec<u8>, place: u64, number: u64) {
    put_number(out, place << 3);
    put_number(out, number);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, place: u64, bytes: &[u8]) {
    put_number(out, place << 3 | 2);
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What a field holds.
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a width that no field of these messages has.
    Other,
}

/// The fields of a message, one after the other; `None` where they cannot be read, which ends them.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = Option<(u64, Value<'_>)>> {
    let mut rest = Some(bytes);
    core::iter::from_fn(move || {
        let left = rest.filter(|left| !left.is_empty())?;
        let read = field(left);
        rest = read.as_ref().map(|(_, _, left)| *left);
        Some(read.map(|(place, value, _)| (place, value)))
    })
}

fn field(bytes: &[u8]) -> Option<(u64, Value<'_>, &[u8])> {
    let (tag, rest) = number(bytes)?;
    let (value, rest) = match tag & 7 {
        0 => number(rest).map(|(number, rest)| (Value::Number(number), rest))?,
        1 => (Value::Other, rest.get(8..)?),
        2 => {
            let (length, rest) = number(rest)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            (Value::Bytes(bytes), rest)
        }
        5 => (Value::Other, rest.get(4..)?),
        _ => return None,
    };
    Some((tag >> 3, value, rest))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        let shift = u32::try_from(place).ok()?.checked_mul(7)?;
        // The tenth byte has room for one bit alone.
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(place.checked_add(1)?..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_as_others_write_them() {
        // type 0; register { ns "a", record [7], ttl 300 }
        let register = [8, 0, 18, 9, 10, 1, b'a', 18, 1, 7, 24, 0xac, 2];
        let expected = Question::Register { namespace: "a".into(), record: vec![7], ttl: Some(300) };
        assert_eq!(Question::decode(&register), Some(expected));
        assert_eq!(Question::decode(&[8, 2, 34, 3, 10, 1, b'a']), Some(Question::Unregister { namespace: "a".into() }));
        let all = Question::Discover { namespace: None, limit: None, cookie: None };
        assert_eq!(Question::decode(&[8, 3, 42, 0]), Some(all));
        assert_eq!(Question::decode(&[8, 3]), None, "nothing is asked");
        assert_eq!(Question::decode(&[8, 1, 26, 0]), None, "an answer");
        assert_eq!(Question::decode(&[8, 0, 18, 3, 10, 200, 1]), None, "longer than it is");
    }

    #[test]
    fn cookies_come_back_as_they_went() {
        for cookie in [Cookie { seen: u64::MAX, namespace: None }, Cookie { seen: 7, namespace: Some("a".into()) }] {
            assert_eq!(Cookie::decode(&cookie.encode()), Some(cookie));
        }
        assert_eq!(Cookie::decode(&[0; 7]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_question_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Question::decode(&bytes);
        }

        #[test]
        fn numbers_come_back(value in any::<u64>()) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            prop_assert_eq!(number(&bytes), Some((value, &[][..])));
        }
    }
}
