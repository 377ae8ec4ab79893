-- What the pool told its listeners, newest last. A bounded tail and no record: the oldest rows leave with every new one.
CREATE TABLE events (
    seq   INTEGER PRIMARY KEY,
    event TEXT NOT NULL -- JSON
) STRICT;
