//! DynamoDB numbers, digit for digit: 38 significant digits, ±1E-130 … ±9.99…E+125. No floats.

use crate::arena::Arena;
use crate::fault::Why;

pub const DIGITS_MAX: usize = 38;
pub const EXPONENT_MAX: i32 = 125;
pub const EXPONENT_MIN: i32 = -130;
const PLAIN_MAX: i32 = 37;
const PLAIN_MIN: i32 = -7;
const TEXT_MAX: usize = 512;
const EXPONENT_DIGITS_MAX: usize = 6;

/// `mantissa * 10^exponent`; the mantissa has no trailing zeros, zero is (0, 0). Equal values are equal here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Number {
    pub mantissa: i128,
    pub exponent: i32,
}

/// What all numbers of one attribute need of a column. `default` is the empty range; `join` makes a lattice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberRange {
    pub int64: bool,
    pub whole_digits: u32,
    pub scale: u32,
}

impl Default for NumberRange {
    fn default() -> Self {
        NumberRange { int64: true, whole_digits: 0, scale: 0 }
    }
}

impl NumberRange {
    pub fn join(self, other: NumberRange) -> NumberRange {
        NumberRange {
            int64: self.int64 && other.int64,
            whole_digits: self.whole_digits.max(other.whole_digits),
            scale: self.scale.max(other.scale),
        }
    }

    pub fn fits_decimal(self) -> bool {
        (self.whole_digits + self.scale) as usize <= DIGITS_MAX
    }
}

pub const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

fn digit_count(value: u128) -> u32 {
    value.checked_ilog10().map_or(0, |digits| digits + 1)
}

/// What whole numbers up to this magnitude need.
pub fn range_of_whole(magnitude: u64) -> NumberRange {
    NumberRange { int64: true, whole_digits: digit_count(magnitude as u128), scale: 0 }
}

impl Number {
    pub fn from_i64(value: i64) -> Number {
        Number::from_unscaled(value as i128, 0)
    }

    /// The value of `unscaled * 10^-scale`.
    pub fn from_unscaled(unscaled: i128, scale: u32) -> Number {
        let mut number = Number { mantissa: unscaled, exponent: -(scale as i32) };
        number.normalise();
        number
    }

    fn normalise(&mut self) {
        if self.mantissa == 0 {
            self.exponent = 0;
            return;
        }
        while self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
    }

    pub fn range(&self) -> NumberRange {
        if self.mantissa == 0 {
            return NumberRange::default();
        }
        let digits = digit_count(self.mantissa.unsigned_abs()) as i32;
        NumberRange {
            int64: self.as_i64().is_some(),
            whole_digits: (digits + self.exponent).max(0) as u32,
            scale: (-self.exponent).max(0) as u32,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        if !(0..=18).contains(&self.exponent) {
            return None;
        }
        let value = self.mantissa.checked_mul(POWERS[self.exponent as usize])?;
        i64::try_from(value).ok()
    }

    /// The unscaled value of DECIMAL(38, scale); the caller has checked by its range that it fits.
    pub fn unscaled(&self, scale: u32) -> i128 {
        self.mantissa * POWERS[(self.exponent + scale as i32) as usize]
    }

    /// The one spelling of the value: positional for a first digit between 1E-7 and 1E37, else scientific.
    pub fn write_canonical(&self, out: &mut Arena) {
        if self.mantissa == 0 {
            out.push(b'0');
            return;
        }
        let digits = self.mantissa.unsigned_abs().to_string();
        let digits = digits.as_bytes();
        let first = self.exponent + digits.len() as i32 - 1;
        if self.mantissa < 0 {
            out.push(b'-');
        }
        if !(PLAIN_MIN..=PLAIN_MAX).contains(&first) {
            out.push(digits[0]);
            if digits.len() > 1 {
                out.push(b'.');
                out.extend(&digits[1..]);
            }
            out.extend(format!("E{first:+}").as_bytes());
        } else if self.exponent >= 0 {
            out.extend(digits);
            (0..self.exponent).for_each(|_| out.push(b'0'));
        } else if first >= 0 {
            let whole = first as usize + 1;
            out.extend(&digits[..whole]);
            out.push(b'.');
            out.extend(&digits[whole..]);
        } else {
            out.extend(b"0.");
            (0..-first - 1).for_each(|_| out.push(b'0'));
            out.extend(digits);
        }
    }
}

/// Orders by value without arithmetic that could overflow.
pub fn compare(left: &Number, right: &Number) -> std::cmp::Ordering {
    use std::cmp::Ordering;
    let sign = |n: &Number| n.mantissa.signum();
    match sign(left).cmp(&sign(right)) {
        Ordering::Equal => {}
        unequal => return unequal,
    }
    if left.mantissa == 0 {
        return Ordering::Equal;
    }
    let first = |n: &Number| n.exponent + digit_count(n.mantissa.unsigned_abs()) as i32;
    let magnitude = first(left).cmp(&first(right)).then_with(|| {
        let scaled = |n: &Number| {
            n.mantissa.unsigned_abs() * POWERS[DIGITS_MAX - digit_count(n.mantissa.unsigned_abs()) as usize] as u128
        };
        scaled(left).cmp(&scaled(right))
    });
    if left.mantissa > 0 {
        magnitude
    } else {
        magnitude.reverse()
    }
}

/// A number as it was read, the usual cases without their range to be worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Whole(i64),
    /// `mantissa * 10^-scale`, not whole, the last digit not zero, `whole_digits` of them before the point.
    Decimal {
        mantissa: i128,
        scale: u32,
        whole_digits: u32,
    },
    Exact(Number),
}

