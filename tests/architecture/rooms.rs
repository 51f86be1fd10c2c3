//! Who may import whom, room by room.

use std::collections::BTreeSet;

use crate::imports::{Import, all, is_in, using};

/// The floors of the chain, the lowest first: a room imports its own floor and those below.
const CHAIN_FLOORS: &[&[&str]] = &[
    &["units", "hash", "hash_many", "encoding", "target", "difficulty", "pow"],
    &["address", "signature", "transaction", "block", "merkle", "invalid"],
    &["rules", "ledger", "spec", "source"],
    &["tree", "presets"],
    &["engine"],
    &["mempool", "template", "branch", "receipt", "snapshot"],
];

/// A room, what it must not use, and why.
struct Ban {
    room: &'static str,
    never: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        room: "bard_chain",
        never: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "std::process",
            "std::time",
            "std::io",
            "std::os",
            "tokio",
            "libp2p",
            "futures",
            "tracing",
            "bard_protocol",
            "bard_node",
        ],
        why: "what is true depends on nothing but its input",
    },
    Ban {
        room: "bard_protocol",
        never: &["bard_chain::engine", "bard_chain::mempool", "bard_chain::template", "bard_chain::tree", "bard_node"],
        why: "the protocol carries blocks and never judges them",
    },
    Ban {
        room: "bard_protocol",
        never: &["std::fs", "tokio::fs", "std::env", "std::thread", "std::process", "std::time::SystemTime"],
        why: "files, environment, threads and the wall clock are the node's; a simulation must be able to stand in for them",
    },
    Ban {
        room: "bard_protocol::wire",
        never: &["libp2p", "tokio", "futures", "std::net"],
        why: "the wire is pure bytes and meaning",
    },
    Ban { room: "bard_node", never: &["libp2p"], why: "only the protocol knows libp2p" },
    Ban {
        room: "bard_node::keeper",
        never: &["bard_node::application", "bard_node::interface"],
        why: "owners never see who asks",
    },
    Ban {
        room: "bard_node::store",
        never: &["bard_node::application", "bard_node::interface", "bard_node::keeper"],
        why: "owners never see who asks",
    },
    Ban {
        room: "bard_node::relay",
        never: &["bard_node::catch_up", "bard_node::serve", "bard_node::store"],
        why: "each of relay, catch_up and serve stands alone; what is stored is asked of the keeper's handle",
    },
    Ban {
        room: "bard_node::catch_up",
        never: &["bard_node::relay", "bard_node::serve", "bard_node::store"],
        why: "each of relay, catch_up and serve stands alone; what is stored is asked of the keeper's handle",
    },
    Ban {
        room: "bard_node::serve",
        never: &["bard_node::relay", "bard_node::catch_up", "bard_node::store"],
        why: "each of relay, catch_up and serve stands alone; what is stored is asked of the keeper's handle",
    },
    Ban {
        room: "bard_node::lab",
        never: &[
            "bard_node::relay",
            "bard_node::catch_up",
            "bard_node::serve",
            "bard_node::store",
            "bard_node::application",
            "bard_node::interface",
        ],
        why: "those who send and fetch ask the laboratory what it lets through, never the other way round",
    },
    Ban {
        room: "bard_node::pool",
        never: &["bard_node::application", "bard_node::interface", "bard_node::store", "bard_node::relay"],
        why: "it keeps what the keeper's pool holds, whoever brought it",
    },
    Ban {
        room: "bard_node::meeting",
        never: &[
            "bard_node::keeper",
            "bard_node::store",
            "bard_node::relay",
            "bard_node::catch_up",
            "bard_node::serve",
            "bard_node::application",
            "bard_node::interface",
        ],
        why: "finding nodes has to do with the network and nothing else",
    },
    Ban {
        room: "bard_node::interface",
        never: &[
            "bard_node::keeper",
            "bard_node::store",
            "bard_node::relay",
            "bard_node::serve",
            "bard_node::meeting",
            "bard_node::assemble",
            "bard_protocol::NetworkHandle",
        ],
        why: "the interface sees only the application and its views",
    },
    Ban {
        room: "bard_node::interface::console",
        never: &[
            "bard_node::application",
            "bard_node::catch_up",
            "bard_node::miner",
            "bard_node::wallet",
            "bard_protocol",
        ],
        why: "the console asks by the API, as everybody does",
    },
    Ban {
        room: "bard_node::interface::client",
        never: &["bard_node::application", "bard_node::interface::http", "bard_node::wallet", "bard_protocol"],
        why: "a client knows the API and nothing else of a node",
    },
    Ban {
        room: "bard_node::interface::http",
        never: &["bard_node::catch_up", "bard_node::miner", "bard_node::wallet", "bard_protocol"],
        why: "the interface sees only the application and its views",
    },
    Ban {
        room: "bard_node::listener",
        never: &["bard_node::application", "bard_node::interface", "bard_node::keeper", "bard_node::tracker"],
        why: "it serves whatever router it is given",
    },
    Ban {
        room: "bard_node::tracker",
        never: &["bard_node::application", "bard_node::interface", "bard_node::keeper", "bard_node::assemble"],
        why: "a tracker has no chain to ask about",
    },
    Ban {
        room: "bard_node::tracker::registry",
        never: &["std::time::Instant", "tokio", "axum", "std::net::TcpListener"],
        why: "what the tracker decides depends on nothing but its input",
    },
    Ban {
        room: "bard_node::application",
        never: &[
            "bard_node::interface::console",
            "bard_node::interface::http",
            "bard_node::store",
            "bard_node::assemble",
        ],
        why: "the application does not know who asks, and asks the owners by their handles",
    },
];

