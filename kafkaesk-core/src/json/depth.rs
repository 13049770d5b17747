//! Input: JSON bytes. Output: whether they nest too deeply, without a full parse.

/// Whether JSON bytes nest at most `limit` levels. For bytes that are not JSON the answer is only safe, not exact:
/// after `true`, no decoder meets more than `limit` levels.
pub fn depth_within(json: &[u8], limit: usize) -> bool {
    // Chunks of 255, so that the count of one fits a byte and the loop compiles to vector instructions.
    // `[` and `{` differ in one bit from each other, and from nothing else.
    let opening: usize = json
        .chunks(255)
        .map(|chunk| usize::from(chunk.iter().map(|b| u8::from(b | 0x20 == b'{')).sum::<u8>()))
        .sum();
    opening <= limit || exact_depth_within(json, limit)
}

fn exact_depth_within(json: &[u8], limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    true
}
