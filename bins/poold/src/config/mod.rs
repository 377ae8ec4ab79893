//! The pool's configuration: one TOML file, read once, every mistake told with its key and line.
//!
//! [`Config::read`] turns text into values that cannot be wrong in shape; [`explain`](crate::explain) says what
//! they mean. Secrets are named by file, never written here. Libraries below take typed values and read nothing.

mod reader;
mod value;

pub use reader::Mistake;

use pool_coins::kaspa::address::Address;
use pool_coins::kaspa::params::Network;
use pool_core::id::{CoinId, InstanceId};
use pool_core::limits::Limits;
use pool_core::units::{Amount, BasisPoints, Work};
use pool_stratum::dialect::kaspa::{DialectRow, DialectTable, ExtranonceForm, NotifyForm, difficulty};
use pool_stratum::net::door::DoorRules;
use pool_stratum::net::host::Cidr;
use reader::{Reader, Section};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// All settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name on pages and in the API.
    pub name: String,
    /// Where the embedded database lies.
    pub store: String,
    /// This share checker among several.
    pub instance: InstanceId,
    /// Threads that serve connections; `None`: one less than there are cores.
    pub threads: Option<usize>,
    /// The bounds of every queue and peer.
    pub limits: Limits,
    /// The pages, the API, the metrics.
    pub http: SocketAddr,
    /// How to log.
    pub log: LogConfig,
    /// The coin that is mined.
    pub kaspa: KaspaConfig,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// JSON lines instead of text.
    pub json: bool,
    /// A filter as in `info` or `info,pool_stratum=debug`.
    pub filter: String,
}

/// A Kaspa pool.
#[derive(Clone, Debug)]
pub struct KaspaConfig {
    /// The coin's name in URLs and records.
    pub id: CoinId,
    /// Which network.
    pub network: Network,
    /// Nodes in the order of preference, as `host:port` of their gRPC listeners.
    pub nodes: Vec<String>,
    /// Where the chain pays the pool.
    pub address: Address,
    /// The file with the key behind that address; without it nothing is paid out.
    pub key_file: Option<PathBuf>,
    /// Text in the coinbase of our blocks.
    pub extra_data: String,
    /// The least time between two jobs, in milliseconds.
    pub job_interval_ms: u64,
    /// Depth in blue score at which a block's fate is final.
    pub confirmations: u64,
    /// Coinbase maturity in DAA score; `None`: the network's own. Only a development node has another.
    pub maturity: Option<u64>,
    /// Where miners connect.
    pub listen: Vec<ListenConfig>,
    /// How hard shares are.
    pub vardiff: VardiffConfig,
    /// Which miner software speaks how.
    pub agents: DialectTable,
    /// Bytes of extranonce each connection gets.
    pub extranonce_bytes: u8,
    /// Of those, the high bits that tell instances apart.
    pub instance_bits: u8,
    /// Mine although the node says that it has not caught up. Private networks only.
    pub mine_unsynced: bool,
    /// What FPPS counts a block at before enough have matured; `None`: the subsidy of late 2026.
    pub first_block_value: Option<Amount>,
    /// Limits per host, beside [`Limits`].
    pub door: DoorRules,
    /// How rewards are split.
    pub reward: RewardConfig,
    /// How miners are paid.
    pub payout: PayoutConfig,
    /// What the operator expects, for advice only.
    pub expect: ExpectConfig,
}

/// One port for miners.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    /// Address and port.
    pub address: SocketAddr,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Proxies whose PROXY header (v1 or v2) is believed.
    pub proxies: Vec<Cidr>,
}

/// How hard shares are.
#[derive(Clone, Debug)]
pub struct VardiffConfig {
    /// Wanted milliseconds between two shares of a worker.
    pub share_interval_ms: u64,
    /// The least work of a share.
    pub min: Work,
    /// The most work of a share.
    pub max: Work,
    /// Where a new worker starts.
    pub start: Work,
}

