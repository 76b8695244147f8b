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

/// A message of others with what is another at each try left out: ids of sandboxes and tasks, and the port that a probe comes from.
/// Told again with another of them, it is no news.
pub fn steady(message: &str) -> String {
    let is_id = |word: &str| word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = message.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()).map(|piece| {
        let word = piece.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if is_id(word) { format!("...{}", &piece[word.len()..]) } else { piece.to_owned() }
    });
    let text: String = words.collect();
    let Some((before, after)) = text.split_once("->") else { return text };
    let address = before.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if address.ends_with(':') { format!("{}->{after}", address.trim_end_matches(':')) } else { text }
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
    use super::{cut, list, steady};

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
    fn what_differs_at_each_try_is_left_out() {
        let id = "0123456789abcdef".repeat(4);
        for (message, expected) in [
            (
                format!("failed to setup network for sandbox \"{id}\": no address"),
                "failed to setup network for sandbox \"...\": no address",
            ),
            (
                "Readiness probe failed: read tcp 10.0.0.1:43210->10.0.0.5:8080: i/o timeout".to_owned(),
                "Readiness probe failed: read tcp 10.0.0.1->10.0.0.5:8080: i/o timeout",
            ),
            (
                "a -> b, pvc-5c2a1b3c-1234-4321-8888-0123456789ab".to_owned(),
                "a -> b, pvc-5c2a1b3c-1234-4321-8888-0123456789ab",
            ),
            (id.clone(), "..."),
        ] {
            assert_eq!(steady(&message), expected);
        }
        assert_eq!(steady("\u{e9}\u{2192}->\u{65e5}"), "\u{e9}\u{2192}->\u{65e5}");
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        assert_eq!(list(["a", "b"], 2, ", "), "a, b");
        assert_eq!(list(["a", "b", "c", "d"], 2, "; "), "a; b; and 2 more");
        assert_eq!(list(Vec::<String>::new(), 2, ", "), "");
    }
}
