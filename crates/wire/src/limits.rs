//! How large a message may be.

/// Bounds on one JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest text, in bytes.
    pub max_bytes: usize,
    /// The deepest nesting of objects and arrays; `{}` is 1 deep. Values above
    /// [`Limits::DEEPEST`] count as that.
    pub max_depth: usize,
}

impl Limits {
    /// The most nesting that can be asked for: the JSON reader recurses, so its stack is bounded.
    pub const DEEPEST: usize = 120;

    pub(crate) fn depth(&self) -> usize {
        self.max_depth.min(Self::DEEPEST)
    }
}

impl Default for Limits {
    /// 4 MiB and 64 levels.
    fn default() -> Self {
        Self {
            max_bytes: 4 * 1024 * 1024,
            max_depth: 64,
        }
    }
}
