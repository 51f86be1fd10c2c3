//! `bard chain new`: a chain of one's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bard_chain::{
    address::Address,
    pow::PowFunction,
    presets,
    spec::{ChainSpec, Difficulty, Subsidy},
    target::Target,
    units::Amount,
};
use clap::{Args, ValueEnum};

use super::ask;
use crate::{
    chains, clock,
    commands::output::print,
    config,
    wallet::{OWN_NAME, Wallet},
    whole_file,
};

/// What the maker has at the start, unless told otherwise.
const SUPPLY: u64 = 1_000_000;
/// The last block that gets a subsidy; nearer where the supply would outgrow its bound.
const LAST_SUBSIDY: u64 = 100_000_000_000;
/// Half-life of the difficulty, in intervals, and at least, in milliseconds: a lesson's pause is made up for in minutes.
const HALF_LIFE_INTERVALS: u64 = 20;
const HALF_LIFE_MIN_MS: u64 = 60_000;
/// The easiest block, in hashes: an adaptive chain that nobody mined for long does not answer with a thousand blocks a second.
const EASIEST_HASHES: u64 = 65_536;

/// A chain to be made.
#[derive(Args, Clone, Debug)]
pub struct NewOptions {
    /// What people will call it: 1 to 32 of a-z, 0-9 and -
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What it is for: sets whatever is left out
    #[arg(long, value_name = "KIND", value_enum, default_value_t = Preset::Class)]
    preset: Preset,
    /// The proof-of-work function
    #[arg(long, value_name = "FUNCTION", value_enum)]
    pow: Option<Pow>,
    /// Intended time between two blocks, such as 10s, 500ms or 2m
    #[arg(long, value_name = "TIME", value_parser = interval)]
    interval: Option<u64>,
    /// Hashes that the first blocks take on average
    #[arg(long, value_name = "HASHES", value_parser = clap::value_parser!(u64).range(2..))]
    difficulty: Option<u64>,
    /// Keep the difficulty as it is, instead of following the hash power of the group
    #[arg(long)]
    fixed: bool,
    /// What a miner gets for a block
    #[arg(long, value_name = "AMOUNT")]
    subsidy: Option<u64>,
    /// What you have at the start
    #[arg(long, value_name = "AMOUNT", conflicts_with = "allocate")]
    supply: Option<u64>,
    /// Who has what at the start, instead: an address (bard1...) or me
    #[arg(long, value_name = "WHO=AMOUNT")]
    allocate: Vec<String>,
    /// Only nodes that were invited take part: they need a secret that is in the invitation
    #[arg(long)]
    closed: bool,
    /// The specification file to write; NAME.toml if left out
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Data directory of the node that will have your key; by default that of the new chain and port
    #[arg(long, value_name = "DIR", env = "BARD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Port of that node
    #[arg(long, value_name = "N", default_value_t = 5000, env = "BARD_PORT")]
    port: u16,
}

/// What a chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// A room of laptops that mine: a block every 10 seconds, the difficulty follows
    Class,
    /// Trying things out: a block whenever somebody asks for one, the difficulty stays
    Demo,
    /// A few organisations over months: a block a minute, the difficulty follows slowly
    Consortium,
}

/// A proof-of-work function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pow {
    /// SHA-256 twice, as Bitcoin
    Sha256d,
    /// BLAKE3
    Blake3,
}

/// A time such as `10s`, `500ms` or `2m` in milliseconds; a bare number is seconds.
fn interval(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let found = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, *ms)));
    let (digits, ms) = found.unwrap_or((text, 1_000));
    let count: Option<u64> = digits.trim().parse().ok().filter(|count| *count > 0);
    count.and_then(|count| count.checked_mul(ms)).ok_or_else(|| "expected a time such as 10s, 500ms or 2m".to_owned())
}

/// What was made, to be told.
struct Made {
    spec: ChainSpec,
    file: PathBuf,
    own: Option<(Address, PathBuf)>,
}

