//! The miners' protocol of a node: length-prefixed frames on a TCP socket, pushed without being asked.
//!
//! Since node 3.6.0 a frame begins with a version byte, a job carries its height and a verdict the block's hash
//! ([`Layout::Versioned`]); before, all three were missing ([`Layout::Bare`]). A node speaks first, and its first frame
//! is always one of jobs, so the layout can be told from it: version 1 and type 0, or just type 0. Numbers are
//! big-endian. Both directions are here, because the development node writes what the pool reads.
//!
//! Source: alephium/alephium, `flow/…/mining/Message.scala` and its `MessageSpec` (vectors); the older layout from the
//! tests of alephium/gpu-miner.

use super::chain::ChainIndex;
use super::codec::{Malformed, Reader};
use super::header::{HeaderBlob, target_of_blob};
use pool_core::units::Target;

/// The longest frame that is read: sixteen jobs with all their transactions, as nodes before 2.14.1 sent them, and some.
pub const FRAME_MAX: usize = 8 << 20;
/// More jobs than this are no Jobs message.
const JOBS_MAX: u32 = 256;
/// The version of the protocol with versions.
pub const VERSION: u8 = 1;

/// Which of the two layouts a node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Node 3.6.0 and later: version byte, heights, hashes.
    Versioned,
    /// Before: none of the three.
    Bare,
}

/// A template as a node offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The chain.
    pub chain: ChainIndex,
    /// The header without its nonce.
    pub blob: HeaderBlob,
    /// What is to be sent back behind the header: one zero byte, or all transactions from nodes before 2.14.1.
    pub txs: Vec<u8>,
    /// The target.
    pub target: Target,
    /// The height of the block; 0 in the bare layout.
    pub height: u32,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromNode {
    /// The newest templates.
    Jobs(Vec<Offer>),
    /// Its verdict on a block.
    Verdict(Verdict),
}

/// What became of a block that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The chain.
    pub chain: ChainIndex,
    /// The block's hash; `None` in the bare layout.
    pub hash: Option<[u8; 32]>,
    /// Whether it was taken.
    pub taken: bool,
}

/// Collects bytes and gives whole frames back, without their length.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    read: usize,
}

impl Frames {
    /// Adds what came in.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 && self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        } else if self.read > 64 << 10 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there.
    ///
    /// # Errors
    /// [`Malformed`] for a length that no frame has: nothing behind it can be understood.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, Malformed> {
        let waiting = &self.bytes[self.read..];
        let Some((length, rest)) = waiting.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length == 0 || length > FRAME_MAX {
            return Err(Malformed("a frame of an impossible length"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let start = self.read + 4;
        self.read = start + length;
        Ok(Some(&self.bytes[start..self.read]))
    }
}

/// The layout of a node, from the first frame it sent.
///
/// # Errors
/// [`Malformed`] for a frame that begins like neither layout.
pub fn layout_of(frame: &[u8]) -> Result<Layout, Malformed> {
    match frame {
        [VERSION, 0, ..] => Ok(Layout::Versioned),
        [0, ..] => Ok(Layout::Bare),
        [_, 0 | 1, ..] => Err(Malformed("a version of the miners' protocol other than 1")),
        _ => Err(Malformed("a first frame that is not one of jobs")),
    }
}

/// The message's type byte, behind the version where there is one.
fn kind(reader: &mut Reader<'_>, layout: Layout) -> Result<u8, Malformed> {
    if layout == Layout::Versioned && reader.u8()? != VERSION {
        return Err(Malformed("a version of the miners' protocol other than 1"));
    }
    reader.u8()
}

fn chain(reader: &mut Reader<'_>) -> Result<ChainIndex, Malformed> {
    ChainIndex::of_numbers(reader.u32()?, reader.u32()?).ok_or(Malformed("a chain that does not exist"))
}

impl FromNode {
    /// Reads a frame of a node.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(frame: &[u8], layout: Layout) -> Result<Self, Malformed> {
        let mut reader = Reader::new(frame);
        let message = match kind(&mut reader, layout)? {
            0 => {
                let count = reader.u32()?;
                if count > JOBS_MAX {
                    return Err(Malformed("more jobs than chains"));
                }
                let mut offers = Vec::new();
                for _ in 0..count {
                    offers.push(Offer {
                        chain: chain(&mut reader)?,
                        blob: HeaderBlob::new(reader.sized()?)?,
                        txs: reader.sized()?.to_vec(),
                        target: target_of_blob(reader.sized()?)?,
                        height: if layout == Layout::Versioned { reader.u32()? } else { 0 },
                    });
                }
                Self::Jobs(offers)
            }
            1 => Self::Verdict(Verdict {
                chain: chain(&mut reader)?,
                hash: if layout == Layout::Versioned { Some(reader.array()?) } else { None },
                taken: match reader.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(Malformed("a verdict that is neither")),
                },
            }),
            _ => return Err(Malformed("a message of an unknown type")),
        };
        reader.end()?;
        Ok(message)
    }

