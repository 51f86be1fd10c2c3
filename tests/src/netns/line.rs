//! Lines that are slow, narrow, or lose what they carry.
//!
//! The kernel's own means for it (`tc netem`) is missing in many systems, so a line of this kind is carried by this process:
//! what one virtual card sends, the other gets later, or never. It ends with the process.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::AsFd,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::ioctl;

/// The longest frame: what an Ethernet card takes, with its head.
const FRAME: usize = 2048;
/// Frames on their way; what comes when there are more is lost, as in a router.
const ON_THE_WAY: usize = 4096;
/// How long a narrow line lets a frame wait for those before it where nothing is said; what would wait longer is lost, as in a
/// router.
const QUEUE: Duration = Duration::from_millis(300);

/// What a line does to what it carries, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// How long each frame takes.
    pub delay: Duration,
    /// Of a hundred frames so many are lost, by chance.
    pub loss: u32,
    /// Bits a second; `None` for as many as one likes.
    pub bits: Option<u64>,
    /// How long a frame may wait for those before it: some routers and modems let them wait for many seconds.
    pub queue: Option<Duration>,
}

/// A line whose quality may change.
#[derive(Clone, Debug)]
pub struct Line {
    quality: Arc<Mutex<Quality>>,
}

impl Line {
    /// Connects two virtual cards of these names, which it makes here.
    ///
    /// # Panics
    /// Where the system makes none.
    pub(super) fn connect(one: &str, two: &str, quality: Quality) -> Self {
        let line = Self { quality: Arc::new(Mutex::new(quality)) };
        let ends = [card(one), card(two)];
        for (number, (from, to)) in [(0, 1), (1, 0)].into_iter().enumerate() {
            let end = |at: usize| ends[at].try_clone().expect("a second handle");
            let (sender, receiver) = sync_channel(ON_THE_WAY);
            let (source, sink, carried) = (end(from), end(to), line.clone());
            thread::spawn(move || carried.take(source, &sender, 0x9e37_79b9 + number as u64));
            thread::spawn(move || deliver(sink, &receiver));
        }
        line
    }

    /// From now on it is like this.
    pub fn become_like(&self, quality: Quality) {
        *self.quality.lock().unwrap_or_else(PoisonError::into_inner) = quality;
    }

    fn take(&self, mut from: File, to: &SyncSender<(Instant, Vec<u8>)>, mut chance: u64) {
        let (mut frame, mut free) = ([0; FRAME], Instant::now());
        while let Ok(length) = from.read(&mut frame) {
            let Quality { delay, loss, bits, queue } = *self.quality.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // xorshift: the same losses for the same frames.
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            free = free.max(now);
            if chance % 100 < u64::from(loss) || free - now > queue.unwrap_or(QUEUE) {
                continue;
            }
            free += bits.map_or(Duration::ZERO, |bits| Duration::from_secs(8 * length as u64) / bits as u32);
            // Full: lost.
            let _ = to.try_send((free + delay, frame[..length].to_vec()));
        }
    }
}

fn deliver(mut to: File, from: &Receiver<(Instant, Vec<u8>)>) {
    for (due, frame) in from {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A card that is off takes nothing.
        let _ = to.write(&frame);
    }
}

/// Makes a virtual Ethernet card that this process plugs into.
fn card(name: &str) -> File {
    /// `TUNSETIFF`.
    const SET: ioctl::Opcode = ioctl::opcode::write::<i32>(b'T', 202);
    /// `IFF_TAP | IFF_NO_PI`.
    const KIND: u16 = 0x1002;
    let card = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
    // A `struct ifreq`: 16 bytes of name, the kind, and room.
    let mut request = [0; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&KIND.to_ne_bytes());
    #[allow(unsafe_code, reason = "the call reads a struct ifreq, which is what the array is")]
    unsafe {
        ioctl::ioctl(card.as_fd(), ioctl::Setter::<SET, [u8; 40]>::new(request)).expect("a virtual card");
    }
    card
}
