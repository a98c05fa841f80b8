//! Strict base64: the standard alphabet, padded, and only what encoding would give back.

use crate::arena::Arena;

const BAD: u8 = 0xff;
const DECODE: [u8; 256] = {
    let mut table = [BAD; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// Append the bytes that `text` stands for; `None` (and nothing appended) when it is not base64.
pub fn decode(text: &[u8], out: &mut Arena) -> Option<()> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    if text.is_empty() {
        return Some(());
    }
    let before = out.len();
    let result = decode_quads(text, out);
    if result.is_none() {
        out.truncate(before);
    }
    result
}

fn decode_quads(text: &[u8], out: &mut Arena) -> Option<()> {
    let (body, last) = text.split_at(text.len() - 4);
    for quad in body.chunks_exact(4) {
        let bits = bits_of(quad)?;
        out.extend(&bits.to_be_bytes()[1..]);
    }
    let padding = last.iter().rev().take_while(|&&byte| byte == b'=').count();
    let mut quad = [0u8; 4];
    quad.copy_from_slice(last);
    match padding {
        0 => {}
        1 => quad[3] = b'A',
        2 => (quad[2], quad[3]) = (b'A', b'A'),
        _ => return None,
    }
    let bits = bits_of(&quad)?;
    let unused = bits & [0, 0xff, 0xffff][padding];
    if unused != 0 {
        return None; // bits that encoding would not have set
    }
    out.extend(&bits.to_be_bytes()[1..4 - padding]);
    Some(())
}

#[inline]
fn bits_of(quad: &[u8]) -> Option<u32> {
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| DECODE[quad[i] as usize]);
    if (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    Some((a as u32) << 18 | (b as u32) << 12 | (c as u32) << 6 | d as u32)
}

/// Append the base64 text of some bytes.
pub fn encode(bytes: &[u8], out: &mut Arena) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let bits =
            (chunk[0] as u32) << 16 | (*chunk.get(1).unwrap_or(&0) as u32) << 8 | *chunk.get(2).unwrap_or(&0) as u32;
        for i in 0..4 {
            let symbol = ALPHABET[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { symbol } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_gives_back_what_was_encoded() {
        for length in 0..20u8 {
            let bytes: Vec<u8> = (0..length).map(|i| i.wrapping_mul(37)).collect();
            let (mut text, mut back) = (Arena::default(), Arena::default());
            encode(&bytes, &mut text);
            assert_eq!(decode(text.as_slice(), &mut back), Some(()));
            assert_eq!(back.as_slice(), bytes);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["A", "AAA", "AB==", "AAB=", "====", "AA=A", "A A=", "AA-_", "AAAA=", "A==="] {
            let mut out = Arena::default();
            out.push(7);
            assert_eq!(decode(text.as_bytes(), &mut out), None, "{text}");
            assert_eq!(out.as_slice(), [7]);
        }
    }
}
