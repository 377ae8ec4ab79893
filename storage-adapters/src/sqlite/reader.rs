//! Threads that read, each with its own read-only connection, so that a page's query never waits for the disk's sync
//! and never delays a share.
//!
//! Own threads and not a runtime's blocking pool: the store works under any executor, and prepared statements live as
//! long as their thread.

use super::fault::Fault;
use pool_core::ports::StoreError;
use rusqlite::{Connection, InterruptHandle};
use std::fmt::{Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use tokio::sync::{Semaphore, oneshot};

/// Reads that may wait for a connection; beyond it callers wait before they are queued.
const WAITING_MAX: usize = 1_024;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The read side. Dropping it interrupts what is being read and ends the threads.
pub(super) struct Readers {
    queue: Option<mpsc::Sender<Read>>,
    room: Arc<Semaphore>,
    interrupts: Vec<InterruptHandle>,
    threads: Vec<JoinHandle<()>>,
}

impl Debug for Readers {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Readers {
    /// One thread per connection.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (queue, reads) = mpsc::channel::<Read>();
        let reads = Arc::new(Mutex::new(reads));
        let mut readers = Self {
            queue: Some(queue),
            room: Arc::new(Semaphore::new(WAITING_MAX)),
            interrupts: Vec::new(),
            threads: Vec::new(),
        };
        for db in connections {
            readers.interrupts.push(db.get_interrupt_handle());
            let reads = Arc::clone(&reads);
            let thread = thread::Builder::new().name("sqlite-reader".into()).spawn(move || {
                loop {
                    let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match next {
                        Ok(read) => read(&db),
                        Err(mpsc::RecvError) => break,
                    }
                }
            })?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` on one of the connections.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let room = Arc::clone(&self.room)
            .acquire_owned()
            .await
            .expect("the semaphore lives as long as its handle and is never closed");
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |db| {
            let _room = room;
            // Nobody waits any more: nothing to read.
            if !reply.is_closed() {
                let _ = reply.send(read(db).map_err(Fault::of_read));
            }
        });
        let gone = || StoreError::Unavailable("the reader has stopped".into());
        self.queue.as_ref().ok_or_else(gone)?.send(read).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for interrupt in &self.interrupts {
            interrupt.interrupt();
        }
        for thread in self.threads.drain(..) {
            // A read that panicked was reported to its caller as a stopped reader.
            let _ = thread.join();
        }
    }
}
