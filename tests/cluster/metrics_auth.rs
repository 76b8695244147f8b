//! With `--metrics-auth=token` the metrics are for accounts that may get them, and the probes for everybody.

use crate::support::*;
use anyhow::{Result, ensure};
use moorage_harness::{ControlPlane, OperatorOptions, Sandbox, eventually};
use std::sync::Arc;

crate::cases![metrics_are_for_accounts_that_may_get_them];

async fn metrics_are_for_accounts_that_may_get_them(control_plane: Arc<ControlPlane>) -> Result<()> {
    let options = OperatorOptions {
        extra_args: vec!["--metrics-auth=token".to_owned()],
        log_filter: "trace".to_owned(),
        ..options()
    };
    // Its probes are open: it is ready.
    let sandbox = control_plane.sandbox("metrics", options).await?;
    grant(&sandbox, "moorage-metrics-auth", "metrics:moorage", "create", "tokenreviews.authentication.k8s.io").await?;
    sandbox.kubectl(&["create", "serviceaccount", "scraper"]).await?;
    let scraper = sandbox.token("metrics", "scraper").await?;
    let mark = control_plane.audit().mark()?;
    for (token, code, why) in [
        (None, 401, "Authorization: Bearer TOKEN"),
        (Some("made-up"), 401, "does not know this token"),
        (Some(&*scraper), 403, "moorage-metrics-reader"),
    ] {
        let (answered, body) = sandbox.operator.metrics_as(token).await?;
        ensure!(answered == code && body.contains(why), "expected {code}, answered {answered} {body}");
    }

    grant(&sandbox, "moorage-metrics-reader", "metrics:scraper", "get", "/metrics").await?;
    let scrape =
        || async { Ok(Some(sandbox.operator.metrics_as(Some(&scraper)).await?).filter(|(code, _)| *code == 200)) };
    let (_, metrics) = eventually(DEADLINE, "the grant to be noticed without a restart", scrape).await?;
    ensure!(metrics.contains("moorage_build_info"), "{metrics}");
    for _ in 0..10 {
        ensure!(scrape().await?.is_some(), "it is let in no more");
    }
    // One of the made-up token, two of the account before the grant and two after it; of what is remembered, none.
    let reviews = || -> Result<usize> {
        let events = control_plane.audit().by_user(&sandbox.user(), mark)?;
        Ok(events.iter().filter(|event| event.resource.ends_with("reviews")).count())
    };
    eventually(DEADLINE, "the reviews to be in the audit log", || async { Ok((reviews()? >= 5).then_some(())) })
        .await?;
    ensure!(reviews()? == 5, "{} reviews", reviews()?);
    ensure!(!sandbox.operator.logs().contains(&scraper), "the token is in the log");
    Ok(())
}

/// Binds a role to a `ServiceAccount` in the whole cluster, and waits until it holds.
async fn grant(sandbox: &Sandbox, role: &str, account: &str, verb: &str, what: &str) -> Result<()> {
    let (role_is, account_is) = (format!("--clusterrole={role}"), format!("--serviceaccount={account}"));
    sandbox.kubectl(&["create", "clusterrolebinding", &format!("{role}-test"), &role_is, &account_is]).await?;
    let user = format!("--as=system:serviceaccount:{account}");
    let holds = || async { Ok(sandbox.kubectl(&["auth", "can-i", verb, what, &user]).await.ok()) };
    eventually(DEADLINE, &format!("{account} to have {role}"), holds).await.map(drop)
}
