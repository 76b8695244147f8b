//! What every package says of Moorage, so that bundle and chart say the same.

/// The operator's version, and so every package's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What it is called where people read it.
pub const TITLE: &str = "Moorage";
/// The oldest Kubernetes that works, in three parts, as OLM wants it.
pub const KUBERNETES: &str = "1.33.0";
/// No site is published yet. Like the image's name, these can never be anybody's (RFC 2606).
pub const SITE: &str = "https://moorage.invalid";
/// Who answers.
pub const MAINTAINERS: &str = "The Moorage maintainers";
/// Where to.
pub const MAIL: &str = "maintainers@moorage.invalid";
/// What it is found by.
pub const KEYWORDS: [&str; 6] = ["application", "platform", "deployment", "storage", "volume", "registry"];
/// How far it goes by itself, in Operator Framework's words.
pub const CAPABILITIES: &str = "Seamless Upgrades";
/// One line for lists of operators, which show 135 characters.
pub const SUMMARY: &str = "A small application platform: apps, their storage and image registries, kept as declared, with a status that says why not.";
/// Its mark.
pub const ICON: &str = include_str!("icon.svg");
