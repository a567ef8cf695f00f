//! The rules of the record that go beyond the recorded transcripts.
