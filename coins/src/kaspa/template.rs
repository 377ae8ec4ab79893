//! A node's offer, checked before anybody mines on it.

use super::coinbase::{CoinbasePayload, PayScript};
use super::convert;
use super::grpc::raw::RawTemplate;
use super::grpc::wire;
use super::header::{Header, HeaderHasher, target_of_bits};
use pool_core::coin::NodeError;
use pool_core::units::Target;
use prost::Message;

/// What a template must say to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) pay_to: PayScript,
    pub(crate) mine_unsynced: bool,
    /// What the coinbase must commit to, if it was asked to.
    pub(crate) commitment: Option<[u8; 32]>,
}

/// A node's offer: a block without its nonce. Its bytes are kept as they came.
#[derive(Clone, Debug)]
pub struct KaspaTemplate {
    raw: RawTemplate,
    header: Header,
    hasher: HeaderHasher,
    pre_pow: [u8; 32],
    target: Target,
    subsidy: u64,
    transactions: usize,
    commitment: Option<[u8; 32]>,
    clean: bool,
}

impl KaspaTemplate {
    /// Reads and checks an encoded block.
    ///
    /// # Errors
    /// [`NodeError::NotSynced`] when the node has not caught up; [`NodeError::Garbage`] for anything that is not a
    /// block paying the pool.
    pub(crate) fn check(block: &[u8], is_synced: bool, expected: &Expected) -> Result<Self, NodeError> {
        if !is_synced && !expected.mine_unsynced {
            return Err(NodeError::NotSynced);
        }
        let garbage = |why: String| NodeError::Garbage(why);
        let raw = RawTemplate::cut(block).map_err(|error| garbage(error.to_string()))?;
        let block = wire::Block::decode(block)
            .map_err(|error| garbage(format!("a template that is no block: {error}")))?;
        let stated = block.header.ok_or_else(|| garbage("a template without a header".into()))?;
        let header = convert::header(&stated).map_err(|error| garbage(format!("template: {error}")))?;
        if header.version != 2 {
            return Err(garbage(format!("a template of header version {}, known is 2", header.version)));
        }
        if header.parents.first().is_none_or(Vec::is_empty) {
            return Err(garbage("a template without parents".into()));
        }
        // The node says the hash too (of the header as it stands); a header that was misread would not hash to it.
        if !stated.hash.is_empty() && convert::hash(&stated.hash) != Ok(header.hash()) {
            return Err(garbage("a template whose header does not hash to what it says".into()));
        }
        let target = target_of_bits(header.bits)
            .filter(|target| target.get() < MAX_TARGET_PLUS_ONE)
            .ok_or_else(|| garbage(format!("a template of bits {:08x}, which are no target", header.bits)))?;
        let coinbase =
            block.transactions.first().ok_or_else(|| garbage("a template without a coinbase".into()))?;
        let payload = hex::decode(&coinbase.payload)
            .map_err(|_| garbage("a coinbase payload that is no hex".into()))?;
        let payload = CoinbasePayload::parse(&payload).map_err(|error| garbage(error.to_string()))?;
        if payload.pay_to != expected.pay_to {
            return Err(garbage("a template that pays somebody else".into()));
        }
        if payload.blue_score != header.blue_score {
            return Err(garbage("a template whose coinbase is of another block".into()));
        }
        // A block without it would be found before its accounting was committed to, which nobody could make good.
        let commitment = payload.commitment();
        if expected.commitment.is_some() && commitment != expected.commitment {
            return Err(garbage("a template whose coinbase leaves out the commitment".into()));
        }
        // The header commits to the transactions by their merkle root: without this check a node could show one
        // coinbase and have the pool mine for another.
        let root = convert::merkle_root(&block.transactions)
            .map_err(|error| garbage(format!("template: {error}")))?;
        if root != header.hash_merkle_root {
            return Err(garbage("a template whose header commits to other transactions".into()));
        }
        let pre_pow = header.pre_pow_hash();
        let transactions = block.transactions.len();
        let hasher = header.hasher();
        Ok(Self {
            raw,
            header,
            hasher,
            pre_pow,
            target,
            subsidy: payload.subsidy,
            transactions,
            commitment,
            clean: false,
        })
    }

