//! Percent-encoding: writes any bytes with RFC 3986's unreserved characters, for HTTP headers, and reads them back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// Everything but letters, digits, `-`, `.`, `_` and `~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Encodes; the result is ASCII and safe in a header's name and value.
pub fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

/// Decodes what [`encode`] wrote. A `%` without two hexadecimal digits stays as it is.
pub fn decode(text: &str) -> Vec<u8> {
    percent_decode(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_unreserved_characters_pass() {
        assert_eq!(encode("user-7~a_b.c".as_bytes()), "user-7~a_b.c");
        assert_eq!(encode("a b\r\n%é".as_bytes()), "a%20b%0D%0A%25%C3%A9");
    }

    proptest! {
        #[test]
        fn every_key_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = encode(&bytes);
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(decode(&text), bytes);
        }
    }
}
