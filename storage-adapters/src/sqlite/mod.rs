//! Every port in one SQLite file, the embedded default.
//!
//! Why one file and this engine: one engine has to serve the share log, the ledger, the books and the sums; operators
//! know its backup command; and it appends durable shares nearly as fast as a raw file. How:
//!
//! - [`writer`]: one thread writes, merges what waits into one transaction and answers after the fsync;
//! - [`reader`]: a few threads read on their own connections, from committed pages only;
//! - [`lock`]: one process per data;
//! - [`schema`]: migrations, run on open under that lock;
//! - one file per port, in SQL that the other engines share where they can; events too are a table, a bounded tail that
//!   listeners read from places of their own.
//!
//! The database is in WAL mode with `synchronous = FULL`. "Durable" means here what it means to the disk: the log's
//! fsync returned.

mod block_book;
mod broker;
mod check;
mod difficulty_cache;
mod directory;
mod event_bus;
mod fault;
mod ledger;
mod lock;
mod payout_book;
mod queue;
mod reader;
mod rollups;
mod schema;
mod scribe;
mod share_log;
mod writer;

pub use check::Checked;
pub use event_bus::{SqliteEventBus, SqliteSubscription};
pub use writer::{SyncPoint, SyncWatch, WriterStats};

use crate::{HealthWatch, Migrated, OpenError};
use fault::Fault;
use lock::{LockFile, beside};
use pool_core::memory::MemoryEventBus;
use pool_core::ports::{StoreError, Stores};
use queue::Pace;
use reader::Readers;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use scribe::Scribe;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use writer::{Tuning, Writer};

/// How long the engine waits for a lock of another process (a backup tool, a shell) before a call is `Unavailable`.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Bytes the log file keeps when it starts again: it grows while a long read or a backup needs old pages.
const LOG_BYTES_KEPT: u32 = 64 * 1024 * 1024;

/// How to open a database. [`Default`] is what a pool wants.
#[derive(Clone, Debug)]
pub struct Options {
    /// The longest a share waits for others, in microseconds, while they come faster than they can be synced one by
    /// one. 0 commits whatever is there at once. At most 5 000 is used.
    pub gather_us: u64,
    /// Shares worth a commit: the wait ends when so many are there.
    pub gather_goal: usize,
    /// Shares after which one commit takes no more.
    pub group_max: usize,
    /// Threads (and connections) that read.
    pub readers: usize,
    /// The largest the database file may become, in bytes; `None`: as large as the disk allows. Reaching it is a full
    /// disk: the store is poisoned and says so.
    pub file_bytes_max: Option<u64>,
    /// Pages (of 4 KiB) in the log after which it is copied into the main file.
    pub checkpoint_pages: u64,
    /// For crash drills: called by the writer around each sync.
    pub sync_watch: Option<SyncWatch>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gather_us: 5_000,
            gather_goal: 64,
            group_max: 512,
            readers: 2,
            file_bytes_max: None,
            checkpoint_pages: 1_024,
            sync_watch: None,
        }
    }
}

/// A pool's database: implements every port that must outlive the process. Clones share it; dropping the last one
/// commits what is queued, ends the threads and releases the lock (it blocks for that, milliseconds as a rule).
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Open>);

/// Order of the fields is order of the end: reads first, then the writer, which closes the log.
#[derive(Debug)]
struct Open {
    readers: Readers,
    writer: Option<Writer>,
    path: PathBuf,
    /// Changes after every commit that told something; never without a writer.
    news: watch::Receiver<u64>,
    /// Tells what could not be written down.
    unwritten: MemoryEventBus,
}