    /// Marks the job made of it as one that retires older work.
    #[must_use]
    pub fn with_clean(self, clean: bool) -> Self {
        Self { clean, ..self }
    }

    /// Whether older work is worthless. On this chain it hardly ever is: blocks on older templates are merged.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// The block's bytes around its nonce.
    #[must_use]
    pub const fn raw(&self) -> &RawTemplate {
        &self.raw
    }

    /// The header, with whatever nonce the node wrote into it.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The hash of the block with this nonce.
    #[must_use]
    pub fn block_hash(&self, nonce: u64) -> [u8; 32] {
        self.hasher.hash(self.header.timestamp, nonce)
    }

    /// Hash of the header with time and nonce zero.
    #[must_use]
    pub const fn pre_pow(&self) -> [u8; 32] {
        self.pre_pow
    }

    /// The network's target.
    #[must_use]
    pub const fn target(&self) -> Target {
        self.target
    }

    /// The block's own subsidy. Unit: sompi. For pages only: what a block earns is read from the chain.
    #[must_use]
    pub const fn subsidy(&self) -> u64 {
        self.subsidy
    }

    /// What its coinbase commits to, as [`super::coinbase`] writes it.
    #[must_use]
    pub const fn commitment(&self) -> Option<[u8; 32]> {
        self.commitment
    }

    /// How many transactions are in it, the coinbase included.
    #[must_use]
    pub const fn transactions(&self) -> usize {
        self.transactions
    }
}

