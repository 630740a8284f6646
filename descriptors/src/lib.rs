//! What a command asks, what is sold, what is held, why not: pure data.
