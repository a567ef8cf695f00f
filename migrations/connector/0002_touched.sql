-- What is dead or old leaves the record (src/domain/connector_record/limits.rs), so ids have gaps from here on, and rows have ages.

-- Unix second in which the task was created, or its last round started.
ALTER TABLE task ADD COLUMN touched INTEGER NOT NULL DEFAULT 0;
UPDATE task SET touched = CAST(strftime('%s', 'now') AS INTEGER);

-- Nodes that left had no time of death.
UPDATE node SET alive_until = CAST(strftime('%s', 'now') AS INTEGER) - 1 WHERE alive_until = 0;

CREATE INDEX round_of_task ON round (task);
