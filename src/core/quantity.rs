//! Quantities, exactly.
//!
//! Ours because the crate at hand reads `1.5Gi` as `1Gi` (ADR 4). A quantity is a whole number of billionths in an
//! `i128`; Kubernetes itself rounds finer ones up
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).

use std::fmt;
use std::str::FromStr;

/// Billionths in one.
const NANO: i128 = 1_000_000_000;

/// An amount, compared by value: `1024Mi` equals `1Gi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    nano: i128,
}

/// Text that is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity such as 500m, 2 or 1.5Gi")]
pub struct ParseQuantityError(String);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nano: 0 };

    /// The amount as Kubernetes keeps it in a list of resources: in thousandths, rounded up (`SetDefaults_ResourceList`).
    pub const fn thousandths(self) -> i128 {
        let (milli, nano) = (self.nano.div_euclid(NANO / 1_000), self.nano.rem_euclid(NANO / 1_000));
        milli + if nano == 0 { 0 } else { 1 }
    }

    /// The amount as a whole number (of bytes, where it is a size), rounded up.
    pub const fn bytes(self) -> i128 {
        self.nano.div_euclid(NANO) + if self.nano.rem_euclid(NANO) == 0 { 0 } else { 1 }
    }
}

/// A factor in billionths, or how a suffix is to be read.
fn factor(suffix: &str) -> Option<i128> {
    let binary = |power: u32| Some(NANO << (10 * power));
    Some(match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => NANO,
        "k" => NANO * 1_000,
        "M" => NANO * 1_000_000,
        "G" => NANO * 1_000_000_000,
        "T" => NANO * 1_000_000_000_000,
        "P" => NANO * 1_000_000_000_000_000,
        "E" => NANO * 1_000_000_000_000_000_000,
        "Ki" => return binary(1),
        "Mi" => return binary(2),
        "Gi" => return binary(3),
        "Ti" => return binary(4),
        "Pi" => return binary(5),
        "Ei" => return binary(6),
        other => return exponent(other),
    })
}

/// `e3` and `E-3`: powers of ten that still are whole billionths.
fn exponent(suffix: &str) -> Option<i128> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    10_i128.checked_pow(u32::try_from(power.checked_add(9)?).ok()?)
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, ParseQuantityError> {
        parse(text).ok_or_else(|| ParseQuantityError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(factor(suffix)?)?;
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let nano = scaled.div_euclid(divisor) + i128::from(scaled.rem_euclid(divisor) != 0);
    Some(Quantity { nano: if negative { -nano } else { nano } })
}

impl fmt::Display for Quantity {
    /// The shortest exact form: the largest binary suffix that divides it, else the largest decimal one.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 6] = ["Ei", "Pi", "Ti", "Gi", "Mi", "Ki"];
        const DECIMAL: [&str; 10] = ["E", "P", "T", "G", "M", "k", "", "m", "u", "n"];
        let exact = |suffix: &&&str| factor(suffix).is_some_and(|factor| self.nano != 0 && self.nano % factor == 0);
        let suffix = BINARY.iter().find(exact).or_else(|| DECIMAL.iter().find(exact)).copied().unwrap_or("");
        write!(formatter, "{}{suffix}", self.nano / factor(suffix).unwrap_or(NANO))
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;
    use proptest::prelude::*;

    fn of(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn kubernetes_cases() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("1.5Gi", 1_610_612_736),
            ("1E", 1_000_000_000_000_000_000),
            ("1Ei", 1_152_921_504_606_846_976),
            ("9223372036854775807", 9_223_372_036_854_775_807),
            ("1e3", 1000),
            ("1E3", 1000),
            ("12e-1", 2),
            (".5Ki", 512),
            ("5.", 5),
            ("+2k", 2000),
            ("-1Ki", -1024),
            ("1m", 1),
        ] {
            assert_eq!(of(text).bytes(), bytes, "{text}");
        }
    }

    #[test]
    fn equal_values_are_equal() {
        for (one, other) in [("1024Mi", "1Gi"), ("0.5", "500m"), ("1000k", "1M"), ("1e3", "1k"), ("0", "0Gi")] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
        assert!(of("1G") < of("1Gi"));
        assert!(of("-1") < Quantity::ZERO);
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_its_text() {
        for text in ["", "Gi", "1gi", "1 Gi", "1.2.3", "--1", "1e", "0x1", "1GiB", "1e999", "1e2147483647", "∞", "."]
        {
            let error = text.parse::<Quantity>().unwrap_err();
            assert!(error.to_string().contains(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(nano in any::<i64>()) {
            let quantity = Quantity { nano: i128::from(nano) };
            prop_assert_eq!(of(&quantity.to_string()), quantity);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Quantity>();
        }
    }
}
