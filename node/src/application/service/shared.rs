//! Work that is done once for all who ask for it meanwhile.

use std::time::Duration;

use tokio::{sync::Mutex, time::Instant};

/// The last answer, and when the work for it began.
pub(super) struct Shared<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Shared<T> {
    /// An answer to work that began after this was called, one at a time: by this call, or by another that waited as well. So
    /// however many ask, the work is done twice at most until all have their answer. `None` where the turn does not come in time;
    /// an error is the caller's alone.
    ///
    /// # Cancel safety
    /// Work that its caller no longer waits for ends, and whoever is next begins anew.
    pub(super) async fn answer<E>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Option<Result<T, E>> {
        let asked = Instant::now();
        let mut last = tokio::time::timeout(patience, self.0.lock()).await.ok()?;
        if let Some((began, answer)) = &*last
            && *began >= asked
        {
            return Some(Ok(answer.clone()));
        }
        let began = Instant::now();
        let answer = work.await;
        if let Ok(answer) = &answer {
            *last = Some((began, answer.clone()));
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn those_who_wait_share_one_answer() {
        let (shared, times) = (Shared::default(), AtomicUsize::new(0));
        let work = || async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok::<_, ()>(times.fetch_add(1, Ordering::Relaxed))
        };
        let all = futures::future::join_all((0..50).map(|_| shared.answer(LONG, work()))).await;
        assert!(all.iter().all(|one| matches!(one, Some(Ok(0 | 1)))), "{all:?}");
        assert!(times.load(Ordering::Relaxed) <= 2);
        let before = times.load(Ordering::Relaxed);
        assert_eq!(shared.answer(LONG, work()).await, Some(Ok(before)), "what was found before is not said again");
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_or_hears_another_s_error() {
        let shared = Shared::<u8>::default();
        // Dropped when the other has ended, so that the turn is free again.
        let never = Box::pin(shared.answer(LONG, std::future::pending::<Result<u8, ()>>()));
        tokio::select! {
            biased;
            _ = never => unreachable!("it never ends"),
            late = shared.answer(Duration::from_millis(1), async { Ok::<u8, ()>(1) }) => assert_eq!(late, None),
        }
        let (failed, good) =
            tokio::join!(shared.answer(LONG, async { Err(7) }), shared.answer(LONG, async { Ok::<u8, i32>(1) }));
        assert_eq!((failed, good), (Some(Err(7)), Some(Ok(1))));
    }
}
