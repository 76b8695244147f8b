//! Logs.

use super::settings::LogFormat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Sends logs to standard error.
///
/// # Errors
/// The filter can't be parsed.
pub fn init(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(false).init(),
    }
    Ok(())
}
