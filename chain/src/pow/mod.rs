//! Proof of work: the function that seals a block, and the search for a nonce.
//!
//! A seal hashes 40 bytes: `d`, the 32-byte digest of a header without its nonce, then the nonce as 8 bytes little
//! endian. The result is the block's id; read as a 256-bit big-endian number it must not exceed the target.
//!
//! [`PowFunction::seal`] is the definition: one hash by a general crate, and the only thing validation ever calls.
//! [`search`] is the miner's: it finds the same nonce as trying `seal` one nonce after the other, only sooner. Its
//! kernels merely *nominate* nonces by a few leading bits; each nominee is checked with `seal`, so a faulty kernel
//! could miss a block but never produce a wrong one.
//!
//! | file | content |
//! |---|---|
//! | `query.rs` | what is searched for, cut into the batches that kernels work through |
//! | `sha256d_lanes.rs`, `blake3_lanes.rs` | the two functions, written once for a vector of any width |
//! | `avx512.rs`, `avx2.rs` | such vectors: 16 and 8 nonces at a time |
//! | `sha_ni.rs` | SHA-256 by the processor's own instructions |
//! | `portable.rs` | one nonce at a time, on any processor |

/// Repeats statements for each of the numbers, known to the compiler as the constant named: a loop that is certain to
/// be unrolled, so that what it indexes can live in registers.
macro_rules! unrolled {
    ($t:ident in [$($value:literal)*] $body:tt) => {
        $({
            const $t: usize = $value;
            $body
        })*
    };
}

#[macro_use]
pub(crate) mod blake3_lanes;
#[cfg(target_arch = "x86_64")]
#[macro_use]
mod sha256d_lanes;

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod portable;
mod query;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

use query::Query;
use sha2::{Digest, Sha256};

/// The state both functions start from: BLAKE3 took over SHA-256's.
pub(crate) const IV: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The hash function that seals the blocks of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowFunction {
    /// SHA-256 twice: two compressions a try.
    Sha256d,
    /// BLAKE3, plain hash mode: one compression a try.
    Blake3,
}

impl PowFunction {
    /// The name used in a chain's specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256d => "sha256d",
            Self::Blake3 => "blake3",
        }
    }

    /// The function of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Sha256d, Self::Blake3].into_iter().find(|function| function.as_str() == name)
    }

    /// The block id: the hash of `digest` followed by the nonce as 8 bytes little endian.
    ///
    /// # Consensus
    /// This is the definition every kernel is measured against.
    pub fn seal(self, digest: &[u8; 32], nonce: u64) -> [u8; 32] {
        let nonce = nonce.to_le_bytes();
        match self {
            Self::Sha256d => {
                let inner = Sha256::new().chain_update(digest).chain_update(nonce).finalize();
                Sha256::digest(inner).into()
            }
            Self::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(digest).update(&nonce);
                hasher.finalize().into()
            }
        }
    }
}

impl fmt::Display for PowFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tries the nonces `start`, `start + 1`, ... `start + count - 1`, wrapping past the largest, and returns the first
/// in that order whose id does not exceed `target`.
///
/// Runs on the calling thread, with the best kernel of this machine, until it finds one or has tried them all: a
/// caller who wants to stop in between asks for less at a time.
pub fn search(function: PowFunction, digest: &[u8; 32], start: u64, count: u64, target: &[u8; 32]) -> Option<u64> {
    // The list ends with the portable kernel, so it is never empty.
    kernels(function).first()?.search(digest, start, count, target)
}

/// The kernels this machine can run, best first. All find the same nonces; only their speed differs.
pub fn kernels(function: PowFunction) -> &'static [Kernel] {
    static SHA256D: OnceLock<Vec<Kernel>> = OnceLock::new();
    static BLAKE3: OnceLock<Vec<Kernel>> = OnceLock::new();
    let detected = match function {
        PowFunction::Sha256d => &SHA256D,
        PowFunction::Blake3 => &BLAKE3,
    };
    detected.get_or_init(|| detect(function).into_iter().map(|means| Kernel { function, means }).collect())
}

/// One way to search, known to work on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    function: PowFunction,
    means: Means,
}

/// The instructions a kernel uses. Those that not every processor has carry the proof that this one does.
#[derive(Clone, Copy, Debug)]
enum Means {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Detected),
    #[cfg(target_arch = "x86_64")]
    ShaNi(sha_ni::Detected),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Detected),
    Portable,
}

/// What this machine offers for a function, fastest first as measured.
fn detect(function: PowFunction) -> Vec<Means> {
    let mut found = detect_special(function);
    found.push(Means::Portable);
    found
}

/// The means that depend on the processor.
#[cfg(target_arch = "x86_64")]
fn detect_special(function: PowFunction) -> Vec<Means> {
    let sha_ni = match function {
        PowFunction::Sha256d => sha_ni::Detected::new(),
        PowFunction::Blake3 => None,
    };
    let avx512 = avx512::Detected::new().map(Means::Avx512);
    let avx2 = avx2::Detected::new().map(Means::Avx2);
    [avx512, sha_ni.map(Means::ShaNi), avx2].into_iter().flatten().collect()
}

/// None are written for other processors.
#[cfg(not(target_arch = "x86_64"))]
const fn detect_special(_function: PowFunction) -> Vec<Means> {
    Vec::new()
}

impl Kernel {
    /// A short name for logs and benchmarks.
    pub const fn name(&self) -> &'static str {
        match self.means {
            #[cfg(target_arch = "x86_64")]
            Means::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Means::ShaNi(_) => "sha-ni",
            #[cfg(target_arch = "x86_64")]
            Means::Avx2(_) => "avx2",
            Means::Portable => "portable",
        }
    }

    /// As the free function [`search`], by this kernel.
    pub fn search(&self, digest: &[u8; 32], start: u64, count: u64, target: &[u8; 32]) -> Option<u64> {
        let query = Query { function: self.function, digest, start, count, target };
        match (self.means, self.function) {
            #[cfg(target_arch = "x86_64")]
            (Means::Avx512(detected), PowFunction::Sha256d) => detected.sha256d(&query),
            #[cfg(target_arch = "x86_64")]
            (Means::Avx512(detected), PowFunction::Blake3) => detected.blake3(&query),
            // Only offered for SHA-256; the pattern says so by ignoring the function.
            #[cfg(target_arch = "x86_64")]
            (Means::ShaNi(detected), _) => detected.sha256d(&query),
            #[cfg(target_arch = "x86_64")]
            (Means::Avx2(detected), PowFunction::Sha256d) => detected.sha256d(&query),
            #[cfg(target_arch = "x86_64")]
            (Means::Avx2(detected), PowFunction::Blake3) => detected.blake3(&query),
            (Means::Portable, PowFunction::Sha256d) => portable::sha256d(&query),
            (Means::Portable, PowFunction::Blake3) => portable::blake3(&query),
        }
    }
}
