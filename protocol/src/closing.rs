//! Connections that end, whether the other side reads or not.
//!
//! To close a connection is to write what is still to be written, and a peer that reads nothing lets nobody write. libp2p tells
//! of a connection's end only when it is closed; until then it takes a place of this node's. So closing has a deadline, after
//! which the socket is dropped as it is.

use core::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture};
use libp2p::{
    core::{
        muxing::{StreamMuxer, StreamMuxerEvent},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    },
    yamux,
};
use tokio::time::Sleep;

/// How long what is still to be written may take when a connection is closed.
const FLUSH: Duration = Duration::from_secs(5);

/// Multiplexes streams by yamux, over connections that close in time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Multiplexed(yamux::Config);

impl UpgradeInfo for Multiplexed {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Multiplexed {
    type Output = Closing<yamux::Muxer<C>>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(io, info).map(|muxer| muxer.map(Closing::new)).boxed()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Multiplexed {
    type Output = Closing<yamux::Muxer<C>>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(io, info).map(|muxer| muxer.map(Closing::new)).boxed()
    }
}

/// A connection that is closed so long after that was asked for, at the latest.
#[derive(Debug)]
pub(crate) struct Closing<M> {
    muxer: M,
    flush: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M> Closing<M> {
    const fn new(muxer: M) -> Self {
        Self { muxer, flush: FLUSH, deadline: None }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Closing<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.get_mut().muxer).poll_inbound(cx)
    }

    fn poll_outbound(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.get_mut().muxer).poll_outbound(cx)
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.get_mut().muxer).poll(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        let this = self.get_mut();
        if let closed @ Poll::Ready(_) = Pin::new(&mut this.muxer).poll_close(cx) {
            return closed;
        }
        let flush = this.flush;
        let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(flush)));
        deadline.as_mut().poll(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io};

    use futures::AsyncWriteExt as _;
    use libp2p::core::muxing::StreamMuxerExt as _;
    use tokio::time::{Instant, timeout};

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
    async fn full() -> Closing<yamux::Muxer<Clogged>> {
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
}
