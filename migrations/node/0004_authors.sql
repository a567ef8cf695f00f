-- Who submitted a task, by the name of the token that it came with. Owners of data may have rules for authors.
ALTER TABLE dn_tasks ADD COLUMN author TEXT;
