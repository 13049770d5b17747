//! JSON strings: finds the bytes that end or escape a string, and unescapes its text.

/// The number of plain bytes: up to a quote, a backslash, a control character or the end.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    // Eight bytes at a time: the high bit of a byte in `stop` means that the byte may be one of those. A byte above
    // 0x7f is not: it is part of a multi-byte character.
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let stop = (quote | backslash | control) & HIGH;
        if stop != 0 {
            // The lowest set bit is exact: borrows run only towards higher bytes.
            return bytes.len() - rest.len() + stop.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    bytes.len() - rest.len() + end.unwrap_or(rest.len())
}

/// The text of a string whose escapes the lexer has checked. `Err`: the byte offset of an escape that is half a
/// surrogate pair.
pub(super) fn unescape(inner: &str) -> Result<String, usize> {
    let mut out = String::with_capacity(inner.len());
    let mut at = 0;
    while let Some(plain) = inner[at..].find('\\') {
        out.push_str(&inner[at..at + plain]);
        at += plain;
        let (character, length) = escaped(&inner.as_bytes()[at..]).ok_or(at)?;
        out.push(character);
        at += length;
    }
    out.push_str(&inner[at..]);
    Ok(out)
}

/// The character of the escape that begins here, and its length in bytes.
fn escaped(escape: &[u8]) -> Option<(char, usize)> {
    let character = match escape.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(escape)?;
            let mut units = [first, 0];
            let paired = (0xD800..0xDC00).contains(&first);
            if paired {
                units[1] = unit(&escape[6..])?;
            }
            let units = units[..1 + usize::from(paired)].iter().copied();
            let character = char::decode_utf16(units).next()?.ok()?;
            return Some((character, if paired { 12 } else { 6 }));
        }
        itself => char::from(*itself),
    };
    Some((character, 2))
}

/// The UTF-16 code unit of an escape `\uXXXX`.
fn unit(escape: &[u8]) -> Option<u16> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}
