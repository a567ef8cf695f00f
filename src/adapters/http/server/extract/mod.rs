//! From bytes to checked values: bodies, query strings, forms and JSON, each bounded in size and time. Knows no endpoint.

pub(crate) mod body;
pub(crate) mod json;
pub(crate) mod multipart;
pub(crate) mod query;
pub(crate) mod validation;
