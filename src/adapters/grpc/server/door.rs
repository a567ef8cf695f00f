//! Who may act for whom at this connector: the one place that decides it.
//!
//! An address that is the hash of a key is that key's: whoever acts for it signs, whatever the door. All other addresses, which a connector makes of
//! urls, belong to clients that do not sign; they are served only where the door is open.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

use crate::convert::method::method_of;
use crate::signature::TIME;
use delta_domain::connector_record::Command;
use delta_domain::identity::{
    CallFault, Fingerprint, ReplayLimits, ReplayWindow, SignedCall, is_key_address,
};
use delta_domain::ids::Digest;
use delta_ports::clock::Clock;

/// The door of a served record. Clones are one door, which hears no call twice.
#[derive(Clone)]
pub struct Door {
    open: bool,
    /// Whether signatures mean anything here.
    reads: bool,
    clock: Arc<dyn Clock>,
    heard: Arc<Mutex<ReplayWindow>>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// `open`: clients that do not sign are served too, under addresses made of their urls, which are nobody's in particular.
    #[must_use]
    pub fn new(open: bool, clock: Arc<dyn Clock>) -> Self {
        let heard = ReplayWindow::new(ReplayLimits::default(), clock.now());
        Self {
            open,
            reads: true,
            clock,
            heard: Arc::new(Mutex::new(heard)),
        }
    }

    /// As the reference's connector: it knows no signatures, and believes what it is told. For trials.
    #[must_use]
    pub fn of_the_reference(clock: Arc<dyn Clock>) -> Self {
        Self {
            reads: false,
            ..Self::new(true, clock)
        }
    }

    /// The call as it may be executed. With a signature comes the digest of the request's message.
    ///
    /// # Errors
    /// UNAUTHENTICATED without a signature that is needed, or with one that does not hold; PERMISSION_DENIED for another's address.
    pub(super) fn admit(
        &self,
        command: Command,
        signed: Option<(SignedCall, Digest)>,
    ) -> Result<Command, Status> {
        if !self.reads {
            return Ok(command);
        }
        let who = match signed {
            Some((call, body)) if acts(&command) => {
                Some(self.caller(&call, &method_of(&command), &body)?)
            }
            _ => None,
        };
        match (command, who) {
            (Command::Join { url, name }, Some(who)) => Ok(Command::JoinAs {
                address: who.address().to_string(),
                url,
                name,
            }),
            (Command::JoinAs { .. }, _) => Err(Status::internal("no call of the wire is this one")),
            (command, who) => {
                let free = self.open || !acts(&command);
                let actor = command.actor();
                match (actor, who) {
                    (Some(actor), Some(who)) if actor == who.address().as_str() => Ok(command),
                    (Some(actor), Some(who)) => Err(Status::permission_denied(format!(
                        "the call acts for {} and is signed by the key of {}",
                        shortened(actor),
                        who.address()
                    ))),
                    (Some(actor), None) if is_key_address(actor) => Err(unsigned()),
                    (_, None) if !free => Err(unsigned()),
                    _ => Ok(command),
                }
            }
        }
    }

    /// Who listens: the key's address, or what a client says of itself where the door is open.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub(super) fn listener(
        &self,
        claimed: String,
        signed: Option<SignedCall>,
        method: &str,
        body: &Digest,
    ) -> Result<String, Status> {
        if !self.reads {
            return Ok(claimed);
        }
        match signed {
            Some(call) => Ok(self.caller(&call, method, body)?.address().to_string()),
            None if self.open && !is_key_address(&claimed) => Ok(claimed),
            None => Err(unsigned()),
        }
    }

    fn caller(
        &self,
        call: &SignedCall,
        method: &str,
        body: &Digest,
    ) -> Result<Fingerprint, Status> {
        let who = call
            .verify(method, body)
            .map_err(|_| Status::unauthenticated("the call's signature does not hold"))?;
        let now = self.clock.now();
        // After the signature: nobody can use up another's calls.
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.admit(who, call, now) {
            Ok(()) => Ok(who),
            Err(fault @ CallFault::Repeated) => Err(Status::unauthenticated(fault.to_string())),
            Err(fault @ CallFault::Clock) => {
                let mut status = Status::unauthenticated(fault.to_string());
                if let Ok(time) = now.0.to_string().parse() {
                    status.metadata_mut().insert(TIME, time);
                }
                Err(status)
            }
        }
    }
}

/// Whether the call changes the record in somebody's name.
fn acts(command: &Command) -> bool {
    !command.is_read()
}

fn unsigned() -> Status {
    Status::unauthenticated(
        "this call must be signed by the key of the address that it acts for; a client that cannot sign is served where connector.open is true, under an address of its own",
    )
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
