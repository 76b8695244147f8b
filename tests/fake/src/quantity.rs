//! The form in which the real server stores a quantity: no precision lost, no fraction,
//! and the largest suffix that allows it (`apimachinery/pkg/api/resource/quantity.go`).

/// The canonical form, or `None` when the text is not a quantity.
pub fn canonical(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (format, numerator, denominator) = scale(suffix)?;
    let nanos = nanos(number)?.checked_mul(numerator)?;
    // Values below one nano round up, away from zero.
    let nanos = nanos / denominator + i128::from(nanos % denominator != 0);
    let sign = if negative && nanos != 0 { "-" } else { "" };
    Some(format!("{sign}{}", print(nanos, format)))
}

/// The value in nano-units, for comparing; negative quantities are no sizes.
pub(crate) fn nanos_of(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (_, numerator, denominator) = scale(suffix)?;
    Some(nanos(number)?.checked_mul(numerator)? / denominator)
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Binary,
    Decimal,
    Exponent,
}

const NANO: i128 = 1_000_000_000;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// Format and scale of a suffix, the scale as a fraction.
fn scale(suffix: &str) -> Option<(Format, i128, i128)> {
    let position = |list: &[&str]| list.iter().position(|known| *known == suffix);
    if let Some(at) = position(&DECIMAL) {
        let exponent = 3 * (i32::try_from(at).ok()? - 3);
        return power(exponent).map(|(up, down)| (Format::Decimal, up, down));
    }
    if let Some(at) = position(&BINARY) {
        return Some((Format::Binary, 1 << (10 * at), 1));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    power(exponent).map(|(up, down)| (Format::Exponent, up, down))
}

fn power(exponent: i32) -> Option<(i128, i128)> {
    let scale = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, scale) } else { (scale, 1) })
}

fn nanos(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    whole.checked_mul(NANO)?.checked_add(digits.parse().ok()?)
}

fn print(nanos: i128, format: Format) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    if format == Format::Binary && nanos >= 1024 * NANO {
        let units = nanos / NANO + i128::from(nanos % NANO != 0);
        let (units, step) = reduce(units, 1024, BINARY.len() - 1);
        return format!("{units}{}", BINARY[step]);
    }
    let (units, step) = reduce(nanos, 1000, DECIMAL.len() - 1);
    if format == Format::Exponent {
        let exponent = 3 * step - 9 * usize::from(step >= 3);
        return match step {
            0..=2 => format!("{units}e-{}", 9 - 3 * step),
            3 => units.to_string(),
            _ => format!("{units}e{exponent}"),
        };
    }
    format!("{units}{}", DECIMAL[step])
}

fn reduce(mut units: i128, base: i128, most: usize) -> (i128, usize) {
    let mut step = 0;
    while step < most && units % base == 0 {
        units /= base;
        step += 1;
    }
    (units, step)
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn quantities_take_the_form_that_the_server_stores() {
        let cases = [
            ("1024Mi", "1Gi"),
            ("1Gi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000Mi", "1000Mi"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("100000k", "100M"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("1500m", "1500m"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-1000m", "-1"),
            ("1024", "1024"),
            (".5", "500m"),
            ("1e-3", "1e-3"),
        ];
        for (written, stored) in cases {
            assert_eq!(canonical(written).as_deref(), Some(stored), "{written}");
        }
        assert_eq!(canonical("1Zi"), None);
        assert_eq!(canonical(""), None);
    }
}
