//! Texts and lists of others' making, made short enough to be told: what is left out is counted in words.

/// Longest message of a condition or a child, in bytes. It holds a problem of a pod and what to do about it.
pub const MESSAGE: usize = 2048;
/// Longest message that somebody else wrote, in bytes.
pub const QUOTE: usize = 512;
/// Longest word or name, in bytes.
pub const WORD: usize = 253;

/// The text in at most `limit` bytes, of which what is left out takes up to 40; never cut within a character.
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(40);
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let (told, rest) = text.split_at(end);
    format!("{told}... (and {} more characters)", rest.chars().count())
}

/// The first items, as in `a, b, and 12 more`.
pub fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>, most: usize, separator: &str) -> String {
    let mut items = items.into_iter();
    let mut text = String::new();
    for item in items.by_ref().take(most) {
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push_str(item.as_ref());
    }
    match items.count() {
        0 => text,
        others => format!("{text}{separator}and {others} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::{cut, list};

    #[test]
    fn what_is_cut_off_is_counted_and_no_character_is_split() {
        assert_eq!(cut("short", 5), "short");
        for (text, limit) in [("\u{65e5}".repeat(100), 64), ("e\u{301}".repeat(90), 100), ("x".repeat(1 << 20), 2048)] {
            let told = cut(&text, limit);
            assert!(told.len() <= limit, "{} bytes", told.len());
            let (begin, rest) = told.split_once("... (and ").unwrap();
            let others: usize = rest.strip_suffix(" more characters)").unwrap().parse().unwrap();
            assert!(text.starts_with(begin) && begin.chars().count() + others == text.chars().count(), "{told}");
        }
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        assert_eq!(list(["a", "b"], 2, ", "), "a, b");
        assert_eq!(list(["a", "b", "c", "d"], 2, "; "), "a; b; and 2 more");
        assert_eq!(list(Vec::<String>::new(), 2, ", "), "");
    }
}
