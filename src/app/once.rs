//! How a statement comes onto the record that may stand there once: the one rule, for all of them.
//!
//! An answer may be lost, and what was asked for may still come onto the record later: on a blockchain a transaction is mined whatever
//! became of its caller, and a second one of the same kind is taken back. So nobody believes an answer alone. After an uncertain one
//! (time-out, lost connection, restart) the record is looked at before anything is put there again; after a refusal it is looked at
//! whether the statement stands there all the same; and where an earlier try may still be on its way, it is looked at again and again.
//! The caller decides for how long: it drops the future, or says [`Statement::wait_to_look`] no.

mod calls;
#[cfg(test)]
mod tests;

pub(crate) use calls::{Call, Lead, OnRecord, wait_to_look};

/// What the record says of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing stands in its place, as far as can be seen.
    Absent,
    /// This very statement stands there.
    There,
    /// Something else stands in its place, and will stay there.
    Another,
}

impl Standing {
    /// [`Self::There`] where it does, [`Self::Absent`] where it does not.
    #[must_use]
    pub fn there(stands: bool) -> Self {
        if stands { Self::There } else { Self::Absent }
    }

    /// What is said in the place of a statement, against the statement.
    #[must_use]
    pub fn of<T: PartialEq>(said: Option<&T>, wanted: &T) -> Self {
        match said {
            None => Self::Absent,
            Some(said) if said == wanted => Self::There,
            Some(_) => Self::Another,
        }
    }
}

/// A statement that may stand on record once.
#[expect(
    async_fn_in_trait,
    reason = "a statement is a concrete type where it is put on record: whether its futures are Send is seen there"
)]
pub trait Statement {
    /// What is known of a statement that was put on record now.
    type Receipt;
    /// Why an act failed.
    type Error;

    /// Whether the other side has understood and said no.
    fn is_refusal(error: &Self::Error) -> bool;

    /// Looks what the record says of it.
    async fn look(&mut self) -> Result<Standing, Self::Error>;

    /// Puts it there.
    async fn put(&mut self) -> Result<Self::Receipt, Self::Error>;

    /// Waits before it is looked at once more after a refusal, the time number `looks`, from 1; false: nobody looks any more.
    async fn wait_to_look(&mut self, looks: u32) -> bool;
}

/// How a statement came to stand on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put<R> {
    /// By this try.
    Now(R),
    /// By an earlier one, or one whose answer said something else.
    Found,
}

impl<R> Put<R> {
    /// What is known of this try, if it was this one.
    pub fn now(self) -> Option<R> {
        match self {
            Self::Now(receipt) => Some(receipt),
            Self::Found => None,
        }
    }
}

/// Puts a statement on record, unless it stands there. `again` is true when an earlier try may have taken effect, or may yet.
///
/// # Errors
/// The statement's: a refusal that the record bears out, and otherwise what leaves it uncertain; then it is to be tried again with `again`.
pub async fn once<S: Statement>(
    statement: &mut S,
    again: bool,
) -> Result<Put<S::Receipt>, S::Error> {
    // Something else in its place is for the other side to speak of: it has the words.
    if again && statement.look().await? == Standing::There {
        return Ok(Put::Found);
    }
    let refusal = match statement.put().await {
        Ok(receipt) => return Ok(Put::Now(receipt)),
        Err(e) if S::is_refusal(&e) => e,
        Err(e) => return Err(e),
    };
    let mut looks = 0;
    loop {
        match statement.look().await? {
            Standing::There => return Ok(Put::Found),
            Standing::Another => return Err(refusal),
            Standing::Absent => {}
        }
        looks += 1;
        if !again || !statement.wait_to_look(looks).await {
            return Err(refusal);
        }
    }
}
