//! Examples at the end of `--help`, each a line as it is typed. A test runs them all.

pub(super) const NODE: &str = "\
Examples:
  bard node
  bard node --port 5001 --mine --miner alice
  bard node --bootstrap /ip4/192.168.1.7/tcp/6000
  bard node --host 0.0.0.0 --log info,bard_node=debug";

pub(super) const TRACKER: &str = "\
Examples:
  bard tracker
  bard tracker --host 0.0.0.0";

pub(super) const CONSOLE: &str = "\
Examples:
  bard console
  bard console --api http://127.0.0.1:5000";

pub(super) const STATUS: &str = "\
Examples:
  bard status
  bard status --json";

pub(super) const BLOCKS: &str = "\
Examples:
  bard blocks
  bard blocks 0 0 --json";

pub(super) const SEND: &str = "\
Examples:
  bard send alice bob 5
  bard send bob 5 --fee 1";

pub(super) const RECORD: &str = "\
Examples:
  bard record the kiln was cleaned
  bard record --as alice the kiln was cleaned";

pub(super) const ITEM: &str = "\
Examples:
  bard item request projector lamp
  bard item list
  bard item list reserved --json";

pub(super) const MINE: &str = "\
Examples:
  bard mine
  bard mine 3";

pub(super) const CHAIN: &str = "\
Examples:
  bard chain new --name class
  bard chain info --api http://127.0.0.1:5000";

pub(super) const INVITE: &str = "\
Examples:
  bard invite
  bard invite --no-qr --json";

pub(super) const JOIN: &str = "\
Examples:
  bard join LINK
  bard join LINK --port 5001";

pub(super) const CONFIG: &str = "\
Examples:
  bard config
  bard config --port 5001 --json
  bard config tracker";

pub(super) const DOCTOR: &str = "\
Examples:
  bard doctor
  bard doctor --bootstrap /ip4/192.168.1.7/tcp/6000
  bard doctor --api http://127.0.0.1:5000 --json";

pub(super) const DEVNET: &str = "\
Examples:
  bard devnet
  bard devnet --nodes 8 --mine";

pub(super) const TOP: &str = "\
Examples:
  bard top
  bard top --once";
