//! Stand-in until the real one is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);
impl std::str::FromStr for Quantity {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let n: i128 = digits.parse().map_err(|_| format!("{text} is not a quantity"))?;
        let f = match &text[digits.len()..] { "" => 1, "Ki" => 1 << 10, "Mi" => 1 << 20, "Gi" => 1 << 30, "Ti" => 1i128 << 40, "G" => 1_000_000_000, _ => return Err("?".into()) };
        Ok(Self(n * f))
    }
}