impl Value {
    pub fn of(number: Number) -> Value {
        number.as_i64().map_or(Value::Exact(number), Value::Whole)
    }

    pub fn number(self) -> Number {
        match self {
            Value::Whole(value) => Number::from_i64(value),
            Value::Decimal { mantissa, scale, .. } => Number { mantissa, exponent: -(scale as i32) },
            Value::Exact(number) => number,
        }
    }

    pub fn range(self) -> NumberRange {
        match self {
            Value::Whole(value) => range_of_whole(value.unsigned_abs()),
            Value::Decimal { scale, whole_digits, .. } => NumberRange { int64: false, whole_digits, scale },
            Value::Exact(number) => number.range(),
        }
    }
}

/// The value of the digits that begin at `at`, and where they end. Right for up to 19 of them.
#[inline(always)]
fn digits(text: &[u8], mut at: usize) -> (u64, usize) {
    const TEN: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    let mut value = 0u64;
    loop {
        let chunk = u64::from_le_bytes(text[at..at + 8].try_into().expect("8 bytes")) ^ 0x3030_3030_3030_3030;
        // The high bit of each byte that is above 9; behind the first, carries make it unsure.
        let others = (chunk.wrapping_add(0x7676_7676_7676_7676) | chunk) & 0x8080_8080_8080_8080;
        if others != 0 {
            let count = others.trailing_zeros() as usize / 8;
            if count == 0 {
                return (value, at);
            }
            let some = eight_digits(chunk << (64 - 8 * count));
            return (value.wrapping_mul(TEN[count]).wrapping_add(some), at + count);
        }
        value = value.wrapping_mul(100_000_000).wrapping_add(eight_digits(chunk));
        at += 8;
    }
}

