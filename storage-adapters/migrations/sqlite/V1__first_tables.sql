-- One file holds what a pool must not lose. Integers that may need more than 63 bits are 16 (or 8) big-endian bytes,
-- so that they compare as numbers; unsigned 64-bit values that nothing is ordered by keep their bits. Instants are
-- Unix milliseconds.
PRAGMA application_id = 1886351212; -- 'pool'

-- Positions that must outlive the rows they speak of.
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A worker's two names are written once; shares and sums refer to them.
CREATE TABLE workers (
    id    INTEGER PRIMARY KEY,
    miner TEXT NOT NULL,
    name  TEXT NOT NULL,
    UNIQUE (miner, name)
) STRICT;

-- The share log, in the order of its sequence: appending touches the last page only, and old shares leave by range.
CREATE TABLE shares (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    instance INTEGER NOT NULL,
    worker   INTEGER NOT NULL,
    chain    INTEGER NOT NULL,
    work     BLOB NOT NULL,
    units    BLOB NOT NULL,
    evidence BLOB NOT NULL,
    block    BLOB
) STRICT;

-- Where a block's share stands. Kept when the share is pruned: a block's share is logged once, for ever.
CREATE TABLE share_blocks (
    block BLOB PRIMARY KEY,
    seq   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    coin       TEXT NOT NULL,
    share      TEXT NOT NULL, -- JSON
    raw        BLOB NOT NULL,
    height     INTEGER NOT NULL,
    submitted  INTEGER,
    conclusion INTEGER UNIQUE,
    fate       TEXT, -- JSON
    CHECK ((conclusion IS NULL) = (fate IS NULL))
) STRICT;
CREATE INDEX blocks_open ON blocks (seq) WHERE conclusion IS NULL;

CREATE TABLE accounts (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    debits  BLOB NOT NULL,
    credits BLOB NOT NULL
) STRICT;

CREATE TABLE entries (
    seq   INTEGER PRIMARY KEY,
    cause TEXT NOT NULL UNIQUE,
    coin  TEXT NOT NULL,
    at    INTEGER NOT NULL,
    memo  TEXT NOT NULL
) STRICT;

CREATE TABLE postings (
    entry  INTEGER NOT NULL,
    line   INTEGER NOT NULL,
    debit  INTEGER NOT NULL,
    credit INTEGER NOT NULL,
    amount BLOB NOT NULL,
    PRIMARY KEY (entry, line),
    CHECK (debit <> credit)
) STRICT, WITHOUT ROWID;

-- Which entries touch an account.
CREATE TABLE touches (
    account INTEGER NOT NULL,
    entry   INTEGER NOT NULL,
    PRIMARY KEY (account, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE payouts (
    id     TEXT PRIMARY KEY,
    number BLOB NOT NULL, -- 8 bytes
    batch  TEXT NOT NULL, -- JSON
    signed TEXT, -- JSON
    fate   TEXT -- JSON
) STRICT;
CREATE INDEX payouts_by_number ON payouts (number, id);
CREATE INDEX payouts_open ON payouts (number, id) WHERE fate IS NULL;

CREATE TABLE topics (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL
) STRICT;

CREATE TABLE messages (
    topic   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (topic, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    topic    INTEGER NOT NULL,
    consumer TEXT NOT NULL,
    upto     INTEGER NOT NULL,
    PRIMARY KEY (topic, consumer)
) STRICT, WITHOUT ROWID;

CREATE TABLE miners (
    id        TEXT PRIMARY KEY,
    since     INTEGER NOT NULL,
    threshold BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE rollups (
    minute INTEGER NOT NULL,
    worker INTEGER NOT NULL,
    shares INTEGER NOT NULL,
    work   BLOB NOT NULL,
    PRIMARY KEY (minute, worker)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollups_by_worker ON rollups (worker, minute);

-- The oldest rows leave when there are too many: `id` grows with every write.
CREATE TABLE difficulties (
    id    INTEGER PRIMARY KEY,
    miner TEXT NOT NULL,
    name  TEXT NOT NULL,
    work  BLOB NOT NULL,
    UNIQUE (miner, name)
) STRICT;
