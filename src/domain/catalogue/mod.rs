//! The catalogue of a node: what its owner publishes about its datasets, signed, so that authors know what is there before they ask.
//!
//! [`Said`] is what the owner says about one dataset in the rules' file; [`Listing`] is what others read of it; [`SignedCatalogue`] is all
//! listings of a node under its long-term key. Exact byte forms are in docs/protocol/identity.md, Catalogue; owners read docs/data.md.
//!
//! What must stay true: nothing stands in a listing that the owner has not written or asked for by name; what is hidden from tasks never
//! does; no number in it is taken from data but the count of rows, rounded to one digit; a value has exactly one signed form, and every
//! length is bounded.

mod document;
mod listing;
mod plain;
mod rows;
mod said;
#[cfg(feature = "schema")]
mod schema;
#[cfg(test)]
mod tests;

pub use document::{
    Catalogue, CatalogueFault, CatalogueForm, DRIVERS, MAX_CATALOGUE_BYTES, SignedCatalogue,
};
pub use listing::{
    Column, ColumnType, Listing, ListingError, MAX_COLUMNS, MAX_DATASETS, MAX_LEVELS, Samples,
    Terms,
};
pub use plain::Plain;
pub use rows::{FEWEST_TOLD, Rows};
pub use said::{ColumnForm, ColumnsForm, EndForm, LevelForm, Outline, Said, SaidForm, SamplesForm};
#[cfg(feature = "schema")]
pub(crate) use schema::Beside;