/// Eight digits as bytes 0 to 9, the most significant in the lowest byte.
#[inline(always)]
fn eight_digits(chunk: u64) -> u64 {
    let pairs = chunk.wrapping_mul(10).wrapping_add(chunk >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// Read the number in a JSON string that begins at `at`, up to its closing quote. `None`: look closer, with `parse`.
#[inline(always)]
pub fn quick(text: &[u8], at: usize) -> Option<(Value, usize)> {
    const DIGITS: usize = 19; // on either side of the point: they fit 64 bits, and both together 38
    let negative = text[at] == b'-';
    let start = at + negative as usize;
    let (value, end) = digits(text, start);
    let whole = end - start;
    if whole == 0 || whole > DIGITS {
        return None;
    }
    if text[end] == b'"' {
        let value = i64::try_from(value).ok()?;
        return Some((Value::Whole(if negative { -value } else { value }), end));
    }
    if text[end] != b'.' || (text[start] == b'0' && whole > 1) {
        return None;
    }
    let point = end + 1;
    let (mut fraction, end) = digits(text, point);
    let mut scale = end - point;
    if scale == 0 || scale > DIGITS || text[end] != b'"' {
        return None;
    }
    while fraction % 10 == 0 {
        fraction /= 10;
        scale -= 1;
        if scale == 0 {
            let value = i64::try_from(value).ok()?;
            return Some((Value::Whole(if negative { -value } else { value }), end));
        }
    }
    let mantissa = value as i128 * POWERS[scale] + fraction as i128;
    let mantissa = if negative { -mantissa } else { mantissa };
    let whole_digits = if value == 0 { 0 } else { whole as u32 };
    Some((Value::Decimal { mantissa, scale: scale as u32, whole_digits }, end))
}

/// Copy a number in a JSON string that begins at `at` where it is canonical; gives the place of its closing quote.
#[inline(always)]
pub fn copy_canonical(text: &[u8], at: usize, out: &mut Arena) -> Option<usize> {
    let start = at + (text[at] == b'-') as usize;
    let (value, mut end) = digits(text, start);
    let whole = end - start;
    if whole == 0 || whole > 19 || (text[start] == b'0' && whole > 1) {
        return None;
    }
    if text[end] == b'.' {
        let point = end + 1;
        let fraction;
        (fraction, end) = digits(text, point);
        // The last digit is not zero; and where nothing stands before the point, the first one comes soon enough.
        if end == point || end - point > 18 || text[end - 1] == b'0' {
            return None;
        }
        if value == 0 && fraction < POWERS[(end - point).saturating_sub(7)] as u64 {
            return None;
        }
    } else if value == 0 && start > at {
        return None;
    }
    if text[end] != b'"' {
        return None;
    }
    out.copy(text, at, end - at);
    Some(end)
}

/// Read a number's text. Errors are the reasons that quarantine shows.
pub fn parse(text: &[u8]) -> Result<Number, Why> {
    const NOT: Why = Why::NoNumber;
    if text.len() > TEXT_MAX {
        return Err(NOT);
    }
    let mut at = 0;
    let mut negative = false;
    if let Some(sign @ (b'+' | b'-')) = text.first() {
        negative = *sign == b'-';
        at = 1;
    }
    let mut mantissa: u128 = 0;
    let mut significant = 0usize; // digits since the first that is not zero, trailing zeros held back
    let mut zeros = 0usize; // trailing zeros not yet in the mantissa
    let mut exponent: i32 = 0;
    let (mut digits, mut in_fraction) = (0usize, false);
    while at < text.len() {
        let byte = text[at];
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                exponent -= in_fraction as i32;
                if byte == b'0' {
                    zeros += (significant > 0) as usize;
                } else {
                    if significant > 0 {
                        significant += zeros;
                        if significant < DIGITS_MAX {
                            mantissa = mantissa.wrapping_mul(POWERS[zeros.min(DIGITS_MAX)] as u128);
                        }
                    }
                    significant += 1;
                    if significant <= DIGITS_MAX {
                        mantissa = mantissa.wrapping_mul(10).wrapping_add((byte - b'0') as u128);
                    }
                    zeros = 0;
                }
            }
            b'.' if !in_fraction => in_fraction = true,
            b'e' | b'E' => break,
            _ => return Err(NOT),
        }
        at += 1;
    }
    if digits == 0 {
        return Err(NOT);
    }
    if at < text.len() {
        exponent += parse_exponent(&text[at + 1..]).ok_or(NOT)?;
    }
    if significant == 0 {
        return Ok(Number::default());
    }
    if significant > DIGITS_MAX {
        return Err(Why::NumberDigits);
    }
    exponent += zeros as i32;
    let first = exponent + significant as i32 - 1;
    if !(EXPONENT_MIN..=EXPONENT_MAX).contains(&first) {
        return Err(Why::NumberRange);
    }
    let mantissa = if negative { -(mantissa as i128) } else { mantissa as i128 };
    Ok(Number { mantissa, exponent })
}