    /// Appends the frame, its length first.
    pub fn write(&self, layout: Layout, out: &mut Vec<u8>) {
        frame(layout, u8::from(matches!(self, Self::Verdict(_))), out, |out| match self {
            Self::Jobs(offers) => {
                out.extend_from_slice(&(offers.len() as u32).to_be_bytes());
                for offer in offers {
                    push_chain(out, offer.chain);
                    push_sized(out, offer.blob.bytes());
                    push_sized(out, &offer.txs);
                    push_sized(out, &target_blob(offer.target));
                    if layout == Layout::Versioned {
                        out.extend_from_slice(&offer.height.to_be_bytes());
                    }
                }
            }
            Self::Verdict(verdict) => {
                push_chain(out, verdict.chain);
                if layout == Layout::Versioned {
                    out.extend_from_slice(&verdict.hash.unwrap_or_default());
                }
                out.push(u8::from(verdict.taken));
            }
        });
    }
}

/// Appends the frame that hands a block over, its length first.
pub fn write_submit(block: &[u8], layout: Layout, out: &mut Vec<u8>) {
    frame(layout, 0, out, |out| push_sized(out, block));
}

/// The block that a miner's frame hands over.
///
/// # Errors
/// [`Malformed`].
pub fn read_submit(frame: &[u8], layout: Layout) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(frame);
    if kind(&mut reader, layout)? != 0 {
        return Err(Malformed("a message of an unknown type"));
    }
    let block = reader.sized()?;
    reader.end()?;
    Ok(block)
}

