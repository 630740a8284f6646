//! The vendor's side: the licensing PKI and minting.
