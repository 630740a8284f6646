//! Pictures where people would rather look. Each is inline SVG without styles of its own, and says in text what it shows.

mod expiry;
mod ladder;
mod meter;
mod shares;
mod timeline;

pub(crate) use expiry::Expiry;
pub(crate) use ladder::{Ladder, Step};
pub(crate) use meter::Meters;
pub(crate) use shares::{Share, Shares};
pub(crate) use timeline::Timeline;
