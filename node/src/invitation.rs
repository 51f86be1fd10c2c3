//! An invitation to a chain: one word to copy, that says which chain, where its nodes are, and the secret of a closed one.
//!
//! `bard:join1...`: bech32m over canonical CBOR, described in `protocol/wire.cddl`. It has only letters and digits after the
//! colon, so that chat programs leave it alone, and a checksum, so that a mistyped one is noticed.

use bard_chain::{array_form, encoding, hash::ChainId};
use bard_protocol::{ChainSecret, Multiaddr};
use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use serde_bytes::ByteBuf;

/// What comes first; it may be left out.
const SCHEME: &str = "bard:";
/// The human-readable part of bech32m.
const HRP: Hrp = Hrp::parse_unchecked("join");
/// The version of what is inside.
const VERSION: u8 = 1;
/// The longest link that is read, in characters: what the checksum is made for, and the scheme.
const MAX_LEN: usize = 1023 + SCHEME.len();
/// The longest name of a chain.
const MAX_NAME: usize = 32;
/// Addresses in one invitation at most.
pub const MAX_ADDRESSES: usize = 8;

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The chain's name, for people.
    pub name: String,
    /// The chain's id, which commits to the whole specification.
    pub chain: ChainId,
    /// The secret of a closed chain.
    pub secret: Option<ChainSecret>,
    /// Where its nodes are, at most [`MAX_ADDRESSES`]; with none, mDNS has to do.
    pub addresses: Vec<Multiaddr>,
}

/// Why a text is no invitation: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is something else.
    #[error("this is no invitation: it should begin with {SCHEME}join1")]
    Other,
    /// It is longer than any.
    #[error("this is no invitation: {0} characters are too many")]
    TooLong(usize),
    /// A character is missing, wrong, or one too many.
    #[error("the invitation was not copied whole, or a character of it is wrong: {0}")]
    Damaged(String),
    /// It was made by other software.
    #[error("the invitation is of version {0}, this version of bard knows version {VERSION}")]
    Version(u8),
    /// The checksum is right and the content makes no sense.
    #[error("the invitation makes no sense: {0}")]
    Senseless(&'static str),
}

/// What is encoded.
struct Content {
    version: u8,
    name: String,
    chain: ChainId,
    secret: Vec<ByteBuf>,
    addresses: Vec<ByteBuf>,
}

array_form!(Content { version: u8, name: String, chain: ChainId, secret: Vec<ByteBuf>, addresses: Vec<ByteBuf> });

impl Invitation {
    /// The link.
    ///
    /// # Errors
    /// Where the addresses are too long for one.
    pub fn to_link(&self) -> Result<String, LinkError> {
        let content = Content {
            version: VERSION,
            name: self.name.clone(),
            chain: self.chain,
            secret: self.secret.iter().map(|secret| ByteBuf::from(secret.as_bytes())).collect(),
            addresses: self.addresses.iter().map(|address| ByteBuf::from(address.to_vec())).collect(),
        };
        let mut link = SCHEME.to_owned();
        let coded = bech32::encode::<Bech32m>(HRP, &encoding::encode(&content))
            .map_err(|_| LinkError::Senseless("its addresses are too long"))?;
        link.push_str(&coded);
        Ok(link)
    }

    /// Reads a link, with spaces around it or not.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn from_link(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.len() > MAX_LEN {
            return Err(LinkError::TooLong(text.len()));
        }
        let scheme = text.get(..SCHEME.len()).filter(|start| start.eq_ignore_ascii_case(SCHEME));
        let coded = scheme.map_or(text, |scheme| text.get(scheme.len()..).unwrap_or_default());
        if !coded.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("join1")) {
            return Err(LinkError::Other);
        }
        let checked = CheckedHrpstring::new::<Bech32m>(coded).map_err(|error| LinkError::Damaged(error.to_string()))?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        // The version comes first and decides what the rest means: the array's head, then a small number.
        match bytes.get(1) {
            Some(&VERSION) => {}
            Some(&other) => return Err(LinkError::Version(other)),
            None => return Err(LinkError::Senseless("it is empty")),
        }
        let content: Content =
            encoding::decode(&bytes, MAX_LEN).map_err(|_| LinkError::Senseless("it is not encoded as one"))?;
        content.check()
    }
}

