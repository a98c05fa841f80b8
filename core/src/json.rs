//! Strict JSON within one line: strings, white space, and checking what is skipped.
//!
//! `text` is a buffer in which every line ends with `\n` and in which at least `CHUNK` bytes follow the last one. A newline
//! is legal nowhere within a line, so it ends every loop here, and no loop looks for the end of the buffer.

use wide::u8x16;

use crate::arena::Arena;
use crate::fault::{Parsed, Why};

pub const CHUNK: usize = 16;
pub const DEPTH_MAX: usize = 256;

/// One bit for each byte that ends a run of plain characters in a string: quote, backslash, control character.
#[inline(always)]
pub fn specials(chunk: &[u8; CHUNK]) -> u32 {
    let bytes = u8x16::new(*chunk);
    let quotes = bytes.cmp_eq(u8x16::splat(b'"'));
    let escapes = bytes.cmp_eq(u8x16::splat(b'\\'));
    let controls = bytes.min(u8x16::splat(0x1f)).cmp_eq(bytes);
    (quotes | escapes | controls).move_mask() as u32
}

/// Where the first quote, backslash or control character stands.
#[inline(always)]
pub fn plain_end(text: &[u8], mut at: usize) -> usize {
    loop {
        let chunk: &[u8; CHUNK] = text[at..at + CHUNK].try_into().expect("a chunk");
        let found = specials(chunk);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += CHUNK;
    }
}

/// Behind white space, which stays within the line.
#[inline(always)]
pub fn blank_end(text: &[u8], mut at: usize) -> usize {
    while matches!(text[at], b' ' | b'\t' | b'\r') {
        at += 1;
    }
    at
}

/// Behind one expected byte and the white space around it.
#[inline(always)]
pub fn expect(text: &[u8], at: usize, byte: u8) -> Parsed<usize> {
    let at = blank_end(text, at);
    if text[at] != byte {
        return Err(Why::NotJson.at(at));
    }
    Ok(blank_end(text, at + 1))
}

/// Behind an escape that begins at `at`, and the code point, which may be a lone surrogate.
pub fn escape(text: &[u8], at: usize) -> Parsed<(u32, usize)> {
    let short = match text[at + 1] {
        b'"' => b'"',
        b'\\' => b'\\',
        b'/' => b'/',
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let first = hex(text, at + 2)?;
            if (0xd800..0xdc00).contains(&first) && text[at + 6] == b'\\' && text[at + 7] == b'u' {
                let second = hex(text, at + 8)?;
                if (0xdc00..0xe000).contains(&second) {
                    return Ok((0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), at + 12));
                }
            }
            return Ok((first, at + 6));
        }
        _ => return Err(Why::NotJson.at(at)),
    };
    Ok((short as u32, at + 2))
}

fn hex(text: &[u8], at: usize) -> Parsed<u32> {
    let mut value = 0;
    for &byte in &text[at..at + 4] {
        let digit = (byte as char).to_digit(16).ok_or(Why::NotJson.at(at))?;
        value = value << 4 | digit;
    }
    Ok(value)
}

fn push_character(code: u32, out: &mut Arena) {
    match char::from_u32(code) {
        Some(character) => out.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
        // A lone surrogate, as UTF-8 would write it: only to compare names by, never to be kept.
        None => out.extend(&[0xe0 | (code >> 12) as u8, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]),
    }
}

/// Append what a string stands for; `at` is behind its opening quote, the result behind the closing one.
#[inline(always)]
pub fn string(text: &[u8], at: usize, out: &mut Arena) -> Parsed<usize> {
    let at = out.copy_plain(text, at);
    if text[at] == b'"' {
        return Ok(at + 1);
    }
    string_rest(text, at, out, false)
}

#[cold]
#[inline(never)]
fn string_rest(text: &[u8], mut at: usize, out: &mut Arena, surrogates: bool) -> Parsed<usize> {
    loop {
        match text[at] {
            b'"' => return Ok(at + 1),
            b'\\' => {
                let (code, next) = escape(text, at)?;
                if !surrogates && (0xd800..0xe000).contains(&code) {
                    return Err(Why::LoneSurrogate.at(at));
                }
                push_character(code, out);
                at = next;
            }
            _ => return Err(Why::NotJson.at(at)),
        }
        at = out.copy_plain(text, at);
    }
}

