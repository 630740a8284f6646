use kernel::Cx;

/// What a unit of work is done for. There is no default: whoever commits says so.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// A call. A change that a call asked for commits together with a note that the call has made it, so that the audit
    /// knows of it whatever becomes of the process.
    Call(&'a Cx),
    /// The program's own accounts, which no call asked for: what it counts, forgets, delivers or takes up again.
    Upkeep,
}

impl<'a> From<&'a Cx> for Cause<'a> {
    fn from(cx: &'a Cx) -> Self {
        Self::Call(cx)
    }
}
