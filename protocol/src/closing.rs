//! Connections that end, whether the other side reads or not, and when nothing comes from there any longer.
//!
//! A line that is slow and busy is not dead: what is on its way keeps a ping, or its answer, waiting for longer than anybody
//! waits. So it is the bytes that tell: both ends ask every few seconds who is there, and of a connection that lives some come.
//! Where there is reason to doubt that connections live, they have to come soon.
//!
//! To close a connection is to write what is still to be written, and a peer that reads nothing lets nobody write. libp2p tells
//! of a connection's end only when it is closed; until then it takes a place of this node's. So closing has a deadline, after
//! which the socket is dropped as it is.

use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use std::{io, sync::Arc};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    core::{
        muxing::{StreamMuxer, StreamMuxerEvent},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    },
    yamux,
};
use tokio::time::{Instant, Sleep};

/// How long what is still to be written may take when a connection is closed.
const FLUSH: Duration = Duration::from_secs(5);
/// How often it is looked whether something has come, and how often in a row there must be nothing before a connection is
/// dead: 80 to 84 seconds.
const LOOK: Duration = Duration::from_secs(4);
const MAX_SILENT: u32 = 20;
/// The same where there is reason for doubt: 12 to 16 seconds, longer than from one ping to the next.
const MAX_DOUBTFUL: u32 = 3;

/// Reasons to doubt that connections live, as when the machine has slept: all that share this look more closely then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Doubts(Arc<AtomicU64>);

