//! What the roles of one process tell each other about now: shown on pages, asked by probes, never the record.

use pool_core::id::{BlockId, JobId};
use pool_core::time::Timestamp;
use pool_core::units::Target;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// The newest template, as pages show it.
#[derive(Clone, Copy, Debug)]
pub struct TemplateStatus {
    /// When it came.
    pub at: Timestamp,
    /// The job made of it.
    pub job: JobId,
    /// The network's target in it.
    pub target: Target,
    /// A height or a blue score.
    pub height: u64,
}

/// Live facts of this process.
#[derive(Debug, Default)]
pub struct Status {
    template: Mutex<Option<TemplateStatus>>,
    trouble: Mutex<Vec<(&'static str, String)>>,
    jobs: AtomicU64,
    last_block: Mutex<Option<(BlockId, Timestamp)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Status {
    /// A new template became a job; `None`: there is no work now.
    pub fn template(&self, template: Option<TemplateStatus>) {
        *locked(&self.template) = template;
        if template.is_some() {
            self.jobs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The template miners work on.
    #[must_use]
    pub fn current_template(&self) -> Option<TemplateStatus> {
        *locked(&self.template)
    }

    /// Jobs made since the start.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.jobs.load(Ordering::Relaxed)
    }

    /// The pool found a block.
    pub fn block(&self, id: BlockId, at: Timestamp) {
        *locked(&self.last_block) = Some((id, at));
    }

    /// The last block found since the start.
    #[must_use]
    pub fn last_block(&self) -> Option<(BlockId, Timestamp)> {
        *locked(&self.last_block)
    }

    /// `part` is in trouble, in words; `None`: it is well again.
    pub fn trouble(&self, part: &'static str, words: Option<String>) {
        let mut all = locked(&self.trouble);
        all.retain(|(known, _)| *known != part);
        all.extend(words.map(|words| (part, words)));
    }

    /// All parts in trouble.
    #[must_use]
    pub fn troubles(&self) -> Vec<(&'static str, String)> {
        locked(&self.trouble).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_until_it_is_over() {
        let status = Status::default();
        status.trouble("node", Some("away".into()));
        status.trouble("node", Some("still away".into()));
        status.trouble("store", Some("full".into()));
        assert_eq!(status.troubles(), [("node", "still away".to_owned()), ("store", "full".to_owned())]);
        status.trouble("node", None);
        assert_eq!(status.troubles().len(), 1);
    }
}
