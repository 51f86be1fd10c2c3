//! The commands of the console, and what `help` says.

use crate::near;

/// A command of the console: how it is written, and what it does.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    /// Its forms, separated by ` | ` outside of brackets. Words in capitals stand for something, `[ ]` may be left out, `...`
    /// may be repeated.
    pub(super) usage: &'static str,
    pub(super) does: &'static str,
}

/// The commands, in the order in which `help` lists them.
pub(super) const COMMANDS: &[Entry] = &[
    entry("status", "status", "height, tip, work, peers, reachability, pool, mining, sync, items"),
    entry("node", "node", "version, peer id, chain, addresses; who can reach it, why, and what would help"),
    entry("peers", "peers", "the connected peers"),
    entry(
        "connect",
        "connect ADDRESS | connect HOST PORT | connect http://HOST:PORT",
        "connect to a multiaddress; to host and port, of a node (TCP) or of its API; or to the node behind an API",
    ),
    entry("bans", "bans", "who is banned, until when and why"),
    entry("ban", "ban PEER [SECONDS] [REASON]", "close the connections to a peer and make none, for a day if not told"),
    entry("unban", "unban PEER | unban all", "end a ban, or all of them"),
    entry("sync", "sync", "ask every peer now whether it knows more"),
    entry("mine", "mine [N] [--data TEXT] | mine on | mine off", "mine N blocks now (1), or continuously"),
    entry("chain", "chain [FROM [TO]]", "blocks of the active chain; the last ten without a height"),
    entry("block", "block HEIGHT | block HASH | block tip", "one block with its transactions"),
    entry("tx", "tx ID", "one transaction, mined or in the pool"),
    entry("proof", "proof ID", "the hashes that show a mined transaction to be in its block"),
    entry(
        "receipt",
        "receipt ID [FILE]",
        "write a mined transaction's receipt to a file here, which `bard verify-receipt` checks without a node",
    ),
    entry("pool", "pool", "transactions that wait to be mined"),
    entry("send", "send [FROM] TO AMOUNT [--fee FEE]", "pay; FROM is the node's own key if left out"),
    entry("record", "record [--as NAME] TEXT", "put a text on record"),
    entry("request", "request ITEM... [--as NAME]", "take free items, all of them or none"),
    entry("release", "release ITEM [--as NAME]", "give an item back"),
    entry("transfer", "transfer ITEM TO [--as NAME]", "hand an item on"),
    entry("items", "items [reserved | available]", "items with their holders"),
    entry("item", "item ITEM [at HEIGHT]", "who holds an item, and who held it; or who did at a height"),
    entry("balance", "balance [NAME | ADDRESS] [at HEIGHT]", "what an account has, or had; the node's own if left out"),
    entry("wallets", "wallets", "the names this node has keys for, with balances"),
    entry(
        "wallet",
        "wallet new NAME | wallet list | wallet unlock | wallet lock",
        "make a key; open and close the keys",
    ),
    entry("verify", "verify", "check the whole chain from its genesis block on"),
    entry("menu", "menu", "the numbered menu; a number runs its entry"),
    entry("help", "help [COMMAND]", "this list, or one command"),
    entry("quit", "quit", "stop the node; of a console attached to a node, only the console"),
];

const fn entry(name: &'static str, usage: &'static str, does: &'static str) -> Entry {
    Entry { name, usage, does }
}

/// The help for one command, or for all.
pub(super) fn text(topic: Option<&'static Entry>) -> String {
    match topic {
        Some(entry) => format!("{}\n  {}", entry.usage, entry.does),
        None => {
            let width = COMMANDS.iter().map(|entry| entry.usage.len()).max().unwrap_or(0);
            let lines = COMMANDS.iter().map(|entry| format!("{:width$}  {}", entry.usage, entry.does));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

/// The command of this name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

/// The command whose name is nearest to a mistyped one, if one is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    near::nearest(name, COMMANDS.iter().map(|entry| entry.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_commands_are_recognised() {
        assert_eq!(nearest("stauts"), Some("status"));
        assert_eq!(nearest("mien"), Some("mine"));
        assert_eq!(nearest("me"), None);
        assert!(nearest("xyzzyplugh").is_none());
    }

    #[test]
    fn every_usage_begins_with_its_name() {
        for entry in COMMANDS {
            assert!(entry.usage.starts_with(entry.name));
        }
    }
}