/// Makes it.
pub(super) fn run(options: &NewOptions) -> Result<(), String> {
    let options = complete(options.clone())?;
    let name = options.name.clone().ok_or("--name: what is the chain called?")?;
    let file = options.out.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
    refuse_taken(&name, &file, &options)?;
    let keys = Keys::open(&options)?;
    let mut spec = numbers(&options, &name);
    spec.allocations = allocations(&options, &keys)?;
    spec.subsidy = subsidy(&options, &spec)?;
    // The rules for files hold for what is typed, and name the field.
    let spec = ChainSpec::from_toml(&spec.to_toml()).map_err(|error| error.to_string())?;
    let own = keys.own.filter(|own| spec.allocations.iter().any(|(address, _)| address == own));
    let home = match &options.data_dir {
        Some(dir) => dir.clone(),
        None => config::chain_dir(&spec).map_err(|error| error.to_string())?,
    };
    let secret = if spec.closed { Some(chains::make_secret().map_err(|error| error.to_string())?) } else { None };
    let kept = |dir: &Path| chains::keep(&home, dir, &spec, secret.as_ref()).map_err(|error| error.to_string());
    kept(&home)?;
    let dir = keys.settle(own.is_some(), &home, &options)?;
    dir.as_deref().map_or(Ok(()), kept)?;
    fs::write(&file, chains::explained(&spec)).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    tell(&Made { spec, file, own: own.zip(dir) }, &options)
}

/// Asks for what was left out, where somebody is there to answer.
fn complete(mut options: NewOptions) -> Result<NewOptions, String> {
    if options.name.is_some() || !ask::is_possible() {
        return Ok(options);
    }
    options.name = Some(ask::ask("name of the chain", "class", |text| {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=32).contains(&text.len()) && text.bytes().all(named);
        if good { Ok(text.to_owned()) } else { Err("expected 1 to 32 of a-z, 0-9 and -".to_owned()) }
    })?);
    options.preset = ask::ask("what for: class, demo or consortium", "class", |text| Preset::from_str(text, true))?;
    if options.supply.is_none() && options.allocate.is_empty() {
        let amount = |text: &str| text.parse().map_err(|_| "expected an amount".to_owned());
        options.supply = Some(ask::ask("what you have at the start", &SUPPLY.to_string(), amount)?);
    }
    if !options.closed {
        options.closed = ask::ask("only for those who are invited (yes or no)", "no", |text| match text {
            "yes" | "y" => Ok(true),
            "no" | "n" => Ok(false),
            _ => Err("expected yes or no".to_owned()),
        })?;
    }
    Ok(options)
}

fn refuse_taken(name: &str, file: &Path, options: &NewOptions) -> Result<(), String> {
    if presets::built_in(name).is_some() {
        return Err(format!("--name: {name} is a built-in chain; choose another name"));
    }
    if file.exists() {
        return Err(format!("{} is there already: choose another file with --out", file.display()));
    }
    let user_dir = config::user_dir().ok();
    match chains::by_name(name, user_dir.as_deref(), options.data_dir.as_deref()) {
        Ok(None) => Ok(()),
        Ok(Some(saved)) => Err(format!("--name: there is a chain {name} already, in {}", saved.home.display())),
        Err(error) => Err(error.to_string()),
    }
}

/// All numbers but who has what.
fn numbers(options: &NewOptions, name: &str) -> ChainSpec {
    let (interval_ms, hashes, fixed) = match options.preset {
        Preset::Class => (10_000, 1 << 22, false),
        Preset::Demo => (2_000, EASIEST_HASHES, true),
        Preset::Consortium => (60_000, 1 << 26, false),
    };
    let interval_ms = options.interval.unwrap_or(interval_ms);
    let hashes = options.difficulty.unwrap_or(hashes);
    let half_life_ms = interval_ms.saturating_mul(HALF_LIFE_INTERVALS).max(HALF_LIFE_MIN_MS);
    let dev = presets::dev();
    ChainSpec {
        name: name.to_owned(),
        pow: match options.pow {
            Some(Pow::Blake3) => PowFunction::Blake3,
            Some(Pow::Sha256d) | None => PowFunction::Sha256d,
        },
        genesis_time: clock::now(),
        target_interval_ms: interval_ms,
        difficulty: if fixed || options.fixed { Difficulty::Fixed } else { Difficulty::Asert { half_life_ms } },
        initial_target: Target::of_hashes(hashes).compact(),
        easiest_target: Target::of_hashes(hashes.min(EASIEST_HASHES)).compact(),
        closed: options.closed,
        ..dev
    }
}

/// The subsidy, ended before all money together would outgrow what every JSON client can hold.
fn subsidy(options: &NewOptions, spec: &ChainSpec) -> Result<Subsidy, String> {
    let amount = options.subsidy.unwrap_or(spec.subsidy.amount);
    let issued = spec.allocations.iter().try_fold(0_u64, |sum, (_, amount)| sum.checked_add(amount.get()));
    let room = issued.and_then(|issued| Amount::MAX.get().checked_sub(issued));
    let room = room.ok_or_else(|| format!("the money at the start must stay below {}", Amount::MAX))?;
    let last_height = room.checked_div(amount).map_or(0, |blocks| blocks.min(LAST_SUBSIDY));
    Ok(Subsidy { amount, halving_interval: 0, last_height })
}