impl Content {
    fn check(self) -> Result<Invitation, LinkError> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=MAX_NAME).contains(&self.name.len()) || !self.name.bytes().all(named) {
            return Err(LinkError::Senseless("the name is none of a chain"));
        }
        let secret = match self.secret.as_slice() {
            [] => None,
            [one] => {
                let bytes = one.as_slice().try_into().map_err(|_| LinkError::Senseless("the secret is too short"))?;
                Some(ChainSecret::new(bytes))
            }
            _ => return Err(LinkError::Senseless("it has several secrets")),
        };
        if self.addresses.len() > MAX_ADDRESSES {
            return Err(LinkError::Senseless("it has too many addresses"));
        }
        let address = |bytes: ByteBuf| Multiaddr::try_from(bytes.into_vec());
        let addresses = self.addresses.into_iter().map(address).collect::<Result<_, _>>();
        let addresses = addresses.map_err(|_| LinkError::Senseless("an address is none"))?;
        Ok(Invitation { name: self.name, chain: self.chain, secret, addresses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(secret: Option<ChainSecret>) -> Invitation {
        let addresses = ["/ip4/192.168.1.7/tcp/6000", "/ip4/192.168.1.7/udp/6000/quic-v1"];
        Invitation {
            name: "kiln".to_owned(),
            chain: ChainId::new([0x5a; 32]),
            secret,
            addresses: addresses.iter().map(|text| text.parse().expect("a multiaddress")).collect(),
        }
    }

    #[test]
    fn a_link_says_the_same_in_small_and_capital_letters() {
        for invitation in [
            invitation(None),
            invitation(Some(ChainSecret::new([3; 16]))),
            Invitation { addresses: Vec::new(), ..invitation(None) },
        ] {
            let link = invitation.to_link().expect("short");
            assert!(link.starts_with("bard:join1") && link.len() < 200, "{link}");
            assert!(link[5..].bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{link}");
            assert_eq!(Invitation::from_link(&link), Ok(invitation.clone()));
            assert_eq!(Invitation::from_link(&format!(" {} \n", link.to_uppercase())), Ok(invitation.clone()));
            assert_eq!(Invitation::from_link(&link[5..]), Ok(invitation));
        }
    }

    #[test]
    fn any_wrong_or_missing_character_is_noticed() {
        let link = invitation(Some(ChainSecret::new([3; 16]))).to_link().expect("short");
        for at in 10..link.len() {
            let wrong = if &link[at..=at] == "q" { "p" } else { "q" };
            let mistyped = format!("{}{wrong}{}", &link[..at], &link[at + 1..]);
            assert!(matches!(Invitation::from_link(&mistyped), Err(LinkError::Damaged(_))), "{mistyped}");
            assert!(matches!(Invitation::from_link(&link[..at]), Err(LinkError::Damaged(_))), "{at}");
        }
        for other in ["", "bard:", "https://example.org", "bard1qqqq", "join me"] {
            assert_eq!(Invitation::from_link(other), Err(LinkError::Other), "{other}");
        }
        assert_eq!(Invitation::from_link(&"j".repeat(2_000)), Err(LinkError::TooLong(2_000)));
    }

    #[test]
    fn another_version_is_named() {
        let content = Content {
            version: 2,
            name: "kiln".to_owned(),
            chain: ChainId::new([1; 32]),
            secret: Vec::new(),
            addresses: Vec::new(),
        };
        let link = bech32::encode::<Bech32m>(HRP, &encoding::encode(&content)).expect("short");
        assert_eq!(Invitation::from_link(&link), Err(LinkError::Version(2)));
        let nameless = Content { version: VERSION, name: "Kiln!".to_owned(), ..content };
        let link = bech32::encode::<Bech32m>(HRP, &encoding::encode(&nameless)).expect("short");
        assert!(matches!(Invitation::from_link(&link), Err(LinkError::Senseless(_))));
    }
}
