//! What waits to be sent on one connection: replies in order, and at most one job.
//!
//! A job that is already outdated is worth nothing, so a newer one takes the place of an older one of which no byte
//! has left. Replies are never dropped: when they outgrow the bound, the connection ends. Everything is handed to the
//! socket in one vectored write, jobs as the bytes that all connections share. Empty, it owns no memory.

use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// The most pieces there can be: a job half sent, replies, a job, replies.
pub(super) const PIECES_MAX: usize = 4;

/// Replies past the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overfull;

#[derive(Debug)]
enum Piece {
    Replies(Vec<u8>),
    Job(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Replies(bytes) => bytes,
            Self::Job(bytes) => bytes,
        }
    }
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that have left.
    sent: usize,
    /// Bytes of all pieces that have not.
    unsent: usize,
}

impl SendQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Queues bytes that must arrive.
    pub(super) fn reply(&mut self, bytes: &[u8], bytes_max: usize) -> Result<(), Overfull> {
        if self.unsent.saturating_add(bytes.len()) > bytes_max {
            return Err(Overfull);
        }
        self.unsent += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Replies(replies)) => replies.extend_from_slice(bytes),
            Some(Piece::Job(_)) | None => self.pieces.push_back(Piece::Replies(bytes.to_vec())),
        }
        Ok(())
    }

    /// Queues a job in place of an older one that has not begun to leave. True when one was replaced.
    pub(super) fn job(&mut self, bytes: Bytes) -> bool {
        let first_whole = usize::from(self.sent > 0);
        let old = (first_whole..self.pieces.len()).find(|at| matches!(self.pieces[*at], Piece::Job(_)));
        if let Some(at) = old {
            let gone = self.pieces.remove(at).expect("the index was just found");
            self.unsent -= gone.bytes().len();
            self.join(at);
        }
        self.unsent += bytes.len();
        self.pieces.push_back(Piece::Job(bytes));
        old.is_some()
    }

    /// Makes one piece of replies that have become neighbours at `at`.
    fn join(&mut self, at: usize) {
        if at == 0 || at >= self.pieces.len() {
            return;
        }
        if let (Piece::Replies(_), Piece::Replies(_)) = (&self.pieces[at - 1], &self.pieces[at])
            && let Some(Piece::Replies(behind)) = self.pieces.remove(at)
            && let Piece::Replies(before) = &mut self.pieces[at - 1]
        {
            before.extend_from_slice(&behind);
        }
    }

    /// The unsent bytes, in order, for a vectored write. Returns how many of `slices` were filled.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; PIECES_MAX]) -> usize {
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let skip = if filled == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(&piece.bytes()[skip..]);
            filled += 1;
        }
        filled
    }

    /// Notes that `len` bytes have left.
    pub(super) fn advance(&mut self, mut len: usize) {
        self.unsent = self.unsent.saturating_sub(len);
        while let Some(first) = self.pieces.front() {
            let left = first.bytes().len() - self.sent;
            if len < left {
                self.sent += len;
                return;
            }
            len -= left;
            self.sent = 0;
            self.pieces.pop_front();
        }
        // Nothing waits: give the memory back, most connections are idle most of the time.
        self.pieces = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(queue: &SendQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let filled = queue.slices(&mut slices);
        slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn the_newest_job_wins_and_replies_keep_their_order() {
        let mut queue = SendQueue::default();
        queue.reply(b"a", 100).unwrap();
        assert!(!queue.job(Bytes::from_static(b"[1]")));
        queue.reply(b"b", 100).unwrap();
        assert!(queue.job(Bytes::from_static(b"[2]")));
        queue.reply(b"c", 100).unwrap();
        assert_eq!(all(&queue), b"ab[2]c");
    }

    #[test]
    fn a_job_that_began_to_leave_is_finished() {
        let mut queue = SendQueue::default();
        queue.job(Bytes::from_static(b"[1]"));
        queue.advance(1);
        assert!(!queue.job(Bytes::from_static(b"[2]")));
        assert!(queue.job(Bytes::from_static(b"[3]")));
        assert_eq!(all(&queue), b"1][3]");
        queue.advance(5);
        assert!(queue.is_empty());
        assert_eq!(queue.pieces.capacity(), 0);
    }

    #[test]
    fn replies_past_the_bound_are_refused() {
        let mut queue = SendQueue::default();
        assert_eq!(queue.reply(b"12345", 5), Ok(()));
        assert_eq!(queue.reply(b"6", 5), Err(Overfull));
        queue.advance(1);
        assert_eq!(queue.reply(b"6", 5), Ok(()));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Reply(u8, usize),
        Job(usize),
        Send(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (any::<u8>(), 1usize..9).prop_map(|(byte, len)| Step::Reply(byte | 0x80, len)),
            (1usize..9).prop_map(Step::Job),
            (0usize..20).prop_map(Step::Send),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn every_reply_arrives_in_order_jobs_arrive_whole_and_the_last_job_arrives(steps in steps()) {
            let mut queue = SendQueue::default();
            let (mut wire, mut replies, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
            let send = |queue: &mut SendQueue, wire: &mut Vec<u8>, len: usize| {
                let waiting = all(queue);
                let len = len.min(waiting.len());
                wire.extend_from_slice(&waiting[..len]);
                queue.advance(len);
            };
            for step in steps {
                match step {
                    Step::Reply(byte, len) => {
                        queue.reply(&vec![byte; len], usize::MAX).unwrap();
                        replies.extend(vec![byte; len]);
                    }
                    Step::Job(len) => {
                        // Each job has its own byte, below those of replies.
                        let job = vec![u8::try_from(jobs.len()).unwrap(); len];
                        queue.job(Bytes::from(job.clone()));
                        jobs.push(job);
                    }
                    Step::Send(len) => send(&mut queue, &mut wire, len),
                }
                prop_assert!(queue.pieces.len() <= PIECES_MAX);
                prop_assert_eq!(queue.unsent(), all(&queue).len());
            }
            send(&mut queue, &mut wire, usize::MAX);
            prop_assert!(queue.is_empty());
            let (sent_replies, sent_jobs): (Vec<u8>, Vec<u8>) = wire.iter().partition(|byte| **byte >= 0x80);
            prop_assert_eq!(sent_replies, replies);
            let mut rest = &sent_jobs[..];
            for job in &jobs {
                rest = rest.strip_prefix(&job[..]).unwrap_or(rest);
            }
            prop_assert!(rest.is_empty(), "a part of a job, or jobs out of order: {sent_jobs:?}");
            prop_assert!(jobs.last().is_none_or(|last| sent_jobs.ends_with(last)));
        }
    }
}