/// A use that a ban forbids and that is there for a reason all the same. One that is no longer there must go from here.
struct Exception {
    room: &'static str,
    used: &'static str,
    why: &'static str,
}

const EXCEPTIONS: &[Exception] = &[Exception {
    room: "bard_node::catch_up",
    used: "bard_node::serve::Server",
    why: "it opens each conversation with the status that the server makes of this node",
}];

fn is_excepted(import: &Import) -> bool {
    EXCEPTIONS.iter().any(|exception| is_in(&import.user, exception.room) && is_in(&import.used, exception.used))
}

/// What only some rooms may use, each for its own reason.
struct Only {
    what: &'static str,
    rooms: &'static [(&'static str, &'static str)],
}

const FILES: &[(&str, &str)] = &[
    ("bard_node::store", "the log and the derived store"),
    ("bard_node::wallet", "the keystore"),
    ("bard_node::config", "the configuration and the specification"),
    ("bard_node::registry", "node.json"),
    ("bard_node::chains", "specifications and secrets of this user's chains"),
    ("bard_node::pool::file", "the pool between two runs"),
    ("bard_node::meeting::peers_file", "the file of --peers-file"),
    ("bard_node::meeting::json_file", "peers.json and bans.json"),
    ("bard_node::whole_file", "writing any of these whole"),
    ("bard_node::logging", "log files"),
    ("bard_node::interface::receipt_file", "receipts that a person asks for"),
    ("bard_node::interface::console::history", "the lines that a person typed"),
    ("bard_node::metrics::process", "what the system tells of this process, in /proc/self"),
    ("bard_node::commands", "files that a person names on the command line"),
    ("bard_node::assemble", "the data directory, before anything lives in it"),
];

const HYPER: &[(&str, &str)] = &[
    ("bard_node::listener", "strangers reach it: every connection has its end"),
    ("bard_node::interface::client", "it asks nodes"),
    ("bard_node::commands::bench", "a server that only answers, to compare with"),
];