/// Append a string as canonical JSON text, quotes included.
#[inline(always)]
pub fn string_text(text: &[u8], at: usize, out: &mut Arena) -> Parsed<usize> {
    out.push(b'"');
    let at = out.copy_plain(text, at);
    if text[at] == b'"' {
        out.push(b'"');
        return Ok(at + 1);
    }
    string_text_rest(text, at, out)
}

#[cold]
#[inline(never)]
fn string_text_rest(text: &[u8], mut at: usize, out: &mut Arena) -> Parsed<usize> {
    loop {
        match text[at] {
            b'"' => {
                out.push(b'"');
                return Ok(at + 1);
            }
            b'\\' => {
                let (code, next) = escape(text, at)?;
                if (0xd800..0xe000).contains(&code) {
                    return Err(Why::LoneSurrogate.at(at));
                }
                match u8::try_from(code) {
                    Ok(byte) if byte.is_ascii() => push_escaped(byte, out),
                    _ => push_character(code, out),
                }
                at = next;
            }
            _ => return Err(Why::NotJson.at(at)),
        }
        at = out.copy_plain(text, at);
    }
}

fn push_escaped(byte: u8, out: &mut Arena) {
    let short = match byte {
        b'"' | b'\\' => byte,
        8 => b'b',
        12 => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0..=0x1f => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend(&[b'\\', b'u', b'0', b'0', HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
            return;
        }
        _ => return out.push(byte),
    };
    out.extend(&[b'\\', short]);
}

/// Append a decoded string as canonical JSON text, quotes included.
pub fn write_text(decoded: &[u8], out: &mut Arena) {
    out.push(b'"');
    for &byte in decoded {
        push_escaped(byte, out);
    }
    out.push(b'"');
}

/// Where a name lies once its escapes are gone: in the line itself, or in the scratch.
#[derive(Clone, Copy)]
pub struct Name {
    start: u32,
    length: u32,
    pub in_scratch: bool,
}

impl Name {
    #[inline(always)]
    fn new(start: usize, length: usize, in_scratch: bool) -> Name {
        Name { start: start as u32, length: length as u32, in_scratch }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.length as usize
    }

    #[inline(always)]
    pub fn bytes<'a>(&self, text: &'a [u8], scratch: &'a Arena) -> &'a [u8] {
        let from = if self.in_scratch { scratch.as_slice() } else { text };
        &from[self.start as usize..][..self.length as usize]
    }
}

/// Read a string without copying it unless it holds escapes. `at` is behind its opening quote.
#[inline(always)]
pub fn name(text: &[u8], at: usize, scratch: &mut Arena) -> Parsed<(Name, usize)> {
    let end = plain_end(text, at);
    if text[end] == b'"' {
        return Ok((Name::new(at, end - at, false), end + 1));
    }
    escaped_name(text, at, scratch, false)
}

#[cold]
#[inline(never)]
fn escaped_name(text: &[u8], at: usize, scratch: &mut Arena, surrogates: bool) -> Parsed<(Name, usize)> {
    let start = scratch.len();
    let at = scratch.copy_plain(text, at);
    let at = string_rest(text, at, scratch, surrogates)?;
    Ok((Name::new(start, scratch.len() - start, true), at))
}

/// Checks values that are not looked at otherwise. Kept for its memory.
#[derive(Default)]
pub struct Checker {
    names: Vec<Name>,
    scratch: Arena,
    surrogate: Option<usize>,
}

impl Checker {
    /// Check the whole of one line's value; gives the place behind it.
    pub fn check(&mut self, text: &[u8], at: usize) -> Parsed<usize> {
        let end = self.skip(text, at, 1)?;
        let end = blank_end(text, end);
        if text[end] != b'\n' {
            return Err(Why::NotJson.at(end));
        }
        Ok(end)
    }

    /// Check one value whose containers have the given depth; gives the place behind it.
    pub fn skip(&mut self, text: &[u8], at: usize, depth: usize) -> Parsed<usize> {
        self.names.clear();
        self.scratch.clear();
        self.surrogate = None;
        let end = self.value(text, at, depth)?;
        match self.surrogate {
            Some(at) => Err(Why::LoneSurrogate.at(at)),
            None => Ok(end),
        }
    }

    fn value(&mut self, text: &[u8], at: usize, depth: usize) -> Parsed<usize> {
        let literal = |word: &[u8]| match text[at..].starts_with(word) {
            true => Ok(at + word.len()),
            false => Err(Why::NotJson.at(at)),
        };
        match text[at] {
            b'"' => self.string(text, at + 1),
            b'{' => self.object(text, at + 1, depth),
            b'[' => self.array(text, at + 1, depth),
            b't' => literal(b"true"),
            b'f' => literal(b"false"),
            b'n' => literal(b"null"),
            _ => number(text, at),
        }
    }

    fn string(&mut self, text: &[u8], mut at: usize) -> Parsed<usize> {
        loop {
            at = plain_end(text, at);
            match text[at] {
                b'"' => return Ok(at + 1),
                b'\\' => {
                    let (code, next) = escape(text, at)?;
                    if (0xd800..0xe000).contains(&code) {
                        self.surrogate.get_or_insert(at);
                    }
                    at = next;
                }
                _ => return Err(Why::NotJson.at(at)),
            }
        }
    }

    fn array(&mut self, text: &[u8], at: usize, depth: usize) -> Parsed<usize> {
        if depth > DEPTH_MAX {
            return Err(Why::NestedJson.at(at));
        }
        let mut at = blank_end(text, at);
        if text[at] == b']' {
            return Ok(at + 1);
        }
        loop {
            at = blank_end(text, self.value(text, at, depth + 1)?);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b']' => return Ok(at + 1),
                _ => return Err(Why::NotJson.at(at)),
            }
        }
    }

    fn object(&mut self, text: &[u8], at: usize, depth: usize) -> Parsed<usize> {
        if depth > DEPTH_MAX {
            return Err(Why::NestedJson.at(at));
        }
        let mut at = blank_end(text, at);
        if text[at] == b'}' {
            return Ok(at + 1);
        }
        let (first, scratch) = (self.names.len(), self.scratch.len());
        loop {
            if text[at] != b'"' {
                return Err(Why::NotJson.at(at));
            }
            let (name, end) = self.name(text, at + 1)?;
            self.names.push(name);
            at = self.value(text, expect(text, end, b':')?, depth + 1)?;
            at = blank_end(text, at);
            match text[at] {
                b',' => at = blank_end(text, at + 1),
                b'}' => break,
                _ => return Err(Why::NotJson.at(at)),
            }
        }
        if self.repeats(text, first) {
            return Err(Why::DuplicateName.at(at));
        }
        self.names.truncate(first);
        self.scratch.truncate(scratch);
        Ok(at + 1)
    }

    fn name(&mut self, text: &[u8], at: usize) -> Parsed<(Name, usize)> {
        let end = plain_end(text, at);
        if text[end] == b'"' {
            return Ok((Name::new(at, end - at, false), end + 1));
        }
        self.string(text, end)?; // notes a surrogate
        escaped_name(text, at, &mut self.scratch, true)
    }

    fn repeats(&mut self, text: &[u8], first: usize) -> bool {
        let (names, scratch) = (&mut self.names[first..], &self.scratch);
        if names.len() <= 8 {
            return (1..names.len()).any(|i| {
                let name = names[i];
                names[..i]
                    .iter()
                    .any(|n| n.length == name.length && n.bytes(text, scratch) == name.bytes(text, scratch))
            });
        }
        names.sort_unstable_by(|a, b| a.bytes(text, scratch).cmp(b.bytes(text, scratch)));
        names.windows(2).any(|pair| pair[0].bytes(text, scratch) == pair[1].bytes(text, scratch))
    }
}

