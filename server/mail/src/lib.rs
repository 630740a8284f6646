//! Mail that survives restarts.
//!
//! A mail is written into the **outbox**, a table, by the unit of work that causes it: either both are there or neither.
//! Every replica delivers from it over SMTP. One replica at a time holds a mail, for as long as a delivery may take; a
//! replica that dies lets go of it by that. So a mail is delivered **at least once**, and its `Message-ID` is the same each
//! time.
//!
//! | state | means |
//! |---|---|
//! | `PENDING` | waits for its turn, or for another attempt |
//! | `SENT` | the server took it |
//! | `DEAD` | the server refused it for good, or it was not sent before it lost its meaning |
//!
//! **Invariant: a text is kept sealed, and only until its mail is settled.** Mails carry one-time tokens, so what the table
//! holds of one tells nobody its text, a settled mail has none any more, and no text is ever logged.

mod delivery;
mod outbox;
mod smtp;

pub use outbox::{Backlog, MIGRATIONS, Outbox, State};
pub use sdk::mail::Mail;
pub use smtp::{Security, Smtp, SmtpError, SmtpSettings};
