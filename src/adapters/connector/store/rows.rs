//! Values as they stand in the rows, both ways. What comes back is checked like remote input.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{OP, damaged};
use delta_domain::connector_record::{ChangeError, SecretKind, Status, UploadKind};
use delta_ports::{PortError, PortErrorKind};

pub(super) fn upload_text(kind: UploadKind) -> &'static str {
    match kind {
        UploadKind::Commitment(SecretKind::Seed) => "seed_commitment",
        UploadKind::Commitment(SecretKind::SecretKey) => "secret_key_commitment",
        UploadKind::Share(SecretKind::Seed) => "seed",
        UploadKind::Share(SecretKind::SecretKey) => "secret_key",
    }
}

pub(super) fn upload_kind(text: &str) -> Result<UploadKind, PortError> {
    Ok(match text {
        "seed_commitment" => UploadKind::Commitment(SecretKind::Seed),
        "secret_key_commitment" => UploadKind::Commitment(SecretKind::SecretKey),
        "seed" => UploadKind::Share(SecretKind::Seed),
        "secret_key" => UploadKind::Share(SecretKind::SecretKey),
        _ => return Err(damaged(ChangeError("unknown kind of upload"))),
    })
}

pub(super) fn row_id(index: usize) -> Result<i64, PortError> {
    i64::try_from(index).map_err(|_| damaged(ChangeError("too many rows")))
}

pub(super) fn seconds(unix: u64) -> i64 {
    i64::try_from(unix).unwrap_or(i64::MAX)
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, PortError> {
    serde_json::to_string(value).map_err(|e| {
        PortError::new(PortErrorKind::Internal, OP, "a list could not be encoded").with_source(e)
    })
}

pub(super) fn get<'r, T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
    row: &'r SqliteRow,
    column: usize,
) -> Result<T, PortError> {
    row.try_get(column).map_err(|e| {
        PortError::new(PortErrorKind::Corrupt, OP, "the record is damaged").with_source(e)
    })
}

pub(super) fn text(row: &SqliteRow, column: usize) -> Result<String, PortError> {
    get(row, column)
}

pub(super) fn place(row: &SqliteRow, column: usize) -> Result<usize, PortError> {
    usize::try_from(get::<i64>(row, column)?).map_err(|_| damaged(ChangeError("negative row id")))
}

pub(super) fn status(row: &SqliteRow, column: usize) -> Result<Status, PortError> {
    Status::from_code(get(row, column)?).ok_or_else(|| damaged(ChangeError("unknown status")))
}
