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
    use super::{EnvFilter, filtered};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing::Dispatch;
    use tracing::subscriber::{DefaultGuard, NoSubscriber};

    /// A log that can be read back.
    #[derive(Clone, Default)]
    pub struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        /// Runs `act` with a log of that filter. What it holds is everything that this thread says meanwhile: were the log the only
        /// one of the process, `tracing` would take a place in the code where another thread is first for one that nobody listens to
        /// (tokio-rs/tracing#3611).
        pub fn listen(&self, filter: EnvFilter) -> Listening {
            let another = Dispatch::new(NoSubscriber::default());
            let writer = self.clone();
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_env_filter(filter).with_writer(move || writer.clone());
            Listening { _this: tracing::subscriber::set_default(subscriber.finish()), _another: another }
        }

        /// What was logged so far.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Until it is dropped, a log is written.
    pub struct Listening {
        _this: DefaultGuard,
        _another: Dispatch,
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
            let _listening = log.listen(filtered(filter).unwrap());
            tracing::warn!(target: "kube_client::client", "the body of a Secret");
            tracing::warn!(target: "kube_client::other", "something else");
            let text = log.text();
            assert!(!text.contains("Secret"), "{filter}: {text}");
        }
    }

    #[test]
    fn what_another_thread_said_first_is_heard() {
        fn say() {
            tracing::info!("it is said");
        }
        let log = Log::default();
        let _listening = log.listen(EnvFilter::new("info"));
        std::thread::spawn(say).join().unwrap();
        assert_eq!(log.text(), "", "another thread is not listened to");
        say();
        assert!(log.text().contains("it is said"));
    }
}
