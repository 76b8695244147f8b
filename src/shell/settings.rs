//! Settings of `moorage run`: each by flag and by environment variable.

use super::leader::Election;
use super::scope::Scope;
use super::secret_key;
use crate::core::own::Own;
use crate::core::plan::Forbidden;
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Image of a Registry that names none.
pub const REGISTRY_IMAGE: &str = "docker.io/library/registry:3.1.1";

/// What `moorage run` takes.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Namespace of the operator itself, where its Lease and its key live.
    #[arg(long, env = "MOORAGE_NAMESPACE", default_value = "moorage-system")]
    pub namespace: String,
    /// Name of this replica in the Lease and in Events; in a cluster, the name of the pod.
    #[arg(long, env = "MOORAGE_IDENTITY", default_value_t = default_identity())]
    pub identity: String,
    /// `ServiceAccount` of the operator itself, which no App beside it may run as.
    #[arg(long, env = "MOORAGE_SERVICE_ACCOUNT", default_value = "moorage")]
    pub service_account: String,
    /// Watch this namespace only; give it several times, or several with commas, for several. A Role in each is then enough.
    /// Default, and what an empty value means: all namespaces.
    #[arg(long, env = "MOORAGE_WATCH_NAMESPACE", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// Address of /healthz, /readyz and /metrics; `[::]` is every address, IPv4 too.
    #[arg(long, env = "MOORAGE_HTTP_ADDRESS", default_value = "[::]:8080")]
    pub http_address: SocketAddr,
    /// Who may read /metrics.
    #[arg(long, env = "MOORAGE_METRICS_AUTH", value_enum, default_value_t = MetricsAuth::None)]
    pub metrics_auth: MetricsAuth,
    /// Objects reconciled at the same time; of one namespace at most three quarters of that.
    #[arg(long, env = "MOORAGE_WORKERS", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Seconds after which one reconcile is given up and tried again later.
    #[arg(long, env = "MOORAGE_RECONCILE_TIMEOUT_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub reconcile_timeout_seconds: u64,
    /// Name of the Lease by which replicas elect a leader.
    #[arg(long, env = "MOORAGE_LEASE_NAME", default_value = "moorage")]
    pub lease_name: String,
    /// Seconds after which a silent leader is replaced.
    #[arg(long, env = "MOORAGE_LEASE_DURATION_SECONDS", default_value_t = 15)]
    pub lease_duration_seconds: u32,
    /// Seconds without a renewal after which a leader stops acting; must be less than the lease duration.
    #[arg(long, env = "MOORAGE_RENEW_DEADLINE_SECONDS", default_value_t = 10)]
    pub renew_deadline_seconds: u32,
    /// Seconds between renewals; must be less than the renew deadline.
    #[arg(long, env = "MOORAGE_RENEW_PERIOD_SECONDS", default_value_t = 5)]
    pub renew_period_seconds: u32,
    /// Objects per page when a kind is listed; smaller pages need less memory at start.
    #[arg(long, env = "MOORAGE_PAGE_SIZE", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub page_size: u32,
    /// Seconds after which the API server ends a watch, which is then renewed.
    #[arg(long, env = "MOORAGE_WATCH_TIMEOUT_SECONDS", default_value_t = 290, value_parser = clap::value_parser!(u32).range(5..=294))]
    pub watch_timeout_seconds: u32,
    /// Image of Registries that name none.
    #[arg(long, env = "MOORAGE_REGISTRY_IMAGE", default_value = REGISTRY_IMAGE)]
    pub registry_image: String,
    /// What no App may ask for: load-balancers, node-ports, own-service-accounts, service-account-annotations,
    /// service-account-names. May be given several times, or as a list.
    #[arg(long, env = "MOORAGE_FORBID", value_delimiter = ',', value_parser = forbidden)]
    pub forbid: Vec<Forbidden>,
    /// Form of the log.
    #[arg(long, env = "MOORAGE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// What is logged, as a tracing filter: a level, or levels by module such as `info,moorage=debug`.
    #[arg(long, env = "MOORAGE_LOG", default_value = "info")]
    pub log_filter: String,
}

/// Who may read the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsAuth {
    /// Whoever reaches the port.
    None,
    /// Whoever sends a bearer token of an account that may get the path /metrics.
    Token,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Lines for people.
    Text,
}

/// A setting that makes no sense with another.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// The leader would act on a lease that has run out.
    #[error("--renew-deadline-seconds ({0}) must be less than --lease-duration-seconds ({1})")]
    Deadline(u32, u32),
    /// The leader would never renew in time.
    #[error("--renew-period-seconds ({0}) must be at least 1 and less than --renew-deadline-seconds ({1})")]
    Period(u32, u32),
    /// What is to be watched is no namespace.
    #[error("--watch-namespace (MOORAGE_WATCH_NAMESPACE) is {value:?}, of which {name:?} is no namespace: {why}")]
    NoNamespace {
        /// Everything that is to be watched.
        value: String,
        /// The part of it that is wrong.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A namespace is named twice; another may have been meant.
    #[error("--watch-namespace names {0} twice; name each namespace once")]
    Twice(String),
    /// An App has one or the other.
    #[error(
        "--forbid must not have both own-service-accounts and service-account-names, as every App runs as an account of its own or as one that it names"
    )]
    NoAccount,
}