fn frame(layout: Layout, kind: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if layout == Layout::Versioned {
        out.push(VERSION);
    }
    out.push(kind);
    body(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn push_chain(out: &mut Vec<u8>, chain: ChainIndex) {
    for group in [chain.from(), chain.to()] {
        out.extend_from_slice(&u32::from(group.get()).to_be_bytes());
    }
}

/// A target as nodes write it: as short as it is, and never with a sign bit.
fn target_blob(target: Target) -> Vec<u8> {
    let bytes = target.to_be_bytes();
    let start = bytes.iter().take_while(|byte| **byte == 0).count().min(31);
    let mut blob = Vec::with_capacity(33);
    if bytes[start] >= 0x80 {
        blob.push(0);
    }
    blob.extend_from_slice(&bytes[start..]);
    blob
}

#[cfg(test)]
mod tests {
    use super::*;
    use pool_core::units::U256;
    use proptest::prelude::*;

    const HASH: &str = "bdaf9dc514ce7d34b6474b8ca10a3dfb93ba997cb9d5ff1ea724ebe2af48abe5";

    fn verdict() -> FromNode {
        let mut hash = [0; 32];
        hex::decode_to_slice(HASH, &mut hash).unwrap();
        let chain = ChainIndex::of_numbers(0, 1).unwrap();
        FromNode::Verdict(Verdict { chain, hash: Some(hash), taken: true })
    }

    fn offer(place: u8, txs: Vec<u8>, target: Target) -> Offer {
        let mut blob = [place; 302];
        blob[..2].copy_from_slice(&[0, 7]);
        Offer {
            chain: ChainIndex::of_place(place).unwrap(),
            blob: HeaderBlob::new(&blob).unwrap(),
            txs,
            target,
            height: 17,
        }
    }

    #[test]
    fn published_frames_are_written_and_read() {
        let mut out = Vec::new();
        write_submit(&[0xbb, 0xbb], Layout::Versioned, &mut out);
        assert_eq!(hex::encode(&out), "00000008010000000002bbbb");
        assert_eq!(read_submit(&out[4..], Layout::Versioned), Ok(&[0xbb, 0xbb][..]));
        let mut out = Vec::new();
        verdict().write(Layout::Versioned, &mut out);
        assert_eq!(hex::encode(&out), format!("0000002b01010000000000000001{HASH}01"));
        assert_eq!(FromNode::read(&out[4..], Layout::Versioned), Ok(verdict()));

        // The published Jobs frame has a header of one byte; the pool reads whole ones only, so its frame is compared
        // around the header.
        let mut out = Vec::new();
        let mut job = offer(1, vec![0xbb], Target::new(U256::ONE));
        job.chain = ChainIndex::of_numbers(0, 1).unwrap();
        FromNode::Jobs(vec![job]).write(Layout::Versioned, &mut out);
        let written = hex::encode(&out[4..]);
        let (before, rest) = written.split_at(2 * (2 + 4 + 8));
        assert_eq!(before, "0100000000010000000000000001");
        assert_eq!(&rest[8 + 604..], "00000001bb000000010100000011");
        let published =
            hex::decode("010000000001000000000000000100000001aa00000001bb000000010100000011").unwrap();
        assert!(FromNode::read(&published, Layout::Versioned).is_err());
    }

    #[test]
    fn the_older_layout_lacks_version_height_and_hash() {
        let mut out = Vec::new();
        write_submit(&[0xbb, 0xbb], Layout::Bare, &mut out);
        assert_eq!(hex::encode(&out), "000000070000000002bbbb");
        let mut out = Vec::new();
        verdict().write(Layout::Bare, &mut out);
        assert_eq!(hex::encode(&out), "0000000a01000000000000000101");
        let read = FromNode::read(&out[4..], Layout::Bare);
        assert!(matches!(read, Ok(FromNode::Verdict(Verdict { hash: None, taken: true, .. }))), "{read:?}");
        let mut out = Vec::new();
        FromNode::Jobs(vec![offer(3, vec![0], Target::MAX)]).write(Layout::Bare, &mut out);
        assert_eq!(layout_of(&out[4..]), Ok(Layout::Bare));
        let Ok(FromNode::Jobs(offers)) = FromNode::read(&out[4..], Layout::Bare) else { panic!() };
        assert_eq!((offers[0].height, offers[0].target), (0, Target::MAX));
    }

    #[test]
    fn a_first_frame_tells_the_layout() {
        let mut out = Vec::new();
        FromNode::Jobs(vec![]).write(Layout::Versioned, &mut out);
        assert_eq!(layout_of(&out[4..]), Ok(Layout::Versioned));
        assert!(layout_of(&[2, 0, 0, 0, 0, 0]).unwrap_err().to_string().contains("version"));
        assert!(layout_of(b"SSH-2.0").is_err());
        assert!(layout_of(&[]).is_err());
    }

    #[test]
    fn frames_come_out_whole_however_they_come_in() {
        let mut stream = Vec::new();
        write_submit(&[1; 400], Layout::Bare, &mut stream);
        verdict().write(Layout::Versioned, &mut stream);
        for step in [1, 3, 64, stream.len()] {
            let mut frames = Frames::default();
            let mut lengths = Vec::new();
            for chunk in stream.chunks(step) {
                frames.push(chunk);
                while let Some(frame) = frames.next_frame().unwrap() {
                    lengths.push(frame.len());
                }
            }
            assert_eq!(lengths, [405, 43], "{step}");
        }
        let mut frames = Frames::default();
        frames.push(&[0xff; 4]);
        assert!(frames.next_frame().is_err());
        let mut frames = Frames::default();
        frames.push(&[0; 4]);
        assert!(frames.next_frame().is_err());
    }

    proptest! {
        #[test]
        fn jobs_come_back(places in proptest::collection::vec(0..16u8, 0..20), txs: Vec<u8>, target: [u8; 32], zeros in 0..33usize) {
            let mut target = target;
            target[..zeros].fill(0);
            let target = Target::from_be_bytes(target);
            let jobs = FromNode::Jobs(places.iter().map(|place| offer(*place, txs.clone(), target)).collect());
            let mut out = Vec::new();
            jobs.write(Layout::Versioned, &mut out);
            prop_assert_eq!(FromNode::read(&out[4..], Layout::Versioned), Ok(jobs));
        }

        #[test]
        fn no_frame_makes_it_panic(frame: Vec<u8>) {
            for layout in [Layout::Versioned, Layout::Bare] {
                let _ = FromNode::read(&frame, layout);
                let _ = read_submit(&frame, layout);
            }
        }
    }
}