/// Which scheme splits rewards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemeConfig {
    /// In proportion to the work since the last block. Hoppable.
    Prop,
    /// To the finder.
    Solo,
    /// Every share at its expected value, out of the operator's reserve.
    Fpps {
        /// The operator's reserve.
        reserve: Amount,
        /// The highest probability of ruin the operator accepts, in parts per million.
        ruin_ppm: u64,
        /// Seconds per settlement period.
        period_secs: u64,
    },
    /// In proportion to the work of the last `window` expected blocks.
    Pplns {
        /// Expected blocks in the window, in thousandths.
        window_milli: u64,
    },
}

/// How rewards are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewardConfig {
    /// The scheme.
    pub scheme: SchemeConfig,
    /// The pool's fee.
    pub fee: BasisPoints,
    /// The finder's bonus, after the fee.
    pub finder_bonus: BasisPoints,
}

/// How miners are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayoutConfig {
    /// Whether to pay at all.
    pub enabled: bool,
    /// Seconds between two rounds of payouts.
    pub interval_secs: u64,
    /// What a miner must be owed, unless he chose another sum.
    pub threshold: Amount,
    /// Depth in DAA score at which a payout is final.
    pub confirmations: u64,
}

/// What the operator expects: used to explain the settings, never to decide anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectConfig {
    /// The pool's hash rate.
    pub pool: Work,
    /// The network's hash rate.
    pub network: Work,
    /// The fastest single connection.
    pub fastest: Work,
    /// The slowest worker that should be paid smoothly.
    pub slowest: Work,
    /// Connections.
    pub connections: u64,
}

/// Everything that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadConfig {
    /// In the order of the file.
    pub mistakes: Vec<Mistake>,
}

impl std::fmt::Display for BadConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BadConfig {}

impl Config {
    /// Reads a whole file's text.
    ///
    /// # Errors
    /// [`BadConfig`] with every mistake in it.
    pub fn read(source: &str) -> Result<Self, BadConfig> {
        let reader = Reader::new(source);
        let document = reader.document();
        let root = Section::root(&reader, &document);
        let config = Self::from_root(&root);
        root.finish();
        drop(document);
        let mistakes = reader.into_mistakes();
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(BadConfig { mistakes }),
        }
    }

    fn from_root(root: &Section<'_, '_>) -> Option<Self> {
        let pool = root.section("pool");
        let name = pool.text("name").unwrap_or_else(|| "Poolwright".to_owned());
        let store = pool.parsed("store", store_url).unwrap_or_else(|| "sqlite:data/pool.db".to_owned());
        let instance = pool.number("instance", 0..=u64::from(u16::MAX), 0);
        let threads = pool.has("threads").then(|| pool.number("threads", 1..=1_024, 1));
        pool.finish();

        let http = root.section("http");
        let listen =
            http.parsed("listen", socket).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        http.finish();

        let log = root.section("log");
        let json = log.parsed("format", |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("must be \"text\" or \"json\""),
        });
        let filter = log.text("filter").unwrap_or_else(|| "info".to_owned());
        log.finish();

        let limits = limits(&root.section("limits"));
        let section = root.section("kaspa");
        if !section.is_present() {
            root.mistake("kaspa", "is missing: a pool needs a [kaspa] section");
        }
        let kaspa = KaspaConfig::from_section(&section);
        section.finish();
        Some(Self {
            name,
            store,
            instance: InstanceId::new(u16::try_from(instance).ok()?),
            threads: threads.and_then(|threads| usize::try_from(threads).ok()),
            limits,
            http: listen,
            log: LogConfig { json: json.unwrap_or(false), filter },
            kaspa: kaspa?,
        })
    }
}

impl KaspaConfig {
    /// Decimals of one KAS.
    pub const DECIMALS: u8 = 8;

    fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let network = section.required("network", "mainnet, testnet-10, simnet or devnet", Network::from_str);
        let nodes = section.list("nodes", node).unwrap_or_default();
        if nodes.is_empty() {
            section.mistake("nodes", "must name at least one node, as in [\"127.0.0.1:16110\"]");
        }
        let address = section.required("address", "the pool's own address", |text| {
            Address::parse(text, network.unwrap_or(Network::Mainnet))
        });
        let key_file = section.text("key_file").map(PathBuf::from);
        let extra_data = section.parsed("extra_data", extra_data).unwrap_or_else(|| "poolwright".to_owned());
        let listen: Vec<_> =
            section.sections("listen").iter().filter_map(ListenConfig::from_section).collect();
        if listen.is_empty() {
            section.mistake("listen", "must have at least one [[kaspa.listen]] with an address");
        }
        let agents = agents(section);
        let vardiff = VardiffConfig::from_section(&section.section("vardiff"));
        let reward = RewardConfig::from_section(&section.section("reward"));
        let payout = PayoutConfig::from_section(&section.section("payout"));
        if payout.enabled && key_file.is_none() {
            section.mistake(
                "key_file",
                "is missing: payouts need the key behind `address` (or payout.enabled = false)",
            );
        }
        let expect = ExpectConfig::from_section(&section.section("expect"));
        let extranonce_bytes = section.number("extranonce_bytes", 1..=4, 2);
        Some(Self {
            id: CoinId::new("kaspa").ok()?,
            network: network?,
            nodes,
            address: address?,
            key_file,
            extra_data,
            job_interval_ms: section.number("job_interval_ms", 50..=10_000, 250),
            confirmations: section.number("confirmations", 1..=1_000_000, 1_000),
            maturity: section.has("maturity").then(|| section.number("maturity", 1..=1_000_000, 1_000)),
            listen,
            vardiff,
            agents,
            extranonce_bytes: u8::try_from(extranonce_bytes).ok()?,
            instance_bits: u8::try_from(section.number("instance_bits", 0..=16, 0)).ok()?,
            mine_unsynced: section.flag("mine_unsynced", false),
            first_block_value: section.parsed("first_block_value", kas),
            door: door(&section.section("door")),
            reward,
            payout,
            expect,
        })
    }
}

impl ListenConfig {
    fn from_section(section: &Section<'_, '_>) -> Option<Self> {
        let address = section.required("address", "where to listen, as in \"0.0.0.0:5555\"", socket);
        let certificate = section.text("tls_certificate").map(PathBuf::from);
        let key = section.text("tls_key").map(PathBuf::from);
        if certificate.is_some() != key.is_some() {
            section.mistake("tls_certificate", "tls_certificate and tls_key go together");
        }
        let proxies = section.list("proxies", Cidr::from_str).unwrap_or_default();
        section.known();
        Some(Self { address: address?, tls: certificate.zip(key), proxies })
    }
}

impl VardiffConfig {
    fn from_section(section: &Section<'_, '_>) -> Self {
        let work = |key, default: u64| {
            let default = Work::new(u128::from(default) << 32).unwrap_or(Work::ONE);
            section
                .parsed(key, |text| difficulty::parse(text).ok_or("must be a difficulty such as 4096 or 0.5"))
                .unwrap_or(default)
        };
        let (min, max) = (work("min_difficulty", 1), work("max_difficulty", 1 << 24));
        let start = work("start_difficulty", 4_096);
        if min > max {
            section.mistake("min_difficulty", "must not be above max_difficulty");
        }
        if start < min || start > max {
            section.mistake("start_difficulty", "must lie within min_difficulty and max_difficulty");
        }
        let share_interval_ms = section.number("share_interval_ms", 200..=120_000, 5_000);
        section.known();
        Self { share_interval_ms, min, max, start }
    }
}