/// A namespace, as it may be called.
///
/// # Errors
/// What is wrong with the name.
pub fn namespace(name: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid =
        (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-');
    if valid {
        Ok(name.to_owned())
    } else {
        Err("a namespace has 1 to 63 lower-case letters, digits and '-', and neither starts nor ends with '-'"
            .to_owned())
    }
}

/// The namespaces that a list names, less the spaces around them. OLM names them in an annotation, which is empty for all of them
/// (<https://olm.operatorframework.io/docs/advanced-tasks/operator-scoping-with-operatorgroups/>).
fn namespaces(list: &[String]) -> Result<Vec<String>, SettingsError> {
    let names: Vec<&str> = list.iter().map(|name| name.trim()).collect();
    if names == [""] {
        return Ok(Vec::new());
    }
    let known = |name: &&str| {
        let (value, name) = (list.join(","), (*name).to_owned());
        namespace(&name).map_err(|why| SettingsError::NoNamespace { value, name, why })
    };
    let names: Vec<String> = names.iter().map(known).collect::<Result<_, _>>()?;
    each_once(&names)?;
    Ok(names)
}

fn forbidden(text: &str) -> Result<Forbidden, String> {
    let known = || Forbidden::ALL.map(Forbidden::as_str).join(", ");
    Forbidden::named(text).ok_or_else(|| format!("must be one of {}", known()))
}

/// Checks that each namespace is named once.
///
/// # Errors
/// The first that is named twice.
pub fn each_once(namespaces: &[String]) -> Result<(), SettingsError> {
    let mut names = BTreeSet::new();
    let twice = namespaces.iter().find(|name| !names.insert(*name));
    twice.map_or(Ok(()), |name| Err(SettingsError::Twice(name.clone())))
}

/// Random, for a process outside a cluster: two of them on one machine must differ.
fn default_identity() -> String {
    format!("moorage-{:08x}", rand::random::<u32>())
}

impl Settings {
    /// The settings as they are meant, once what clap can't tell is checked.
    ///
    /// # Errors
    /// The first setting that makes no sense, alone or with another.
    pub fn validated(self) -> Result<Self, SettingsError> {
        let (duration, deadline, period) =
            (self.lease_duration_seconds, self.renew_deadline_seconds, self.renew_period_seconds);
        if deadline >= duration {
            return Err(SettingsError::Deadline(deadline, duration));
        }
        if period == 0 || period >= deadline {
            return Err(SettingsError::Period(period, deadline));
        }
        if [Forbidden::OwnServiceAccounts, Forbidden::ServiceAccountNames].iter().all(|what| self.forbid.contains(what))
        {
            return Err(SettingsError::NoAccount);
        }
        Ok(Self { watch_namespace: namespaces(&self.watch_namespace)?, ..self })
    }

    /// What holds the operator's own power.
    pub fn own(&self) -> Own {
        Own {
            namespace: self.namespace.clone(),
            service_account: self.service_account.clone(),
            key: secret_key::NAME.to_owned(),
        }
    }

    /// What is watched.
    pub fn scope(&self) -> Scope {
        Scope::new(&self.watch_namespace)
    }

    /// Longest time of one reconcile.
    pub const fn reconcile_timeout(&self) -> Duration {
        Duration::from_secs(self.reconcile_timeout_seconds)
    }

    /// How this replica takes part in the election.
    pub fn election(&self) -> Election {
        Election {
            namespace: self.namespace.clone(),
            lease: self.lease_name.clone(),
            identity: self.identity.clone(),
            duration: Duration::from_secs(u64::from(self.lease_duration_seconds)),
            deadline: Duration::from_secs(u64::from(self.renew_deadline_seconds)),
            period: Duration::from_secs(u64::from(self.renew_period_seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, SettingsError};
    use clap::{Args, Command, FromArgMatches};

    fn settings(arguments: &[&str]) -> Result<Settings, clap::Error> {
        let command = Settings::augment_args(Command::new("moorage"));
        let arguments = ["moorage"].iter().chain(arguments);
        command.try_get_matches_from(arguments).and_then(|matches| Settings::from_arg_matches(&matches))
    }

    /// The namespaces that are watched, or why there are none.
    fn watched(arguments: &[&str]) -> Result<Vec<String>, String> {
        let settings = settings(arguments).map_err(|error| error.to_string())?.validated();
        settings.map(|settings| settings.watch_namespace).map_err(|error| error.to_string())
    }

    #[test]
    fn namespaces_are_given_by_flags_or_with_commas() {
        for arguments in [
            &["--watch-namespace=shop", "--watch-namespace=blog"][..],
            &["--watch-namespace=shop,blog"],
            &["--watch-namespace= shop, blog "],
        ] {
            assert_eq!(watched(arguments).unwrap(), ["shop", "blog"], "{arguments:?}");
        }
    }

    /// So says the annotation of OLM's that the value comes from.
    #[test]
    fn no_namespace_and_an_empty_one_are_all() {
        for arguments in [&[][..], &["--watch-namespace="], &["--watch-namespace= "]] {
            assert_eq!(watched(arguments).unwrap(), [""; 0], "{arguments:?}");
        }
    }

    #[test]
    fn a_namespace_that_is_none_or_comes_twice_is_refused_by_name() {
        let long = "s".repeat(64);
        for (value, name) in [
            ("shop,", ""),
            (",", ""),
            ("shop,,blog", ""),
            ("Shop", "Shop"),
            ("-shop", "-shop"),
            ("shop,shop/blog", "shop/blog"),
            ("shop blog", "shop blog"),
            ("*", "*"),
            (&long, &long),
        ] {
            let error = watched(&[&format!("--watch-namespace={value}")]).unwrap_err();
            let begins = format!(
                "--watch-namespace (MOORAGE_WATCH_NAMESPACE) is {value:?}, of which {name:?} is no namespace: "
            );
            assert!(error.starts_with(&begins), "{error}");
        }
        let twice = settings(&["--watch-namespace=shop,blog", "--watch-namespace=shop"]).unwrap();
        assert_eq!(twice.validated().unwrap_err(), SettingsError::Twice("shop".to_owned()));
    }
}