/// Behind a JSON number.
pub fn number(text: &[u8], at: usize) -> Parsed<usize> {
    let digits = |mut at: usize| {
        let start = at;
        while text[at].is_ascii_digit() {
            at += 1;
        }
        if at == start {
            Err(Why::NotJson.at(at))
        } else {
            Ok(at)
        }
    };
    let mut end = at + (text[at] == b'-') as usize;
    end = if text[end] == b'0' { end + 1 } else { digits(end)? };
    if text[end] == b'.' {
        end = digits(end + 1)?;
    }
    if matches!(text[end], b'e' | b'E') {
        end += 1 + matches!(text[end + 1], b'+' | b'-') as usize;
        end = digits(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(line: &str) -> Vec<u8> {
        let mut text = line.as_bytes().to_vec();
        text.push(b'\n');
        text.resize(text.len() + CHUNK, 0);
        text
    }

    fn check(line: &str) -> Result<(), Why> {
        let text = buffer(line);
        Checker::default().check(&text, 0).map(|end| assert_eq!(end, line.len())).map_err(|fault| fault.why)
    }

    #[test]
    fn json_is_accepted() {
        for line in [
            "{}",
            "[]",
            "null",
            "true",
            "-0.5e+7",
            "0",
            r#""a\u00e9\ud83e\udd80""#,
            r#"{"a": [1, {"b" : null}], "c":{}}"#,
            "{\"a\":1}\r",
            &format!("{}{}", "[".repeat(256), "]".repeat(256)),
            "\"\u{2028}\u{7f}\"",
        ] {
            assert_eq!(check(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for line in [
            "",
            "{",
            "}",
            "[1,]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "NaN",
            "Infinity",
            "tru",
            r#""\x""#,
            r#""\u12g4""#,
            "\"a",
            "\"\t\"",
            "{} {}",
            "{a:1}",
            "'a'",
            "nulll",
            "\"\\",
            "\"\\u",
            "\u{feff}{}",
        ] {
            assert_eq!(check(line), Err(Why::NotJson), "{line}");
        }
        assert_eq!(check(&"[".repeat(257)), Err(Why::NestedJson));
    }

    #[test]
    fn repeated_names_and_lone_surrogates_are_found() {
        assert_eq!(check(r#"{"x":[{"a":1,"\u0061":2}]}"#), Err(Why::DuplicateName));
        let many: String = (0..20).map(|i| format!("\"n{i}\":0,")).collect();
        assert_eq!(check(&format!("{{{many}\"m\":1}}")), Ok(()));
        assert_eq!(check(&format!("{{{many}\"n7\":1}}")), Err(Why::DuplicateName));
        for line in [r#"["\ud800"]"#, r#"{"\udc00":1}"#, r#""\ud83e\ud83e""#, r#""\ud83ex""#] {
            assert_eq!(check(line), Err(Why::LoneSurrogate), "{line}");
        }
    }

    #[test]
    fn strings_become_text_and_canonical_json() {
        for (line, decoded, canonical) in [
            (r#"plain""#, "plain", r#""plain""#),
            (
                r#"a long text that needs \"more\" than one chunk""#,
                "a long text that needs \"more\" than one chunk",
                r#""a long text that needs \"more\" than one chunk""#,
            ),
            (
                r#"\u0041\/\b\f\n\r\t\\\u0001\u001F""#,
                "A/\u{8}\u{c}\n\r\t\\\u{1}\u{1f}",
                r#""A/\b\f\n\r\t\\\u0001\u001f""#,
            ),
            (r#"\ud83e\udd80é\u00e9\u2028""#, "🦀éé\u{2028}", "\"🦀éé\u{2028}\""),
        ] {
            let text = buffer(line);
            let (mut plain, mut json, mut again) = (Arena::default(), Arena::default(), Arena::default());
            assert_eq!(string(&text, 0, &mut plain), Ok(line.len()));
            assert_eq!(string_text(&text, 0, &mut json), Ok(line.len()));
            write_text(decoded.as_bytes(), &mut again);
            assert_eq!(plain.as_slice(), decoded.as_bytes());
            assert_eq!(json.as_slice(), canonical.as_bytes());
            assert_eq!(again.as_slice(), canonical.as_bytes());
        }
    }
}
