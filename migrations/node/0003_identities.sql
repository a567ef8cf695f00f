-- Who was seen at which address: the document that proved a key (JSON), and one with another key, which waits for the owner's word.
CREATE TABLE dn_identities (
    address    TEXT PRIMARY KEY, -- in lower case
    document   BLOB    NOT NULL,
    changed    BLOB,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL
) STRICT;