impl RewardConfig {
    fn from_section(section: &Section<'_, '_>) -> Self {
        let scheme = section.parsed("scheme", |text| match text {
            "prop" | "solo" | "fpps" | "pplns" => Ok(text.to_owned()),
            _ => Err("must be \"pplns\", \"prop\", \"solo\" or \"fpps\""),
        });
        let window_milli = section.parsed("window_blocks", milli).unwrap_or(10_000_000);
        let reserve = section.parsed("reserve", kas).unwrap_or(Amount::ZERO);
        let ruin_ppm = section.number("ruin_ppm", 1..=500_000, 1_000);
        let period_secs = section.number("period_secs", 10..=86_400, 3_600);
        let points = |key| {
            let points = section.number(key, 0..=10_000, if key == "fee_bps" { 100 } else { 0 });
            u16::try_from(points).ok().and_then(|points| BasisPoints::new(points).ok()).unwrap_or_default()
        };
        let (fee, finder_bonus) = (points("fee_bps"), points("finder_bonus_bps"));
        let scheme = match scheme.as_deref() {
            Some("prop") => SchemeConfig::Prop,
            Some("solo") => SchemeConfig::Solo,
            Some("fpps") => SchemeConfig::Fpps { reserve, ruin_ppm, period_secs },
            Some(_) | None => SchemeConfig::Pplns { window_milli },
        };
        section.known();
        Self { scheme, fee, finder_bonus }
    }
}

impl PayoutConfig {
    fn from_section(section: &Section<'_, '_>) -> Self {
        let config = Self {
            enabled: section.flag("enabled", true),
            interval_secs: section.number("interval_secs", 1..=604_800, 3_600),
            threshold: section.parsed("threshold", kas).unwrap_or(Amount::new(1_000_000_000)),
            confirmations: section.number("confirmations", 1..=100_000, 200),
        };
        section.known();
        config
    }
}

impl ExpectConfig {
    fn from_section(section: &Section<'_, '_>) -> Self {
        let rate = |key, default: u128| {
            section.parsed(key, value::hash_rate).unwrap_or_else(|| Work::new(default).unwrap_or(Work::ONE))
        };
        let config = Self {
            pool: rate("pool_hashrate", 10u128.pow(15)),
            network: rate("network_hashrate", 5 * 10u128.pow(17)),
            fastest: rate("fastest_miner", 21 * 10u128.pow(12)),
            slowest: rate("slowest_miner", 10u128.pow(11)),
            connections: section.number("connections", 1..=10_000_000, 1_000),
        };
        section.known();
        config
    }
}

fn limits(section: &Section<'_, '_>) -> Limits {
    let base = Limits::default();
    let size = |key, range, default: usize| {
        usize::try_from(section.number(key, range, default as u64)).unwrap_or(default)
    };
    let limits = Limits {
        line_bytes_max: size("line_bytes_max", 512..=65_536, base.line_bytes_max),
        json_depth_max: size("json_depth_max", 3..=64, base.json_depth_max),
        id_bytes_max: size("id_bytes_max", 8..=1_024, base.id_bytes_max),
        connections_max: size("connections_max", 1..=1_000_000, base.connections_max),
        connections_per_host_max: size(
            "connections_per_host_max",
            1..=1_000_000,
            base.connections_per_host_max,
        ),
        subscribe_ms_max: section.number("subscribe_ms_max", 100..=600_000, base.subscribe_ms_max),
        authorize_ms_max: section.number("authorize_ms_max", 100..=600_000, base.authorize_ms_max),
        idle_ms_max: section.number("idle_ms_max", 1_000..=86_400_000, base.idle_ms_max),
        line_ms_max: section.number("line_ms_max", 100..=600_000, base.line_ms_max),
        write_ms_max: section.number("write_ms_max", 100..=600_000, base.write_ms_max),
        send_bytes_max: size("send_bytes_max", 4_096..=16_777_216, base.send_bytes_max),
        pending_submits_max: size("pending_submits_max", 1..=65_536, base.pending_submits_max),
        jobs_kept_max: size("jobs_kept_max", 2..=10_000, base.jobs_kept_max),
        duplicates_kept_max: size("duplicates_kept_max", 16..=1_048_576, base.duplicates_kept_max),
        workers_per_connection_max: size(
            "workers_per_connection_max",
            1..=1_024,
            base.workers_per_connection_max,
        ),
        garbage_lines_max: u32::try_from(section.number(
            "garbage_lines_max",
            1..=1_000,
            base.garbage_lines_max.into(),
        ))
        .unwrap_or(base.garbage_lines_max),
        ban_secs: section.number("ban_secs", 0..=86_400, base.ban_secs),
        hosts_tracked_max: size("hosts_tracked_max", 16..=10_000_000, base.hosts_tracked_max),
    };
    section.known();
    limits
}

