//! Logs.

use super::settings::LogFormat;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Sends logs to standard error.
///
/// # Errors
/// The filter can't be parsed.
pub fn init(format: LogFormat, filter: &str) -> Result<(), ParseError> {
    let builder = tracing_subscriber::fmt().with_env_filter(filtered(filter)?).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(false).init(),
    }
    Ok(())
}

/// The filter as it was asked for, less the one module that logs whole answers, a Secret's too, when it can't read them.
fn filtered(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{filter},kube_client::client=off"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::filtered;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// A log that can be read back.
    #[derive(Clone, Default)]
    pub struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        /// What was logged so far.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_of_the_api_server_are_never_logged() {
        for filter in ["info", "trace", "kube_client=trace", "kube_client::client=trace"] {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter(filtered(filter).unwrap())
                .with_writer(move || writer.clone());
            tracing::subscriber::with_default(subscriber.finish(), || {
                tracing::warn!(target: "kube_client::client", "the body of a Secret");
                tracing::warn!(target: "kube_client::other", "something else");
            });
            let text = log.text();
            assert!(!text.contains("Secret"), "{filter}: {text}");
        }
    }
}