const ONLY: &[Only] = &[
    Only { what: "std::fs", rooms: FILES },
    Only { what: "tokio::fs", rooms: FILES },
    Only { what: "std::fs::File", rooms: FILES },
    Only { what: "std::time::SystemTime", rooms: &[("bard_node::clock", "the wall clock")] },
    Only {
        what: "axum",
        rooms: &[
            ("bard_node::interface::http", "the HTTP server"),
            ("bard_node::listener", "it hands requests of its connections to a router"),
            (
                "bard_node::tracker",
                "a tracker is no node: its calls are not the application's, and it has no interface",
            ),
        ],
    },
    Only { what: "hyper", rooms: HYPER },
    Only { what: "hyper_util", rooms: HYPER },
    Only { what: "rustls", rooms: &[("bard_node::interface::client", "nodes behind a proxy that ends TLS")] },
    Only { what: "tower_http", rooms: &[("bard_node::interface::http", "compression of answers")] },
    Only { what: "utoipa_axum", rooms: &[("bard_node::interface::http", "routes with their description")] },
    Only {
        what: "utoipa",
        rooms: &[
            ("bard_node::interface::http", "the description of the API"),
            ("bard_node::interface::view::json", "what is in the description of the API"),
            ("bard_node::interface::view::event_json", "the events in the description of the API"),
            ("bard_node::interface::view::health_json", "the health in the description of the API"),
            ("bard_node::interface::view::replaced_json", "the replaced calls in the description of the API"),
        ],
    },
    Only {
        what: "ureq",
        rooms: &[
            ("bard_node::meeting::http", "the one client that calls servers nobody vouches for, with its limits"),
            ("bard_node::commands::bench", "it drives nodes of its own"),
        ],
    },
    Only {
        what: "prometheus_client",
        rooms: &[
            ("bard_node::metrics", "the registry"),
            ("bard_node::application::sample", "metrics that are read from their owners"),
            ("bard_protocol::swarm::measure", "libp2p's own metrics, faults and bans"),
        ],
    },
    Only { what: "redb", rooms: &[("bard_node::store", "the derived store")] },
    Only { what: "rustyline", rooms: &[("bard_node::interface::console", "the line editor")] },
    Only {
        what: "clap",
        rooms: &[
            ("bard_node::config", "the options of a node"),
            ("bard_node::commands", "the subcommands"),
            ("bard_node::logging", "the choice of a log format is an option"),
        ],
    },
];

const CRATES: &[&str] = &["chain", "protocol", "node"];

fn fail(problems: &[String]) {
    assert!(problems.is_empty(), "{} imports that the architecture forbids:\n{}", problems.len(), problems.join("\n"));
}

fn problem(import: &Import, why: &str) -> String {
    format!("{}:{}: uses {}: {why}", import.file, import.line, import.used)
}

fn room_of(path: &str) -> Option<&str> {
    path.split("::").nth(1)
}

#[test]
fn the_chain_s_rooms_import_downwards() {
    let imports = all(&["chain"]);
    let rooms: BTreeSet<_> = imports.iter().filter_map(|import| room_of(&import.user)).collect();
    let floor = |room: &str| CHAIN_FLOORS.iter().position(|floor| floor.contains(&room));
    let mut problems = Vec::new();
    for room in &rooms {
        if floor(room).is_none() {
            problems.push(format!("chain/src/{room}: on no floor; give it one in {}", file!()));
        }
    }
    for import in using(&imports, "bard_chain") {
        let (Some(user), Some(used)) = (room_of(&import.user), room_of(&import.used)) else { continue };
        if let (Some(own), Some(other)) = (floor(user), floor(used))
            && other > own
        {
            problems.push(problem(import, &format!("{used} is above {user}")));
        }
    }
    assert!(rooms.len() > 15, "the rooms were found");
    fail(&problems);
}

#[test]
fn no_room_uses_what_it_must_not_see() {
    let imports = all(CRATES);
    let mut problems = Vec::new();
    for ban in BANS {
        for never in ban.never {
            let forbidden = using(&imports, never).filter(|import| is_in(&import.user, ban.room));
            problems.extend(forbidden.filter(|import| !is_excepted(import)).map(|import| problem(import, ban.why)));
        }
    }
    fail(&problems);
}

#[test]
fn the_wire_uses_nothing_of_the_protocol_but_itself() {
    let imports = all(&["protocol"]);
    let outside = using(&imports, "bard_protocol")
        .filter(|import| is_in(&import.user, "bard_protocol::wire") && !is_in(&import.used, "bard_protocol::wire"));
    fail(&outside.map(|import| problem(import, "the wire stands alone")).collect::<Vec<_>>());
}

#[test]
fn what_belongs_to_some_rooms_is_in_no_other() {
    let imports = all(CRATES);
    let mut problems = Vec::new();
    for Only { what, rooms } in ONLY {
        let elsewhere = using(&imports, what).filter(|import| !rooms.iter().any(|(room, _)| is_in(&import.user, room)));
        let names: Vec<_> = rooms.iter().map(|(room, _)| *room).collect();
        problems.extend(elsewhere.map(|import| problem(import, &format!("it is for {} alone", names.join(", ")))));
    }
    fail(&problems);
}

#[test]
fn every_exception_is_still_needed() {
    let imports = all(CRATES);
    for Exception { room, used, why } in EXCEPTIONS {
        let needed = using(&imports, used).any(|import| is_in(&import.user, room));
        assert!(needed, "{room} no longer uses {used} ({why}): take the exception out of {}", file!());
    }
}
