//! The proof-of-work search.

use bard_chain::{
    hash::Domain,
    pow::{self, PowFunction},
};

use super::{Figure, Scale, rate};

/// Nonces tried between two looks at the clock.
const SLICE: u64 = 1 << 18;
/// Met by no hash, so that every nonce is tried.
const IMPOSSIBLE: [u8; 32] = [0; 32];

/// Every kernel on one core beside the library's hash one at a time, and the best on all cores beside their number.
pub(super) fn measure(scale: &Scale) -> Vec<Figure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let digest = *Domain::Header.hash(&[b"bench"]).as_bytes();
    let mut figures = Vec::new();
    for function in [PowFunction::Sha256d, PowFunction::Blake3] {
        let name = function.as_str();
        let mut nonce = 0;
        let library = rate(scale.time, || {
            for _ in 0..1024 {
                std::hint::black_box(function.seal(&digest, nonce));
                nonce += 1;
            }
            1024
        }) / 1e6;
        let mut best = 0.0_f64;
        for kernel in pow::kernels(function) {
            let mut start = 0;
            let value = rate(scale.time, || {
                std::hint::black_box(kernel.search(&digest, start, SLICE, &IMPOSSIBLE));
                start += SLICE;
                SLICE
            }) / 1e6;
            best = best.max(value);
            let beside = Some(("the library's hash, one at a time", library));
            figures.push(Figure { name: format!("{name} {}, one core", kernel.name()), value, unit: "MH/s", beside });
        }
        #[allow(clippy::cast_precision_loss, reason = "a count of cores")]
        let ceiling = best * cores as f64;
        let value = on_all_cores(scale, cores, function, &digest);
        let beside = Some(("cores times the best kernel", ceiling));
        figures.push(Figure { name: format!("{name}, {cores} cores"), value, unit: "MH/s", beside });
    }
    figures
}

fn on_all_cores(scale: &Scale, cores: usize, function: PowFunction, digest: &[u8; 32]) -> f64 {
    let search = |thread: usize| {
        let mut start = (thread as u64) << 56;
        rate(scale.time, || {
            std::hint::black_box(pow::search(function, digest, start, SLICE, &IMPOSSIBLE));
            start += SLICE;
            SLICE
        })
    };
    let total: f64 = std::thread::scope(|scope| {
        let search = &search;
        let threads: Vec<_> = (0..cores).map(|thread| scope.spawn(move || search(thread))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).sum()
    });
    total / 1e6
}