impl Doubts {
    /// There is one more.
    pub(crate) fn raise(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Multiplexes streams by yamux, over connections that close in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Multiplexed {
    yamux: yamux::Config,
    doubts: Doubts,
}

impl Multiplexed {
    /// Of connections about which there may be doubt.
    pub(crate) fn new(doubts: &Doubts) -> Self {
        Self { yamux: yamux::Config::default(), doubts: doubts.clone() }
    }
}

impl UpgradeInfo for Multiplexed {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.yamux.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Multiplexed {
    type Output = Closing<yamux::Muxer<Heard<C>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        let (io, something) = Heard::new(io);
        let Self { yamux, doubts } = self;
        let made = yamux.upgrade_inbound(io, info);
        made.map(|muxer| muxer.map(|muxer| Closing::new(muxer, something, doubts))).boxed()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Multiplexed {
    type Output = Closing<yamux::Muxer<Heard<C>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        let (io, something) = Heard::new(io);
        let Self { yamux, doubts } = self;
        let made = yamux.upgrade_outbound(io, info);
        made.map(|muxer| muxer.map(|muxer| Closing::new(muxer, something, doubts))).boxed()
    }
}

/// A line that notes when something comes.
#[derive(Debug)]
pub(crate) struct Heard<C> {
    io: C,
    something: Arc<AtomicBool>,
}

impl<C> Heard<C> {
    fn new(io: C) -> (Self, Arc<AtomicBool>) {
        let something = Arc::new(AtomicBool::new(true));
        (Self { io, something: Arc::clone(&something) }, something)
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Heard<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let come = Pin::new(&mut self.io).poll_read(cx, buffer);
        if matches!(come, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.something.store(true, Ordering::Relaxed);
        }
        come
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Heard<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// Whether anything comes on a connection.
#[derive(Debug)]
struct Silence {
    /// Whether something has come since it was last looked.
    something: Arc<AtomicBool>,
    /// How often in a row nothing had.
    times: u32,
    doubts: Doubts,
    /// How many of them are known.
    known: u64,
    /// How often in a row nothing had come since there was reason for doubt, if there still is.
    doubtful: Option<u32>,
}

impl Silence {
    fn new(something: Arc<AtomicBool>, doubts: Doubts) -> Self {
        let known = doubts.count();
        Self { something, times: 0, doubts, known, doubtful: None }
    }

    /// Whether the connection is dead, by what has come since it was last looked.
    fn is_death(&mut self) -> bool {
        let heard = self.something.swap(false, Ordering::Relaxed);
        self.times = if heard { 0 } else { self.times.saturating_add(1) };
        self.doubtful = self.doubtful.filter(|_| !heard).map(|times| times.saturating_add(1));
        let doubts = self.doubts.count();
        if core::mem::replace(&mut self.known, doubts) != doubts {
            // What came before does not count, and reasons that come one after another put off nothing.
            self.doubtful = self.doubtful.or(Some(0));
        }
        self.times >= MAX_SILENT || self.doubtful.is_some_and(|times| times >= MAX_DOUBTFUL)
    }
}

/// A connection that is closed so long after that was asked for, at the latest, and fails when nothing comes for long.
#[derive(Debug)]
pub(crate) struct Closing<M> {
    muxer: M,
    flush: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    silence: Silence,
    look: Duration,
    next_look: Option<Pin<Box<Sleep>>>,
}

impl<M> Closing<M> {
    fn new(muxer: M, something: Arc<AtomicBool>, doubts: Doubts) -> Self {
        let silence = Silence::new(something, doubts);
        Self { muxer, flush: FLUSH, deadline: None, silence, look: LOOK, next_look: None }
    }

    /// Looks, when it is time, whether something has come; says so when it is too long that nothing has.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let look = self.look;
        let next = self.next_look.get_or_insert_with(|| Box::pin(tokio::time::sleep(look)));
        while next.as_mut().poll(cx).is_ready() {
            if self.silence.is_death() {
                return Poll::Ready(());
            }
            next.as_mut().reset(Instant::now() + look);
        }
        Poll::Pending
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Closing<M>
where
    M::Error: Send + Sync + 'static,
{
    type Substream = M::Substream;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<M::Substream>> {
        Pin::new(&mut self.get_mut().muxer).poll_inbound(cx).map_err(io::Error::other)
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<M::Substream>> {
        Pin::new(&mut self.get_mut().muxer).poll_outbound(cx).map_err(io::Error::other)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        let this = self.get_mut();
        if let told @ Poll::Ready(_) = Pin::new(&mut this.muxer).poll(cx) {
            return told.map_err(io::Error::other);
        }
        this.poll_silence(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let closed @ Poll::Ready(_) = Pin::new(&mut this.muxer).poll_close(cx) {
            return closed.map_err(io::Error::other);
        }
        let flush = this.flush;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(flush)));
        deadline.as_mut().poll(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::AsyncWriteExt as _;
    use libp2p::core::muxing::StreamMuxerExt as _;
    use tokio::time::timeout;

    use super::*;

    /// A line that takes so many bytes more, and no end.
    struct Clogged(usize);

    impl AsyncRead for Clogged {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Clogged {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            if self.0 == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }

    /// A connection with more to write than its line takes.
    async fn full() -> Closing<yamux::Muxer<Heard<Clogged>>> {
        let upgrade = Multiplexed::default();
        let info = upgrade.protocol_info().next().expect("yamux");
        let mut connection = upgrade.upgrade_outbound(Clogged(1_000), info).await.expect("nothing is said yet");
        let mut stream = poll_fn(|cx| connection.poll_outbound_unpin(cx)).await.expect("a stream");
        stream.write_all(&[0; 4_000]).await.expect("what a stream buffers");
        // The connection passes it on, as far as its line goes.
        let passed = timeout(Duration::from_millis(1), poll_fn(|cx| connection.poll_unpin(cx))).await;
        assert!(passed.is_err(), "nobody says anything");
        connection
    }

    #[tokio::test]
    async fn who_reads_nothing_is_parted_from_all_the_same() {
        let mut connection = full().await;
        let flush = Duration::from_millis(100);
        connection.flush = flush;
        let within = timeout(flush / 2, poll_fn(|cx| Pin::new(&mut connection.muxer).poll_close(cx))).await;
        assert!(within.is_err(), "yamux waits");
        let began = Instant::now();
        connection.close().await.expect("no error");
        assert!(began.elapsed() >= flush, "what can be written is");
    }

    #[tokio::test]
    async fn a_line_on_which_something_comes_is_not_dead() {
        let mut connection = full().await;
        (connection.look, connection.next_look) = (Duration::from_millis(50), None);
        let something = Arc::clone(&connection.silence.something);
        let ending = poll_fn(|cx| {
            something.store(true, Ordering::Relaxed);
            connection.poll_unpin(cx)
        });
        assert!(timeout(Duration::from_millis(500), ending).await.is_err(), "however long it is busy");
        let began = Instant::now();
        let error = poll_fn(|cx| connection.poll_unpin(cx)).await.expect_err("nothing comes any longer");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= connection.look * (MAX_SILENT - 1), "not at once");
    }

    #[test]
    fn where_there_is_doubt_something_has_to_come_soon() {
        let doubts = Doubts::default();
        let mut silence = Silence::new(Arc::default(), doubts.clone());
        let mut looks = |comes: [bool; 5]| {
            comes.map(|comes| {
                silence.something.store(comes, Ordering::Relaxed);
                silence.is_death()
            })
        };
        assert_eq!(looks([true, false, false, false, false]), [false; 5], "nobody doubts");
        doubts.raise();
        assert_eq!(looks([true, false, false, true, false]), [false; 5], "a line that is only busy");
        assert_eq!(looks([false; 5]), [false; 5], "whoever has shown that he lives is believed");
        doubts.raise();
        assert_eq!(looks([true, false, false, false, false]), [false, false, false, true, true]);
        assert_eq!(looks([true, false, false, false, false]), [false; 5]);
        let dead = [(); 4].map(|()| {
            doubts.raise();
            silence.is_death()
        });
        assert_eq!(dead, [false, false, false, true], "reasons that come one after another put off nothing");
    }
}