fn parse_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > EXPONENT_DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i32, |value, byte| value * 10 + (byte - b'0') as i32);
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, Why> {
        let mut out = Arena::default();
        parse(text.as_bytes())?.write_canonical(&mut out);
        Ok(String::from_utf8(out.into_vec()).unwrap())
    }

    #[test]
    fn equal_values_have_one_spelling() {
        for (text, expected) in [
            ("1", "1"),
            ("1.0", "1"),
            ("1E0", "1"),
            ("-0", "0"),
            ("00012", "12"),
            ("+5", "5"),
            ("1.50", "1.5"),
            ("1e-130", "1E-130"),
            ("9.99E125", "9.99E+125"),
            ("100", "100"),
            ("0.0000001", "0.0000001"),
            (".5", "0.5"),
            ("0.00000001", "1E-8"),
            ("1E38", "1E+38"),
            ("5.", "5"),
            ("-1200e-1", "-120"),
            ("0e999999", "0"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("1.0000000000000000000000000000000000001", "1.0000000000000000000000000000000000001"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(canonical(&format!("1{}", "0".repeat(100))).unwrap(), "1E+100");
    }

    #[test]
    fn what_is_no_dynamodb_number_is_refused() {
        for text in [
            "", " 5", "1_000", "NaN", "Infinity", "1e1000", "1E126", "1E-131", ".", "-", "1e", "1e+", "٣", "0x1",
            "1.2.3",
        ] {
            assert!(canonical(text).is_err(), "{text}");
        }
        assert!(canonical("123456789012345678901234567890123456789").is_err());
    }

    #[test]
    fn ranges_say_what_a_column_needs() {
        let range = |text: &str| parse(text.as_bytes()).unwrap().range();
        assert_eq!(range("0"), NumberRange::default());
        assert_eq!(range("1200"), NumberRange { int64: true, whole_digits: 4, scale: 0 });
        assert_eq!(range("0.05"), NumberRange { int64: false, whole_digits: 0, scale: 2 });
        assert!(range("9223372036854775807").int64 && range("-9223372036854775808").int64);
        assert!(!range("9223372036854775808").int64);
    }

    #[test]
    fn order_is_by_value() {
        let texts = ["-1E125", "-10.5", "-2", "-1E-130", "0", "1E-130", "3", "10.5", "11", "9.99E125"];
        let numbers: Vec<_> = texts.iter().map(|t| parse(t.as_bytes()).unwrap()).collect();
        for pair in numbers.windows(2) {
            assert_eq!(compare(&pair[0], &pair[1]), std::cmp::Ordering::Less);
        }
    }

    fn quoted(text: &str) -> Vec<u8> {
        format!("{text}\" and what follows it").into_bytes()
    }

    #[test]
    fn a_canonical_text_is_copied_and_no_other() {
        for text in ["0", "1", "-1", "10", "0.5", "-0.0000001", "12.25", "1234567890123456789", "0.123456789012345678"]
        {
            let mut out = Arena::default();
            assert_eq!(copy_canonical(&quoted(text), 0, &mut out), Some(text.len()), "{text}");
            assert_eq!(out.as_slice(), text.as_bytes());
            assert_eq!(canonical(text).as_deref(), Ok(text));
        }
        for text in ["-0", "01", "1.0", "1.", ".5", "0.00000001", "1E5", "", "-", "0.0", "00.5", "1.2.3", "1x"] {
            assert_eq!(copy_canonical(&quoted(text), 0, &mut Arena::default()), None, "{text}");
        }
    }

    #[test]
    fn the_quick_way_gives_what_the_thorough_one_gives() {
        let mut quick_ones = 0;
        let wholes = [
            "",
            "0",
            "00",
            "7",
            "-7",
            "-0",
            "12345678",
            "123456789",
            "1234567890123456789",
            "99999999999999999999",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
        ];
        let fractions = [
            "",
            ".",
            ".0",
            ".5",
            ".50",
            ".05",
            ".12345678",
            ".1234567890123456789",
            ".00000000000000000001",
            ".x",
            "e5",
        ];
        for text in wholes.iter().flat_map(|whole| fractions.iter().map(move |fraction| format!("{whole}{fraction}"))) {
            let Some((value, end)) = quick(&quoted(&text), 0) else { continue };
            let number = parse(text.as_bytes()).unwrap();
            assert_eq!((value.number(), value.range(), end), (number, number.range(), text.len()), "{text}");
            quick_ones += 1;
        }
        assert!(quick_ones > 60, "{quick_ones}");
    }
}
