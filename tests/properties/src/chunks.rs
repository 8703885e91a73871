//! Ways to cut a text.

/// The text whole, byte by byte, and in two ways of uneven pieces that the text itself chooses: so an input is only the
/// text, readable and comparable, and the fuzzer still reaches every place to cut.
pub(crate) fn cuts(text: &[u8]) -> Vec<Vec<&[u8]>> {
    vec![
        vec![text],
        text.chunks(1).collect(),
        uneven(text, 3),
        uneven(text, 17),
    ]
}

fn uneven(text: &[u8], longest: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut state = text.iter().fold(longest, |state, byte| {
        state.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    while !rest.is_empty() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let len = (state >> 33) % longest + 1;
        let (piece, tail) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