fn door(section: &Section<'_, '_>) -> DoorRules {
    let base = DoorRules::default();
    let count = |key, default: u32| {
        u32::try_from(section.number(key, 1..=1_000_000, default.into())).unwrap_or(default)
    };
    let rules = DoorRules {
        exempt: section.list("exempt", Cidr::from_str).unwrap_or_else(|| base.exempt.clone()),
        connect_burst_max: count("connect_burst_max", base.connect_burst_max),
        connects_per_second_max: count("connects_per_second_max", base.connects_per_second_max),
    };
    section.known();
    rules
}

/// The operator's rows come before the built-in ones, so that they win.
fn agents(section: &Section<'_, '_>) -> DialectTable {
    let rows: Vec<_> = section.sections("agent").iter().map(agent).collect();
    DialectTable::new(&rows).unwrap_or_else(|error| {
        section.mistake("agent", error.to_string());
        DialectTable::default()
    })
}

fn agent(row: &Section<'_, '_>) -> DialectRow {
    let notify = row.parsed("notify", |text| match text {
        "array" => Ok(NotifyForm::Array),
        "big-job" => Ok(NotifyForm::BigJob),
        _ => Err("must be \"array\" or \"big-job\""),
    });
    let extranonce = row.parsed("extranonce", |text| match text {
        "notify-1" => Ok(ExtranonceForm::Notify1),
        "notify-2" => Ok(ExtranonceForm::Notify2),
        "subscribe" => Ok(ExtranonceForm::Subscribe),
        _ => Err("must be \"notify-1\", \"notify-2\" or \"subscribe\""),
    });
    let parsed = DialectRow {
        agent_contains: row
            .required("contains", "a part of the user agent", |text| Ok::<_, String>(text.to_owned()))
            .unwrap_or_default(),
        notify: notify.unwrap_or_default(),
        extranonce: extranonce.unwrap_or_default(),
        extranonce_early: row.flag("extranonce_early", false),
        extranonce_bare_method: row.flag("extranonce_bare_method", false),
        minimal_json: row.flag("minimal_json", false),
        decimal_nonce: row.flag("decimal_nonce", false),
        power_of_two: row.flag("power_of_two", false),
        show_message: row.flag("show_message", false),
    };
    row.known();
    parsed
}

fn kas(text: &str) -> Result<Amount, String> {
    value::coins(text, "KAS", KaspaConfig::DECIMALS)
}

fn milli(text: &str) -> Result<u64, String> {
    let milli =
        value::coins(text, "blocks", 3).map_err(|_| "must be a number of blocks such as \"10000\"")?;
    let milli = u64::try_from(milli.get()).map_err(|_| "is too large")?;
    if (100..=1_000_000_000_000).contains(&milli) {
        Ok(milli)
    } else {
        Err("must be within 0.1 and 1000000000".into())
    }
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("is {text:?}, must be an address and a port such as \"127.0.0.1:8080\""))
}

fn node(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix("grpc://").unwrap_or(text);
    let port = bare.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
    match port.map(str::parse::<u16>) {
        Some(Ok(port)) if port > 0 => Ok(bare.to_owned()),
        _ => Err(format!("is {text:?}, must be host:port of a node's gRPC listener")),
    }
}

fn store_url(text: &str) -> Result<String, String> {
    if text.starts_with("sqlite:") || text == "memory:" {
        Ok(text.to_owned())
    } else {
        Err(format!("is {text:?}, must be \"sqlite:PATH\" or \"memory:\""))
    }
}

