//! The storage that the other crates ask for, in SQLite.