impl SqliteStore {
    /// Opens or creates the database at `path`, alone, and brings its tables to the newest version. Creates missing
    /// directories. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process has it open; [`OpenError::NewerSchema`] for a newer program's file;
    /// else what the disk or the engine said.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        create_parents(path)?;
        let lock = LockFile::take(path)?;
        let (db, _) = open_migrated(path)?;
        let engine = |source| engine_error(path, source);
        if let Some(bytes) = options.file_bytes_max {
            let page: u64 = db
                .query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))
                .map_err(engine)?
                .cast_unsigned();
            set(&db, "max_page_count", fault::key((bytes / page.max(1)).max(1))).map_err(engine)?;
        }
        let readers = open_readers(path, options.readers)?;
        let tuning = Tuning {
            gather: Duration::from_micros(options.gather_us.min(5_000)),
            goal: options.gather_goal.max(1),
            most: options.group_max.max(1),
            checkpoint_pages: options.checkpoint_pages.max(1),
        };
        let writer = Writer::start(db, lock, tuning, options.sync_watch.clone()).map_err(|fault| {
            OpenError::Engine { path: path.to_owned(), source: Box::new(fault.of_read()) }
        })?;
        Ok(Self::of(path, readers, Some(writer)))
    }

    /// Opens an existing database for reading, also while a pool has it open: what `audit` needs. Every write is
    /// refused. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError::OlderSchema`] and [`OpenError::NewerSchema`] for another program's version.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        let db = read_connection(path)?;
        schema::require_current(&db, path)?;
        drop(db);
        Ok(Self::of(path, open_readers(path, Options::default().readers)?, None))
    }

    /// Brings the tables of the database at `path` to the newest version, creating it when it is missing, and says
    /// what was done. Opening does the same; this is for operators who want it as a step of its own.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn migrate(path: &Path) -> Result<Migrated, OpenError> {
        create_parents(path)?;
        let _lock = LockFile::take(path)?;
        let (_, migrated) = open_migrated(path)?;
        Ok(migrated)
    }

    fn of(path: &Path, readers: Readers, writer: Option<Writer>) -> Self {
        let news = writer.as_ref().map_or_else(|| watch::channel(0).1, Writer::news);
        let unwritten = MemoryEventBus::default();
        Self(Arc::new(Open { readers, writer, path: path.to_owned(), news, unwritten }))
    }

    /// All ports of this store.
    #[must_use]
    pub fn stores(&self) -> Stores {
        Stores {
            shares: Arc::new(self.clone()),
            blocks: Arc::new(self.clone()),
            ledger: Arc::new(self.clone()),
            payouts: Arc::new(self.clone()),
            broker: Arc::new(self.clone()),
            directory: Arc::new(self.clone()),
            rollups: Arc::new(self.clone()),
            difficulty: Arc::new(self.clone()),
            events: Arc::new(self.event_bus()),
        }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether writes are still taken, and a way to wait for the change. For `/readyz` and alarms.
    #[must_use]
    pub fn health(&self) -> HealthWatch {
        match &self.0.writer {
            Some(writer) => HealthWatch::of(writer.health()),
            None => HealthWatch::always_sound(),
        }
    }

    /// What the writer did so far; all zero for a store opened for reading.
    #[must_use]
    pub fn stats(&self) -> WriterStats {
        self.0.writer.as_ref().map(Writer::stats).unwrap_or_default()
    }

    /// Writes a whole, consistent copy to `to`, which must not exist, while the pool goes on. The copy is synced before
    /// it gets its name. Meanwhile the log cannot shrink.
    ///
    /// # Errors
    /// `Conflict` when `to` exists; else [`StoreError`].
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let (from, to) = (self.0.path.clone(), to.to_owned());
        let (done, result) = tokio::sync::oneshot::channel();
        // On a thread of its own: a copy takes as long as the file is large, and readers are few.
        let spawned = std::thread::Builder::new().name("sqlite-backup".into()).spawn(move || {
            let _ = done.send(back_up(&from, &to));
        });
        spawned.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the copying thread ended".into())))
    }

    async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.0.readers.read(read).await
    }

    async fn write<T, F>(&self, weight: usize, pace: Pace, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scribe) -> Result<T, Fault> + Send + 'static,
    {
        match &self.0.writer {
            Some(writer) => writer.write(weight, pace, work).await,
            None => Err(StoreError::Poisoned("opened for reading only".into())),
        }
    }
}