/// 2^255: targets are below it on every network.
const MAX_TARGET_PLUS_ONE: pool_core::units::U256 = pool_core::units::U256::from_limbs([0, 0, 0, 1 << 63]);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pay_to() -> PayScript {
        PayScript { version: 0, script: vec![0x51; 34] }
    }

    /// A template with a transaction of version 1 that has a covenant and a compute budget, on real commitments.
    fn honest() -> wire::Block {
        let payload =
            CoinbasePayload { blue_score: 9, subsidy: 5, pay_to: pay_to(), extra_data: b"x".to_vec() };
        let coinbase = wire::Transaction {
            version: 1,
            subnetwork_id: format!("01{}", "00".repeat(19)),
            payload: hex::encode(payload.to_bytes()),
            ..wire::Transaction::default()
        };
        let other = wire::Transaction {
            version: 1,
            inputs: vec![wire::TransactionInput {
                outpoint: Some(wire::Outpoint { transaction_id: "ab".repeat(32), index: 3 }),
                compute_budget: 111,
                ..wire::TransactionInput::default()
            }],
            outputs: vec![wire::TransactionOutput {
                amount: 7,
                script: Some(wire::Script { version: 0, script: "51".into() }),
                covenant: Some(wire::Covenant { authorizing_input: 1, covenant_id: "cd".repeat(32) }),
            }],
            subnetwork_id: "00".repeat(20),
            storage_mass: 12,
            ..wire::Transaction::default()
        };
        let transactions = vec![coinbase, other];
        let mut header = wire::Header {
            version: 2,
            parents: vec![wire::LevelParents { hashes: vec!["11".repeat(32)] }],
            hash_merkle_root: hex::encode(convert::merkle_root(&transactions).unwrap()),
            accepted_id_merkle_root: "22".repeat(32),
            utxo_commitment: "33".repeat(32),
            timestamp: 1_795_000_000_000,
            bits: 0x1e21_bc1c,
            nonce: 0,
            daa_score: 10,
            blue_work: "1e240".into(),
            blue_score: 9,
            pruning_point: "44".repeat(32),
            hash: String::new(),
        };
        header.hash = hex::encode(convert::header(&header).unwrap().hash());
        wire::Block { header: Some(header), transactions, verbose: None }
    }

    fn checked(block: &wire::Block) -> Result<KaspaTemplate, NodeError> {
        let expected = Expected { pay_to: pay_to(), mine_unsynced: false, commitment: None };
        KaspaTemplate::check(&block.encode_to_vec(), true, &expected)
    }

    #[test]
    fn an_honest_template_is_taken_and_keeps_its_bytes() {
        let block = honest();
        let template = checked(&block).unwrap();
        assert_eq!(template.transactions(), 2);
        assert_eq!(template.subsidy(), 5);
        let solved = wire::Block::decode(&*template.raw().with_nonce(77)).unwrap();
        assert_eq!(solved.transactions, block.transactions);
        let header = solved.header.unwrap();
        assert_eq!(convert::header(&header).unwrap().hash(), template.block_hash(77));
        assert_eq!(wire::Header { nonce: 0, ..header }, block.header.unwrap());
    }

    #[test]
    fn every_lie_is_found() {
        type Lie = fn(&mut wire::Block);
        let lies: [(&str, Lie); 9] = [
            ("no header", |block| block.header = None),
            ("another version", |block| block.header.as_mut().unwrap().version = 1),
            ("another hash", |block| block.header.as_mut().unwrap().daa_score += 1),
            ("bits that are no target", |block| {
                let header = block.header.as_mut().unwrap();
                header.bits = 0x0492_3456;
                header.hash = String::new();
            }),
            ("an impossible target", |block| {
                let header = block.header.as_mut().unwrap();
                header.bits = 0x2100_ffff;
                header.hash = String::new();
            }),
            ("another coinbase than committed to", |block| block.transactions[0].gas = 1),
            ("a transaction left out", |block| drop(block.transactions.pop())),
            ("no coinbase", |block| block.transactions.clear()),
            ("a changed covenant", |block| {
                let output = &mut block.transactions[1].outputs[0];
                output.covenant.as_mut().unwrap().authorizing_input = 2;
            }),
        ];
        for (name, lie) in lies {
            let mut block = honest();
            lie(&mut block);
            assert!(matches!(checked(&block), Err(NodeError::Garbage(_))), "{name}");
        }
        let block = honest().encode_to_vec();
        let somebody = Expected {
            pay_to: PayScript { version: 0, script: vec![1] },
            mine_unsynced: false,
            commitment: None,
        };
        assert!(matches!(KaspaTemplate::check(&block, true, &somebody), Err(NodeError::Garbage(_))));
        let expected = Expected { pay_to: pay_to(), mine_unsynced: false, commitment: None };
        assert!(matches!(KaspaTemplate::check(&block, false, &expected), Err(NodeError::NotSynced)));
        assert!(KaspaTemplate::check(&block, false, &Expected { mine_unsynced: true, ..expected }).is_ok());
    }

    #[test]
    fn a_commitment_that_was_asked_for_must_be_in_the_coinbase() {
        let hash = [0x5a; 32];
        let with = |text: &str| {
            let mut block = honest();
            let payload = CoinbasePayload {
                blue_score: 9,
                subsidy: 5,
                pay_to: pay_to(),
                extra_data: text.as_bytes().to_vec(),
            };
            block.transactions[0].payload = hex::encode(payload.to_bytes());
            let root = hex::encode(convert::merkle_root(&block.transactions).unwrap());
            let header = block.header.as_mut().unwrap();
            header.hash_merkle_root = root;
            header.hash = String::new();
            block.encode_to_vec()
        };
        let text = super::super::coinbase::free_text("2.1.0/pool", Some(&hash));
        let asked = Expected { pay_to: pay_to(), mine_unsynced: false, commitment: Some(hash) };
        let template = KaspaTemplate::check(&with(&text), true, &asked).unwrap();
        assert_eq!(template.commitment(), Some(hash));
        for other in ["2.1.0/pool", &format!("{text}0"), &text.replace("5a", "5b")] {
            let refused = KaspaTemplate::check(&with(other), true, &asked);
            assert!(matches!(refused, Err(NodeError::Garbage(_))), "{other}");
        }
        let unasked = Expected { commitment: None, ..asked };
        assert_eq!(KaspaTemplate::check(&with("2.1.0/pool"), true, &unasked).unwrap().commitment(), None);
    }

    proptest! {
        #[test]
        fn damaged_templates_never_panic_and_never_change_what_is_mined_for(
            place: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let mut bytes = honest().encode_to_vec();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let expected = Expected { pay_to: pay_to(), mine_unsynced: false, commitment: None };
            if let Ok(template) = KaspaTemplate::check(&bytes, true, &expected) {
                // Only what no hash covers may differ: the spelling of hexadecimal text, for one.
                prop_assert_eq!(template.pre_pow(), checked(&honest()).unwrap().pre_pow());
            }
            bytes.truncate(cut.index(bytes.len()));
            let _ = KaspaTemplate::check(&bytes, true, &expected);
        }
    }
}