fn extra_data(text: &str) -> Result<String, String> {
    if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        Ok(text.to_owned())
    } else {
        Err("must be at most 64 printable ASCII characters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../../pool.example.toml");

    /// The example with every default written out: what follows `# ` on a line that begins with a key.
    fn uncommented() -> String {
        let is_setting = |line: &str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            line.contains(" = ")
                && !key.is_empty()
                && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(setting) if is_setting(setting) || setting.starts_with("[[") => setting.to_owned(),
            _ => line.to_owned(),
        };
        EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_example_is_a_configuration() {
        let config = Config::read(EXAMPLE).unwrap();
        assert_eq!(config.kaspa.network, Network::Mainnet);
        assert_eq!(config.kaspa.listen.len(), 1);
    }

    #[test]
    fn the_examples_commented_defaults_are_the_defaults() {
        let (bare, full) = (Config::read(EXAMPLE).unwrap(), Config::read(&uncommented()).unwrap());
        assert_eq!(full.kaspa.listen.len(), 2, "the TLS port");
        assert_eq!(bare.limits, full.limits);
        assert_eq!(bare.kaspa.door, full.kaspa.door);
        assert_eq!(bare.kaspa.reward, full.kaspa.reward);
        assert_eq!(bare.kaspa.payout, full.kaspa.payout);
        assert_eq!(bare.kaspa.expect, full.kaspa.expect);
        let plain = |config: &Config| {
            let k = &config.kaspa;
            (
                k.job_interval_ms,
                k.extranonce_bytes,
                k.instance_bits,
                k.confirmations,
                k.mine_unsynced,
                config.http,
            )
        };
        assert_eq!(plain(&bare), plain(&full));
        let vardiff = |config: &Config| {
            let v = &config.kaspa.vardiff;
            (v.share_interval_ms, v.min, v.max, v.start)
        };
        assert_eq!(vardiff(&bare), vardiff(&full));
    }

    #[test]
    fn every_mistake_is_told_with_its_key_and_line() {
        let source = r#"
[pool]
stor = "sqlite:x"
[http]
listen = "nowhere"
[kaspa]
network = "mainet"
nodes = ["localhost"]
address = "kaspa:qqqq"
job_interval_ms = 5
[[kaspa.listen]]
address = "0.0.0.0:5555"
tls_key = "k.pem"
[kaspa.vardiff]
min_difficulty = 8
max_difficulty = 4
start_difficulty = 4
[kaspa.reward]
scheme = "ppnls"
fee_bps = 10001
[kaspa.payout]
threshold = "a lot"
[kaspa.expect]
pool_hashrate = "fast"
"#;
        let mistakes = Config::read(source).unwrap_err().mistakes;
        let told: Vec<(&str, usize)> =
            mistakes.iter().map(|mistake| (mistake.key.as_str(), mistake.line)).collect();
        for expected in [
            ("pool.stor", 3),
            ("http.listen", 5),
            ("kaspa.network", 7),
            ("kaspa.nodes", 8),
            ("kaspa.address", 9),
            ("kaspa.job_interval_ms", 10),
            ("kaspa.vardiff.min_difficulty", 15),
            ("kaspa.reward.scheme", 19),
            ("kaspa.reward.fee_bps", 20),
            ("kaspa.payout.threshold", 22),
            ("kaspa.expect.pool_hashrate", 24),
        ] {
            assert!(told.contains(&expected), "{expected:?} is not among {told:?}");
        }
        assert!(told.iter().any(|(key, _)| key.ends_with("tls_certificate")), "{told:?}");
        assert!(told.iter().any(|(key, _)| *key == "kaspa.key_file"), "{told:?}");
    }

    #[test]
    fn nonsense_is_told_and_never_breaks_the_reader() {
        for source in [
            "",
            "[",
            "kaspa = 3",
            "[kaspa]\nlisten = 1",
            "[[kaspa]]",
            "\u{0}",
            "a = 1e400",
            "[kaspa.reward]\nscheme = []",
        ] {
            assert!(Config::read(source).is_err(), "{source:?}");
        }
    }
}