/// The write connection, set up and migrated. Needs the lock.
fn open_migrated(path: &Path) -> Result<(Connection, Migrated), OpenError> {
    let engine = |source| engine_error(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut db = Connection::open_with_flags(path, flags).map_err(engine)?;
    db.busy_timeout(BUSY_WAIT).map_err(engine)?;
    // Before the first write to it: a stranger's file must be left as it is.
    schema::version(&db, path)?;
    (|| {
        // A log that a failed start left behind must not be thrown away by closing the connection.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            let refused = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            let why = format!("write-ahead logging is not possible here (journal mode {mode})");
            return Err(rusqlite::Error::SqliteFailure(refused, Some(why)));
        }
        set(&db, "synchronous", "FULL")?;
        set(&db, "fullfsync", true)?;
        set(&db, "checkpoint_fullfsync", true)?;
        set(&db, "wal_autocheckpoint", 0)?;
        set(&db, "journal_size_limit", LOG_BYTES_KEPT)?;
        set(&db, "temp_store", "MEMORY")?;
        set(&db, "mmap_size", 0)?; // an I/O error must be an error, not a signal
        set(&db, "cache_size", -32_768)?; // KiB
        set(&db, "cell_size_check", true)?;
        set(&db, "trusted_schema", false)
    })()
    .map_err(engine)?;
    let migrated = schema::migrate(&mut db, path)?;
    Ok((db, migrated))
}

fn open_readers(path: &Path, count: usize) -> Result<Readers, OpenError> {
    let connections = (0..count.max(1)).map(|_| read_connection(path)).collect::<Result<Vec<_>, _>>()?;
    Readers::start(connections).map_err(|source| OpenError::Io {
        what: "start a reader of",
        path: path.to_owned(),
        source,
    })
}

fn read_connection(path: &Path) -> Result<Connection, OpenError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    (|| {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY_WAIT)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        set(&db, "mmap_size", 0)?;
        set(&db, "cache_size", -8_192)?;
        set(&db, "temp_store", "MEMORY")?;
        set(&db, "trusted_schema", false)?;
        db.set_prepared_statement_cache_capacity(64);
        Ok(db)
    })()
    .map_err(|source| engine_error(path, source))
}

/// Sets a pragma, whether or not it answers.
fn set(db: &Connection, pragma: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    db.pragma_update(None, pragma, value)
}

/// Missing directories above `path`, synced, so that the first shares do not vanish with them.
fn create_parents(path: &Path) -> Result<(), OpenError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    let failed = |source| OpenError::Io { what: "create the directory", path: parent.to_owned(), source };
    let missing = parent.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).count();
    fs::create_dir_all(parent).map_err(failed)?;
    for made in parent.ancestors().take(missing) {
        sync_directory_of(made).map_err(failed)?;
    }
    Ok(())
}

/// Syncs the directory that holds `path`, so that its name survives.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => return Ok(()),
    };
    if cfg!(unix) { File::open(parent)?.sync_all() } else { Ok(()) }
}

fn back_up(from: &Path, to: &Path) -> Result<(), StoreError> {
    let unavailable = |error: io::Error| StoreError::Unavailable(Box::new(error));
    if to.exists() {
        return Err(StoreError::Conflict(format!("{} exists", to.display())));
    }
    let partial = beside(to, ".partial");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unavailable(error)),
        _ => {}
    }
    let name = partial
        .to_str()
        .ok_or_else(|| StoreError::Conflict(format!("{} is not UTF-8", partial.display())))?;
    let db = read_connection(from).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    db.execute("VACUUM INTO ?1", [name]).map_err(|error| Fault::Broken(error).of_read())?;
    File::open(&partial).and_then(|file| file.sync_all()).map_err(unavailable)?;
    fs::rename(&partial, to).map_err(unavailable)?;
    sync_directory_of(to).map_err(unavailable)
}

/// What the engine said, with the path; a file that is no database at all has its own answer.
fn engine_error(path: &Path, source: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => OpenError::NotAPoolDatabase { path },
        _ => OpenError::Engine { path, source: Box::new(source) },
    }
}
