//! A `StorageClaim` that can't be read any more goes nevertheless, and takes no data with it that its policy does not reach.

use super::world::World;
use anyhow::{Result, ensure};
use moorage_fake::Faults;
use serde_json::{Value, json};

/// What is told of a claim that can't be read, what makes it so, and whether its policy can still be read.
type Case = (&'static str, fn(&mut Value), bool);

fn cases() -> [Case; 3] {
    let too_large =
        |claim: &mut Value| claim["spec"]["selector"] = json!({"matchLabels": {"a": "x".repeat(600 << 10)}});
    let newer = |claim: &mut Value| claim["spec"]["future"] = json!(1);
    let newer_policy = |claim: &mut Value| claim["spec"]["deletionPolicy"] = json!("Archive");
    [("TooLarge", too_large, false), ("InvalidSpec", newer, true), ("InvalidSpec", newer_policy, false)]
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_read_goes_by_its_policy_or_loses_nothing() -> Result<()> {
    for (reason, edit, dies) in cases() {
        let world = World::new();
        let mut replica = world.start("first", Faults::default()).await;
        world.server.apply(
            "{apiVersion: moorage.dev/v1alpha1, kind: StorageClaim, metadata: {name: data, namespace: default},
              spec: {size: 1Gi, storageClassName: standard, deletionPolicy: Delete}}",
        )?;
        world.rest(&mut replica).await?;
        world.expect_ready("StorageClaim", "data")?;
        world.server.edit_as("kubectl", "StorageClaim", "default", "data", edit)?;
        world.rest(&mut replica).await?;
        let stalled = world.condition("StorageClaim", "data", "Stalled").unwrap_or_default();
        ensure!(stalled["reason"] == reason && world.has("PersistentVolumeClaim", "data"), "{stalled}");

        world.server.delete("StorageClaim", "default", "data")?;
        world.rest(&mut replica).await?;
        ensure!(!world.has("StorageClaim", "data"), "{reason}: it is held for ever\n{}", world.summary());
        ensure!(world.has("PersistentVolumeClaim", "data") != dies, "{reason}: the data goes is {}", !dies);
    }
    Ok(())
}
