//! The connector's calls as wire messages: each RPC is declared once, and both directions come from the declaration.
//!
//! [`rpc!`] says which request message stands for which [`Command`], [`reply!`] which reply message for which [`Answer`]; a
//! declaration serves as pattern in one direction and as expression in the other. What is not the same both ways is written out
//! beside them. The client (`client/calls.rs`) and the server (`server/services.rs`) only say which RPC goes with which method.
//!
//! With `pb.rs`, these files are the only ones that see wire messages and the record together.

pub(crate) mod datahub;
pub(crate) mod events;
pub(crate) mod hlr;
pub(crate) mod identity;
pub(crate) mod method;
pub(crate) mod rounds;
pub(crate) mod shares;
pub(crate) mod tasks;
#[cfg(test)]
pub(crate) mod tests;

use tonic::Status;

use super::pb::transaction::Transaction;
use delta_domain::connector_record::{Answer, Command};
use delta_ports::connector::Receipt;

/// One RPC: its request message as a command, both ways.
///
/// A call that both task services have is a value that holds the kind of task; another call is a unit.
pub(crate) trait Rpc: Send {
    /// The request message.
    type Request: prost::Message;
    /// The reply message.
    type Reply: Reply;

    /// What `request` asks of the record.
    fn command(&self, request: Self::Request) -> Command;

    /// The request that asks for `command`; `None` when the command is another call.
    fn request(&self, command: Command) -> Option<Self::Request>;
}

/// A reply message as what a call answers, both ways.
pub(crate) trait Reply: Sized {
    /// What this reply says.
    ///
    /// # Errors
    /// `DATA_LOSS` when it says something that the record cannot say.
    fn receipt(self) -> Result<Receipt, Status>;

    /// The reply that says `receipt`; `None` when that is the answer of another call.
    fn of(receipt: Receipt) -> Option<Self>;
}

/// Declares RPCs: `Name: RequestMessage { .. } = CommandVariant { .. } => ReplyMessage;`.
///
/// `Name in kind: ..` declares one that both task services have; the command says under `kind` in which of them.
macro_rules! rpc {
    () => {};
    (
        $name:ident in $kind:ident: $message:ident $fields:tt = $variant:ident $parts:tt => $reply:ty;
        $($more:tt)*
    ) => {
        pub(crate) struct $name(pub(crate) delta_domain::task::TaskKind);

        impl $crate::convert::Rpc for $name {
            type Request = $message;
            type Reply = $reply;

            fn command(&self, $message $fields: $message) -> Command {
                let $kind = self.0;
                Command::$variant $parts
            }

            fn request(&self, command: Command) -> Option<$message> {
                match command {
                    Command::$variant $parts if $kind == self.0 => Some($message $fields),
                    _ => None,
                }
            }
        }

        $crate::convert::rpc! { $($more)* }
    };
    (
        $name:ident: $message:ident $fields:tt = $variant:ident $parts:tt => $reply:ty;
        $($more:tt)*
    ) => {
        pub(crate) struct $name;

        impl $crate::convert::Rpc for $name {
            type Request = $message;
            type Reply = $reply;

            fn command(&self, $message $fields: $message) -> Command {
                Command::$variant $parts
            }

            fn request(&self, command: Command) -> Option<$message> {
                match command {
                    Command::$variant $parts => Some($message $fields),
                    _ => None,
                }
            }
        }

        $crate::convert::rpc! { $($more)* }
    };
}
pub(crate) use rpc;

/// Declares replies: `Message { .. } = Receipt { .. };` for a call that changes the record, `Message { .. } = Answer::..;` for a read.
macro_rules! reply {
    () => {};
    ($message:ident $fields:tt = Receipt $receipt:tt; $($more:tt)*) => {
        impl $crate::convert::Reply for $message {
            fn receipt(self) -> Result<Receipt, tonic::Status> {
                let $message $fields = self;
                Ok(Receipt $receipt)
            }

            fn of(receipt: Receipt) -> Option<Self> {
                match receipt {
                    Receipt $receipt => Some($message $fields),
                    _ => None,
                }
            }
        }

        $crate::convert::reply! { $($more)* }
    };
    ($message:ident $fields:tt = Answer::$answer:ident $parts:tt; $($more:tt)*) => {
        impl $crate::convert::Reply for $message {
            fn receipt(self) -> Result<Receipt, tonic::Status> {
                let $message $fields = self;
                Ok($crate::convert::read(Answer::$answer $parts))
            }

            fn of(receipt: Receipt) -> Option<Self> {
                match receipt.answer {
                    Answer::$answer $parts => Some($message $fields),
                    _ => None,
                }
            }
        }

        $crate::convert::reply! { $($more)* }
    };
}
pub(crate) use reply;

reply! {
    Transaction { tx_hash } = Receipt { tx_hash, answer: Answer::Done };
}

/// What a call answers that leaves no transaction.
fn read(answer: Answer) -> Receipt {
    Receipt {
        tx_hash: String::new(),
        answer,
    }
}