fn allocations(options: &NewOptions, keys: &Keys) -> Result<Vec<(Address, Amount)>, String> {
    let own = |amount: u64| keys.own.map(|own| (own, Amount::new(amount))).into_iter().filter(move |_| amount > 0);
    if options.allocate.is_empty() {
        return Ok(own(options.supply.unwrap_or(SUPPLY)).collect());
    }
    let mut all = Vec::new();
    for text in &options.allocate {
        let wrong = |what: &str| format!("--allocate {text}: {what}");
        let (who, amount) = text.split_once('=').ok_or_else(|| wrong("expected WHO=AMOUNT"))?;
        let amount: u64 = amount.parse().map_err(|_| wrong("the amount is no number"))?;
        let address = match who {
            OWN_NAME => keys.own.ok_or_else(|| wrong("there is no key of your own"))?,
            _ => keys.address(who).map_err(|error| wrong(&error))?,
        };
        all.push((address, Amount::new(amount)));
    }
    Ok(all)
}

/// The maker's keys. Where they will be depends on the chain's id, and the id on them: so they are made beside first.
struct Keys {
    wallet: Option<Wallet>,
    own: Option<Address>,
    beside: Option<tempfile::TempDir>,
}

impl Keys {
    fn open(options: &NewOptions) -> Result<Self, String> {
        let needed = options.allocate.is_empty() || options.allocate.iter().any(|text| !text.starts_with("bard1"));
        if !needed {
            return Ok(Self { wallet: None, own: None, beside: None });
        }
        let beside = match &options.data_dir {
            Some(dir) => {
                whole_file::make_dir(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
                None
            }
            None => {
                let user_dir = config::user_dir().map_err(|error| error.to_string())?;
                let trouble = |error: std::io::Error| format!("cannot make {}: {error}", user_dir.display());
                whole_file::make_dir(&user_dir).map_err(trouble)?;
                Some(tempfile::TempDir::with_prefix_in(".new-", &user_dir).map_err(trouble)?)
            }
        };
        let dir =
            beside.as_ref().map_or_else(|| options.data_dir.clone().unwrap_or_default(), |dir| dir.path().to_owned());
        let passphrase = config::passphrase(None, config::PASSPHRASE).map_err(|error| error.to_string())?;
        let wallet = Wallet::open(&dir, false, passphrase.as_ref()).map_err(|error| error.to_string())?;
        let own = Some(wallet.own());
        Ok(Self { wallet: Some(wallet), own, beside })
    }

    fn address(&self, who: &str) -> Result<Address, String> {
        match &self.wallet {
            Some(wallet) => wallet.address(who).map_err(|error| error.to_string()),
            None => who.parse().map_err(|error: bard_chain::address::AddressError| error.to_string()),
        }
    }

    /// Moves the keys to where the node will look for them, if they are of use. Returns where.
    fn settle(self, used: bool, home: &Path, options: &NewOptions) -> Result<Option<PathBuf>, String> {
        drop(self.wallet);
        let Some(beside) = self.beside else { return Ok(options.data_dir.clone()) };
        if !used {
            return Ok(None);
        }
        let dir = home.join(options.port.to_string());
        fs::rename(beside.keep(), &dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
        Ok(Some(dir))
    }
}

fn tell(made: &Made, options: &NewOptions) -> Result<(), String> {
    let Made { spec, file, own } = made;
    print(&format!("chain          {} {}", spec.name, spec.chain_id()))?;
    print(&format!("specification  {}", file.display()))?;
    if let Some((address, dir)) = own {
        let amount =
            spec.allocations.iter().find(|(one, _)| one == address).map_or(Amount::ZERO, |(_, amount)| *amount);
        print(&format!("your key       {address} with {amount}, in {}", dir.display()))?;
    }
    if spec.closed {
        print("closed         who is not invited is not spoken to")?;
    }
    let place = match &options.data_dir {
        Some(dir) => format!(" --data-dir {}", dir.display()),
        None if options.port == 5000 => String::new(),
        None => format!(" --port {}", options.port),
    };
    print(&format!("\nstart it:      bard node --chain {}{place}", spec.name))?;
    print("then invite:   bard invite")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        for (text, ms) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("7", 7_000), ("1h", 3_600_000)] {
            assert_eq!(interval(text), Ok(ms), "{text}");
        }
        for bad in ["", "s", "0s", "-1", "1.5s", "99999999999999999999", "18446744073709551615h"] {
            assert!(interval(bad).is_err(), "{bad}");
        }
    }
}
