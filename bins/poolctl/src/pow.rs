//! `poolctl pow`: proof of work for other people's tests.

use pool_coins::alephium::coin::pow_of_text;
use pool_coins::dynex::coin::pow_of_hex;
use pool_coins::hash::ethashb3::{Epoch, LightCache};
use pool_coins::hash::kheavyhash;
use pool_coins::hash::nexapow::{NexaPow, NoProof};
use poold::chains::CoinName;
use serde::Deserialize;
use serde_json::{Value, json};

/// What answers one line after another.
type Answers = Box<dyn FnMut(&str) -> Result<Value, String>>;

/// The hash of a coin. What a hash needs beside the line, a table or a cache, is made once.
pub(crate) fn answers(coin: CoinName) -> Answers {
    match coin {
        CoinName::Kaspa => Box::new(kaspa),
        CoinName::Alephium => Box::new(alephium),
        CoinName::Nexa => {
            let function = NexaPow::new();
            Box::new(move |line| nexa(&function, line))
        }
        CoinName::Hypra => {
            let mut cache = None;
            Box::new(move |line| hypra(&mut cache, line))
        }
        CoinName::Dynex => Box::new(dynex),
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}

fn bytes<const N: usize>(name: &str, digits: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    hex::decode_to_slice(digits, &mut bytes)
        .map_err(|_| format!("{name} must be {} hexadecimal digits", 2 * N))?;
    Ok(bytes)
}

/// At most 16 digits, big-endian.
fn nonce(digits: &str) -> Result<u64, String> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let plain =
        !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let nonce = u64::from_str_radix(digits, 16).ok().filter(|_| plain);
    nonce.ok_or_else(|| "nonce must be at most 16 hexadecimal digits, big-endian".to_owned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kaspa {
    pre_pow: String,
    timestamp: u64,
    nonce: String,
}

fn kaspa(line: &str) -> Result<Value, String> {
    let ask: Kaspa = read(line)?;
    let pre_pow = bytes::<32>("pre_pow", &ask.pre_pow)?;
    let nonce = nonce(&ask.nonce)?;
    let hash = kheavyhash::pow(&kheavyhash::Matrix::new(&pre_pow), &pre_pow, ask.timestamp, nonce);
    Ok(json!({ "pow": hex::encode(hash.to_le_bytes::<32>()) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alephium {
    nonce: String,
    header_blob: String,
}

fn alephium(line: &str) -> Result<Value, String> {
    let ask: Alephium = read(line)?;
    let answer = pow_of_text(&ask.nonce, &ask.header_blob).map_err(|error| error.to_string())?;
    let (from, to) = (answer.chain.from().get(), answer.chain.to().get());
    Ok(json!({ "pow": hex::encode(answer.pow), "from": from, "to": to }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nexa {
    commitment: String,
    nonce: String,
}

/// `null` for the few solutions whose hash is no key.
fn nexa(function: &NexaPow, line: &str) -> Result<Value, String> {
    let ask: Nexa = read(line)?;
    let commitment = bytes::<32>("commitment", &ask.commitment)?;
    let nonce = hex::decode(&ask.nonce).map_err(|_| "nonce must be hexadecimal digits in pairs")?;
    match function.proof(&commitment, &nonce) {
        Ok(proof) => Ok(json!({ "pow": hex::encode(proof) })),
        Err(NoProof::NoKey) => Ok(json!({ "pow": Value::Null })),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hypra {
    block: u64,
    header: String,
    nonce: String,
}

fn hypra(cache: &mut Option<(Epoch, LightCache)>, line: &str) -> Result<Value, String> {
    let ask: Hypra = read(line)?;
    let header = bytes::<32>("header", &ask.header)?;
    let nonce = nonce(&ask.nonce)?;
    let epoch = Epoch::of_block(ask.block).map_err(|error| error.to_string())?;
    let cache = match cache.take() {
        Some(known) if known.0 == epoch => cache.insert(known),
        _ => cache.insert((epoch, LightCache::build(epoch))),
    };
    let hashed = cache.1.hash(&header, nonce);
    Ok(json!({ "mix": hex::encode(hashed.mix), "result": hex::encode(hashed.result) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dynex {
    blob: String,
}

fn dynex(line: &str) -> Result<Value, String> {
    let ask: Dynex = read(line)?;
    Ok(json!({ "pow": hex::encode(pow_of_hex(&ask.blob)?) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: [(&str, &str); 4] = [
        ("alephium", include_str!("../../../coins/testdata/alephium.json")),
        ("nexa", include_str!("../../../coins/testdata/nexa.json")),
        ("hypra", include_str!("../../../coins/testdata/hypra.json")),
        ("dynex", include_str!("../../../coins/testdata/dynex.json")),
    ];

    fn vectors(coin: &str) -> Value {
        serde_json::from_str(VECTORS.iter().find(|(name, _)| *name == coin).unwrap().1).unwrap()
    }

    #[test]
    fn a_mainnet_block_of_kaspa() {
        let ask = r#"{"pre_pow":"91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5","timestamp":1724081279941,"nonce":"0021d1b51bc4b490"}"#;
        let pow = "75baa7bfd5397169145ae57bcdc7ef387f819dbd5f27f20a1400000000000000";
        assert_eq!(kaspa(ask), Ok(json!({ "pow": pow })));
    }

    #[test]
    fn published_headers_of_alephium() {
        for row in vectors("alephium")["pow"].as_array().unwrap() {
            let ask = json!({ "nonce": row["nonce"], "header_blob": row["headerBlob"] }).to_string();
            let answer = json!({ "pow": row["hash"], "from": row["chain"][0], "to": row["chain"][1] });
            assert_eq!(alephium(&ask), Ok(answer));
        }
    }

    #[test]
    fn a_mainnet_block_of_nexa() {
        let ask = r#"{"commitment":"aa02d01f73451bc848d87443644cef4d16fd210de28651a945db967ac17a4df9","nonce":"fa0921f55803629697ea7100"}"#;
        let pow = "b329397a9034760deeb605b628ea3c0a6821d1d6e1ded97b3813000000000000";
        assert_eq!(nexa(&NexaPow::new(), ask), Ok(json!({ "pow": pow })));
    }

    #[test]
    fn published_hashes_of_dynex() {
        for row in vectors("dynex")["pow_hash"].as_array().unwrap() {
            let answer = dynex(&json!({ "blob": row["input_hex"] }).to_string());
            assert_eq!(answer, Ok(json!({ "pow": row["hash"] })));
        }
    }

    #[test]
    fn bad_asks_say_what_is_wrong() {
        let pre_pow = "91cc6c2cb295a5d5234076a5484137d4bf4ee738619a1bfd74ae22760f25f9a5";
        let mut cases = vec![
            "{}".to_owned(),
            "[]".to_owned(),
            r#"{"pre_pow":"00","timestamp":1,"nonce":"1"}"#.to_owned(),
        ];
        for (timestamp, nonce) in [("-1", "1"), ("1", "+1"), ("1", ""), ("1", "00112233445566778")] {
            cases.push(format!(r#"{{"pre_pow":"{pre_pow}","timestamp":{timestamp},"nonce":"{nonce}"}}"#));
        }
        for bad in cases {
            for coin in CoinName::ALL {
                assert!(answers(coin)(&bad).is_err(), "{coin:?} {bad}");
            }
        }
        assert!(
            hypra(
                &mut None,
                &format!(r#"{{"block":18446744073709551615,"header":"{pre_pow}","nonce":"1"}}"#)
            )
            .is_err()
        );
    }
}
